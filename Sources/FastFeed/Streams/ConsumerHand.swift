// The messages that a consumer has in hand, each in a slot with a number, so that nothing is looked up when it is acknowledged. Pure; one
// owner. Bounded by whoever asks for more: the prefetch, and the acknowledgements that Redis owes an answer.

package struct ConsumerHand: Sendable {
    enum State: UInt8, Sendable {
        case free
        /// Waits for a task, or a task has it.
        case out
        /// Waits for its time to be delivered again.
        case retrying
        /// Redis is told that it is delivered again.
        case recording
        /// For the dead letters.
        case burying
        /// On its way to the dead letters.
        case buried
        /// To be acknowledged.
        case acking
        /// XACK is on its way.
        case acked
    }

    struct Slot: Sendable {
        var id: StreamID
        /// When Redis last heard that it is in hand.
        var leaseNs: UInt64
        var key: Int32
        var deliveries: Int32
        var state: State
        /// Redis may not have it any more, and that is known.
        var isForgiven = false
    }

    private(set) var slots: [Slot] = []
    /// Slots, the free ones among them: they do not become fewer.
    package var slotCount: Int { slots.count }
    private var free: [Int] = []
    /// Those that take room: all but the acknowledged ones.
    package private(set) var heldCount = 0
    /// Acknowledged ones of which Redis has not said so.
    package private(set) var ackCount = 0
    /// Those with tasks or on their way to one.
    private(set) var outCount = 0

    package var isEmpty: Bool { heldCount == 0 && ackCount == 0 }

    private mutating func count(_ state: State, _ step: Int) {
        switch state {
        case .free: break
        case .acking, .acked: ackCount += step
        case .out:
            outCount += step
            heldCount += step
        case .retrying, .recording, .burying, .buried: heldCount += step
        }
    }

    @inline(__always)
    mutating func add(_ id: StreamID, key: Int, deliveries: Int, leaseNs: UInt64, state: State = .out) -> Int {
        let slot = Slot(
            id: id, leaseNs: leaseNs, key: Int32(truncatingIfNeeded: key), deliveries: Int32(clamping: max(1, deliveries)), state: state)
        count(state, 1)
        if let number = free.popLast() {
            slots[number] = slot
            return number
        }
        slots.append(slot)
        return slots.count - 1
    }

    subscript(number: Int) -> Slot { slots[number] }

    func state(_ number: Int) -> State { slots.indices.contains(number) ? slots[number].state : .free }

    @inline(__always)
    mutating func move(_ number: Int, to state: State) {
        count(slots[number].state, -1)
        slots[number].state = state
        count(state, 1)
        if state == .free { free.append(number) }
    }

    mutating func remove(_ number: Int) { move(number, to: .free) }
    mutating func forgive(_ number: Int) { slots[number].isForgiven = true }
    mutating func renew(_ number: Int, _ sentNs: UInt64) { slots[number].leaseNs = max(slots[number].leaseNs, sentNs) }
    mutating func setDeliveries(_ number: Int, _ deliveries: Int) { slots[number].deliveries = Int32(clamping: deliveries) }

    func numbers(_ states: State...) -> [Int] { slots.indices.filter { states.contains(slots[$0].state) } }

    /// All ids of a stream that are in hand, the acknowledged ones among them.
    package func ids(of key: Int) -> Set<StreamID> { Set(slots.lazy.filter { $0.state != .free && $0.key == key }.map(\.id)) }
}
