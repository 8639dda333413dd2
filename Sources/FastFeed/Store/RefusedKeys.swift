// What keys have refused besides closed candles that are new, and when it is tried again. The sink's thread alone. Bound: the series.

struct RefusedKeys {
    /// Series whose newest state `latest:*` has not taken.
    var ids: Set<UInt32> = []
    var removals: Set<Series> = []
    /// Series whose list of holes is not written.
    var gaps: Set<Series> = []
    /// Series whose history did not take what Redis may have lost: what of it is still kept is written again.
    var again: Set<Series> = []
    var dueNs = UInt64.max

    var isEmpty: Bool { ids.isEmpty && removals.isEmpty && gaps.isEmpty && again.isEmpty }
}
