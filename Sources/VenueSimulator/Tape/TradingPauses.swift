// When a symbol did not trade, and what that does to its trade ids and bars. A plain value, one thread.
//
// The tape itself knows no pauses: what it has in one is withheld, and the ids of all later trades move down
// by as many, so that ids stay consecutive.

struct TradingPauses {
    struct Pause {
        let fromMs: Int64
        /// The end, exclusive; `.max` while the pause lasts.
        var untilMs = Int64.max
        /// Bars wholly inside do not exist; otherwise they are flat.
        let removesBars: Bool
        /// Trades withheld in earlier pauses, and in this one besides.
        let removedBefore: Int64
        var removed: Int64

        var lasts: Bool { untilMs == .max }
    }

    /// Ascending, apart or touching.
    private(set) var list: [Pause] = []

    /// The pause of the present.
    var current: Pause? { list.last.flatMap { $0.lasts ? $0 : nil } }
    /// By how much ids are lower than on the tape after the last pause.
    var removed: Int64 { list.last?.removed ?? 0 }

    mutating func begin(atMs instantMs: Int64, removesBars: Bool) {
        precondition(current == nil, "one pause at a time")
        if let last = list.last, last.untilMs == instantMs, last.removesBars == removesBars {
            list[list.count - 1].untilMs = .max
            list[list.count - 1].removed = last.removedBefore
            return
        }
        list.append(Pause(fromMs: instantMs, removesBars: removesBars, removedBefore: removed, removed: removed))
    }

    mutating func end(atMs instantMs: Int64, on tape: Tape) {
        guard let pause = current else { preconditionFailure("no pause to end") }
        guard instantMs > pause.fromMs else {
            list.removeLast()
            return
        }
        let withheld = tape.firstID(notBeforeMs: instantMs) - tape.firstID(notBeforeMs: pause.fromMs)
        list[list.count - 1].untilMs = instantMs
        list[list.count - 1].removed = pause.removedBefore + withheld
    }

    /// False for a bar that lies wholly in a time without bars.
    func hasBar(fromMs openMs: Int64, untilMs nextOpenMs: Int64) -> Bool {
        !list.contains { $0.removesBars && $0.fromMs <= openMs && nextOpenMs <= $0.untilMs }
    }

    /// First instant the symbol could trade; `.max` before it is listed.
    func listingMs(on tape: Tape) -> Int64 {
        guard let first = list.first, first.removesBars, first.fromMs <= tape.listingMs else { return tape.listingMs }
        return first.untilMs
    }
}
