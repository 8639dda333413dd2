// Where the bytes of frames lie: in the window that was supplied, or put together here. Pure; its decoder's alone.

/// The received bytes that are not taken yet, in their owner's buffer. An offset is asserted in a debug build: the decoder looks at `count`
/// before it looks further.
@safe struct FrameWindow: BitwiseCopyable {
    private var next: UnsafeMutablePointer<UInt8>
    private var end: UnsafeMutablePointer<UInt8>

    /// No bytes, at an address that is not read.
    init() { unsafe self.init(UnsafeMutableRawPointer(bitPattern: 64)!, count: 0) }

    init(_ bytes: UnsafeMutableRawPointer, count: Int) {
        unsafe next = bytes.assumingMemoryBound(to: UInt8.self)
        unsafe end = next + count
    }

    @inline(__always)
    var count: Int { unsafe end - next }

    @inline(__always)
    subscript(offset: Int) -> UInt8 {
        assert(offset < count)
        return unsafe next[offset]
    }

    /// The next `count` bytes, behind some that are passed over.
    @inline(__always)
    mutating func take(_ count: Int, behind passed: Int = 0) -> PaddedBytes {
        assert(passed + count <= self.count)
        let bytes = unsafe PaddedBytes(start: next + passed, count: count)
        unsafe next += passed + count
        return bytes
    }

    mutating func drop() { unsafe next = end }

    func unmask(_ count: Int, _ key: UInt32, offset: Int) { unsafe FrameMask.apply(key, offset: offset, next, count) }
}

/// A payload put together from pieces. Has room for a kline from the start, grows by doubling with what has come, never
/// beyond its limit, and keeps its memory for the next message.
@safe struct MessageBuffer: ~Copyable {
    private var storage: UnsafeMutableRawPointer
    private var capacity: Int
    private let bytesMax: Int
    private(set) var count = 0

    init(bytesMax: Int) {
        self.bytesMax = bytesMax
        capacity = min(bytesMax, 1_024)
        unsafe storage = MessageBuffer.allocate(capacity)
    }

    deinit { unsafe storage.deallocate() }

    /// With room behind it, which is zero.
    private static func allocate(_ capacity: Int) -> UnsafeMutableRawPointer {
        let made = UnsafeMutableRawPointer.allocate(byteCount: capacity + Limits.paddingBytes, alignment: 64)
        unsafe (made + capacity).initializeMemory(as: UInt8.self, repeating: 0, count: Limits.paddingBytes)
        return unsafe made
    }

    mutating func append(_ piece: PaddedBytes) {
        precondition(count + piece.count <= bytesMax, "the header check bounds the message")
        if count + piece.count > capacity { grow(to: count + piece.count) }
        unsafe (storage + count).copyMemory(from: piece.start, byteCount: piece.count)
        count += piece.count
    }

    private mutating func grow(to needed: Int) {
        capacity = min(bytesMax, max(needed, capacity * 2))
        let moved = unsafe MessageBuffer.allocate(capacity)
        unsafe moved.copyMemory(from: storage, byteCount: count)
        unsafe storage.deallocate()
        unsafe storage = moved
    }

    mutating func reset() { count = 0 }

    var bytes: PaddedBytes { unsafe PaddedBytes(start: storage, count: count) }
}
