// Bytes on their way out: bounded, drained as the socket takes them. Its owner's thread.

@safe package struct Outbox: ~Copyable {
    private var storage: UnsafeMutableRawPointer?
    private var capacity = 0
    private var head = 0
    private var tail = 0
    private let bytesMax: Int

    package init(bytesMax: Int) { self.bytesMax = bytesMax }
    deinit { unsafe storage?.deallocate() }

    package var count: Int { tail - head }
    package var isEmpty: Bool { tail == head }
    package var room: Int { bytesMax - count }

    package mutating func removeAll() { (head, tail) = (0, 0) }

    /// False when the bound would be passed; then nothing was added.
    package mutating func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count <= room else { return false }
        guard let source = bytes.baseAddress, bytes.count > 0 else { return true }
        makeRoom(bytes.count)
        unsafe (storage! + tail).copyMemory(from: source, byteCount: bytes.count)
        tail += bytes.count
        return true
    }

    package mutating func append(_ bytes: [UInt8]) -> Bool { unsafe bytes.withUnsafeBytes { unsafe append($0) } }

    /// The same for a masked frame, written in place.
    package mutating func append(_ opcode: FrameOpcode, _ payload: UnsafeRawBufferPointer, isFinal: Bool) -> Bool {
        let most = FrameEncoder.headerBytesMax + payload.count
        guard most <= room else { return false }
        makeRoom(most)
        let out = unsafe (storage! + tail).assumingMemoryBound(to: UInt8.self)
        tail += unsafe FrameEncoder.write(opcode, payload, isFinal: isFinal, mask: FrameEncoder.freshMask(), to: out)
        return true
    }

    private mutating func makeRoom(_ extra: Int) {
        if tail + extra <= capacity { return }
        if head > 0 {
            unsafe storage!.copyMemory(from: storage! + head, byteCount: count)
            (head, tail) = (0, count)
        }
        guard tail + extra > capacity else { return }
        let larger = max(capacity * 2, tail + extra, 512)
        let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        if let storage = unsafe storage {
            unsafe moved.copyMemory(from: storage, byteCount: tail)
            unsafe storage.deallocate()
        }
        unsafe storage = unsafe moved
        capacity = larger
    }

    /// Writes what the transport takes: `.bytes` when it has taken all. Would-block: wait for writability.
    package mutating func flush(to transport: inout Transport) -> IOResult {
        let waiting = count
        while head < tail {
            let result = unsafe transport.write(storage! + head, count: tail - head)
            guard case .bytes(let count) = result else { return result }
            head += count
        }
        removeAll()
        return .bytes(waiting)
    }
}
