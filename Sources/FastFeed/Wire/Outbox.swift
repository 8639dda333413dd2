// Bytes on their way out: drained as the socket takes them. Its owner's thread. Bound: its maker's (`Limits.outboundBytesMax` to the
// exchange); beyond it nothing is added.

package struct Outbox: ~Copyable {
    private var bytes: [UInt8] = []
    /// How many of them have gone.
    private var head = 0
    private let bytesMax: Int

    package init(bytesMax: Int) { self.bytesMax = bytesMax }

    package var isEmpty: Bool { head == bytes.count }

    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        head = 0
    }

    /// False when the bound would be passed; then nothing was added.
    package mutating func append(_ more: [UInt8]) -> Bool {
        guard makeRoom(more.count) else { return false }
        bytes += more
        return true
    }

    /// The bound would not be passed.
    package func hasRoom(for count: Int) -> Bool { count <= bytesMax - (bytes.count - head) }

    /// Adds whatever the bound says: whoever calls has asked `hasRoom`, or lets one long thing pass by itself.
    package mutating func push(_ more: [UInt8]) {
        trim()
        bytes += more
    }

    /// The same for a masked frame, which allocates nothing once there was room: pings are answered among the data.
    package mutating func append(_ opcode: FrameOpcode, _ payload: Span<UInt8>) -> Bool {
        guard makeRoom(FrameEncoder.headerBytesMax + payload.count) else { return false }
        FrameEncoder.append(opcode, payload, mask: FrameEncoder.freshMask(), to: &bytes)
        return true
    }

    private mutating func makeRoom(_ count: Int) -> Bool {
        guard hasRoom(for: count) else { return false }
        trim()
        return true
    }

    private mutating func trim() {
        guard head > bytes.count / 2 else { return }
        bytes.removeFirst(head)
        head = 0
    }

    /// Writes what the transport takes: `.bytes` when it has taken all. Would-block: wait for writability.
    package mutating func flush(to transport: inout Transport) -> IOResult {
        let waiting = bytes.count - head
        while head < bytes.count {
            let result = transport.write(bytes.span.extracting(droppingFirst: head))
            guard case .bytes(let count) = result else { return result }
            head += count
        }
        removeAll()
        return .bytes(waiting)
    }
}
