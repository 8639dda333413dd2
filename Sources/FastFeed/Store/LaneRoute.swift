// Which lane of a cluster takes what. The sink's thread alone. A series has two lanes: that of its symbol's slot takes its history, its
// holes and its messages, that of `latest:<interval>` its newest state. Bound: the series.

@safe struct LaneRoute: ~Copyable {
    static let updateWaits: UInt8 = 1
    static let latestWaits: UInt8 = 2

    /// Nil before the first one: until then all stays in the table.
    private(set) var map: SlotMap?
    private var lanes: [UInt8] = []
    /// By series id: the slot of its symbol.
    private let slots: MappedArray<UInt16>
    /// By series id: what of it waits in the lanes' queues.
    let marks: MappedArray<UInt8>
    private let latestSlots: [HashSlot]
    /// Messages have a slot, as keys have: SPUBLISH is never ASKed.
    private let isSharded: Bool
    /// Keys that are on their way to another node, which takes them behind ASKING: for what was refused just now, and no longer. The key
    /// may be back where it was, and a command behind ASKING would make a second one. One slot may be split key by key.
    private var askedSeries: [UInt32: Int] = [:]
    private var askedLatest: [Int: Int] = [:]
    /// When MOVED has moved a slot last.
    private var movedNs: [HashSlot: UInt64] = [:]

    init(_ schema: KeySchema, _ market: Market, updates: UpdateMode = .classic, seriesMax: Int) {
        isSharded = updates == .sharded
        slots = MappedArray(zeroed: seriesMax)
        marks = MappedArray(zeroed: seriesMax)
        latestSlots = Interval.allCases.map { HashSlot(key: schema.latestKey(market, $0)) }
    }

    func follow(_ id: UInt32, _ slot: HashSlot) { slots[Int(id)] = slot.number }
    /// (In the sink's own words, `route.marks[…] &= …`, Swift 6.3 makes invalid code for the thread sanitizer.)
    func unmark(_ id: UInt32, _ waits: UInt8) { marks[Int(id)] &= ~waits }

    // MARK: Looking up

    @inline(__always)
    private func lane(_ slot: Int) -> Int { Int(lanes[slot]) }

    /// Nil before the first map.
    func lane(_ slot: HashSlot) -> Int? { lanes.isEmpty ? nil : lane(slot.place) }

    /// Of a followed series; nil before the first map.
    func historyLane(_ id: UInt32) -> Int? { lanes.isEmpty ? nil : lane(Int(slots[Int(id)])) }

    @inline(__always)
    func updateLane(_ id: Int) -> (lane: Int, isAsked: Bool) {
        if !askedSeries.isEmpty, let asked = askedSeries[UInt32(truncatingIfNeeded: id)] { return (asked, true) }
        return (lane(Int(slots[id])), false)
    }

    /// Of its messages: that of its history, but for those of a slot that is half moved. Its owner serves them to the end.
    @inline(__always)
    func messageLane(_ id: Int) -> (lane: Int, isAsked: Bool) {
        if isSharded { return (lane(Int(slots[id])), false) }
        return updateLane(id)
    }

    @inline(__always)
    func latestLane(_ interval: Int) -> (lane: Int, isAsked: Bool) {
        if !askedLatest.isEmpty, let asked = askedLatest[interval] { return (asked, true) }
        return (lane(latestSlots[interval].place), false)
    }

    /// Some slot is of this lane.
    func isOwner(_ place: Int) -> Bool { lanes.contains(UInt8(truncatingIfNeeded: place)) }

    // MARK: Changes

    /// - Parameter lanes: by place of the map's nodes.
    /// - Returns: from which lanes to which others slots have come, in order, and which slots; none with the first map.
    mutating func take(_ map: SlotMap, lanes places: [Int]) -> ([LaneChange], slots: Set<UInt16>) {
        let new = map.places.map { UInt8(truncatingIfNeeded: places[$0]) }
        var (changes, moved): (Set<LaneChange>, Set<UInt16>) = ([], [])
        if !lanes.isEmpty {
            for slot in new.indices where new[slot] != lanes[slot] {
                changes.insert(LaneChange(lanes[slot], new[slot]))
                moved.insert(UInt16(slot))
            }
        }
        (self.map, lanes) = (map, new)
        forgetAsked()
        return (changes.sorted(), moved)
    }

    func isMoved(series id: Int, _ moved: Set<UInt16>) -> Bool { moved.contains(slots[id]) }
    func isMoved(latest interval: Int, _ moved: Set<UInt16>) -> Bool { moved.contains(latestSlots[interval].number) }

    mutating func forgetAsked() {
        if askedSeries.isEmpty && askedLatest.isEmpty { return }
        (askedSeries, askedLatest) = ([:], [:])
    }

    mutating func ask(series id: UInt32, lane: Int) { askedSeries[id] = lane }
    mutating func ask(latest interval: Int, lane: Int) { askedLatest[interval] = lane }

    /// One more MOVED for a slot. False when the one before was a moment ago: its nodes do not agree yet.
    mutating func noteMove(_ slot: HashSlot, _ nowNs: UInt64) -> Bool {
        if movedNs.count > Limits.seriesCountMax { movedNs = [:] }
        guard let lastNs = movedNs.updateValue(nowNs, forKey: slot) else { return true }
        return nowNs &- lastNs >= Limits.slotUnrestNs
    }
}

/// Slots have another lane.
struct LaneChange: Hashable, Comparable {
    let (from, to): (Int, Int)

    static func < (one: LaneChange, other: LaneChange) -> Bool { (one.from, one.to) < (other.from, other.to) }

    init(_ from: UInt8, _ to: UInt8) { (self.from, self.to) = (Int(from), Int(to)) }
}
