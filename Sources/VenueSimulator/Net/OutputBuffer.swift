// Bytes on their way to one peer: bounded, appended frame by frame, drained by large writes. One thread.
//
// Offsets count all bytes ever appended, so that a frame can be recognised as wholly written.

import FastFeed

@safe struct OutputBuffer: ~Copyable {
    private var storage: UnsafeMutableRawPointer
    private var capacity: Int
    private var head = 0
    private var tail = 0
    private let bytesMax: Int
    /// Bytes ever appended, and ever taken by the kernel.
    private(set) var appended: Int64 = 0
    var flushed: Int64 { appended - Int64(tail - head) }
    var count: Int { tail - head }

    private static let firstCapacity = 16 << 10

    init(bytesMax: Int) {
        self.bytesMax = bytesMax
        capacity = OutputBuffer.firstCapacity
        unsafe storage = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { unsafe storage.deallocate() }

    /// False when the bound would be passed; then nothing was added.
    mutating func append(_ bytes: [UInt8]) -> Bool { appendFrame(nil, unsafe bytes.span.bytes) }

    /// A frame of a server: never masked.
    @inline(__always)
    mutating func appendFrame(_ opcode: FrameOpcode?, isFinal: Bool = true, _ payload: RawSpan) -> Bool {
        let needed = payload.byteCount &+ FrameEncoder.headerBytesMax
        guard tail &- head &+ needed <= bytesMax else { return false }
        if tail &+ needed > capacity { makeRoom(needed) }
        var position = unsafe storage + tail
        if let opcode {
            let header = unsafe position.assumingMemoryBound(to: UInt8.self)
            let count = payload.byteCount
            if count >= 126 && count <= 0xFFFF {
                unsafe header[0] = opcode.rawValue | (isFinal ? 0x80 : 0)
                unsafe header[1] = 126
                unsafe header[2] = UInt8(truncatingIfNeeded: count &>> 8)
                unsafe header[3] = UInt8(truncatingIfNeeded: count)
                unsafe position += 4
            } else {
                let long = FrameHeader(opcode, isFinal: isFinal, payloadCount: count, mask: nil)
                for index in 0..<long.count { unsafe header[index] = long[index] }
                unsafe position += long.count
            }
        }
        unsafe payload.withUnsafeBytes { bytes in
            if let source = bytes.baseAddress { unsafe position.copyMemory(from: source, byteCount: bytes.count) }
        }
        let end = unsafe (position - storage) &+ payload.byteCount
        appended &+= Int64(end &- tail)
        tail = end
        return true
    }

    /// Moves what is left to the front when that frees half, otherwise doubles: moving stays rare.
    private mutating func makeRoom(_ needed: Int) {
        let left = tail - head
        if head >= capacity / 2, left + needed <= capacity {
            unsafe storage.copyMemory(from: storage + head, byteCount: left)
        } else {
            let larger = max(capacity * 2, left + needed)
            let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
            unsafe moved.copyMemory(from: storage + head, byteCount: left)
            unsafe storage.deallocate()
            unsafe storage = moved
            capacity = larger
        }
        (head, tail) = (0, left)
    }

    /// What waits to be written; valid until the next change.
    @unsafe var waiting: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: storage + head, count: tail - head) }

    /// Forgets what was not written.
    mutating func drop() { (head, tail) = (0, 0) }

    /// Writes what the transport takes.
    /// - Parameter pieceMax: at most so many bytes in one write, and one write; nil: all.
    mutating func flush(to transport: inout Transport, pieceMax: Int? = nil) -> IOResult {
        while head < tail {
            let count = min(tail - head, pieceMax ?? .max)
            switch unsafe transport.write(Span(_unsafeBytes: UnsafeRawBufferPointer(start: storage + head, count: count))) {
            case .bytes(let sent):
                head += sent
                if pieceMax != nil { return .bytes(sent) }
            case .wouldBlock: return .wouldBlock
            case let other: return other
            }
        }
        (head, tail) = (0, 0)
        return .bytes(0)
    }
}
