// Which `gaps:*` are to be written anew, and when. The sink's thread alone. Bounded by the series: each waits once.

/// Series whose holes are to be written, each once. A change of one that waits lets it wait for what was there at the later change.
struct DueKeys {
    private(set) var order: ArraySlice<Series> = []
    private(set) var afterHead: [Series: Int] = [:]
    /// Where the queue's head must be for the first one; `.max`: there is none.
    private(set) var dueHead = Int.max

    var isEmpty: Bool { dueHead == .max }

    mutating func add(_ series: Series, afterHead head: Int) {
        if afterHead.updateValue(max(head, afterHead[series] ?? 0), forKey: series) == nil { order.append(series) }
        noteFirst()
    }

    /// The first one of these for which the queue's head has come so far, once it has for the first of all.
    func next(head: Int, where isWanted: (Series) -> Bool) -> Series? {
        dueHead <= head ? order.first { afterHead[$0]! <= head && isWanted($0) } : nil
    }

    mutating func remove(_ series: Series) {
        guard let place = order.firstIndex(of: series) else { return }
        if place == order.startIndex { order.removeFirst() } else { order.remove(at: place) }
        afterHead[series] = nil
        noteFirst()
    }

    private mutating func noteFirst() { dueHead = order.first.map { afterHead[$0]! } ?? .max }
}
