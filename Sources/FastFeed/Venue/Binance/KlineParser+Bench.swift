// A concrete driver for the benchmarks, inside the module: across the module wall a generic or an inlined call
// would measure the wall. The caller's thread.

package enum ParseBench {
    package enum Way {
        /// As the reader does; the same as if the processor had no wide registers.
        case usual, narrow
        /// As if the layout were another one, the order of the members being the exchange's; or not even that.
        case inOrder, inAnyOrder
    }

    /// Parses each frame `rounds` times. Returns the thread's CPU nanoseconds, a check sum that keeps the optimiser honest,
    /// and how many messages did not have the exchange's layout; nil when a frame is not a kline.
    @inline(never)
    package static func run(
        _ frames: [[UInt8]], rounds: Int, way: Way = .usual
    ) -> (cpuNs: UInt64, check: Int64, walked: UInt64)? {
        // One behind the other, as in a receive buffer, with what a frame's header takes between them.
        let headBytes = 4
        let total = frames.reduce(0) { $0 + $1.count + headBytes }
        let memory = PaddedBuffer(count: total)
        var views: [PaddedBytes] = []
        var next = 0
        for frame in frames {
            memory.write(frame.span, at: next)
            views.append(memory.bytes(from: next, count: frame.count))
            next += frame.count + headBytes
        }
        let parser = KlineParser(lanes: way == .narrow ? .narrow : way == .inAnyOrder ? .none : .wide)
        let records = MappedArray<CandleRecord>(zeroed: 1)
        let record = records.row(0)
        var symbol = PaddedBytes.none
        var check: Int64 = 0
        let startNs = ThreadClock.nowNs()
        for _ in 0..<rounds {
            for index in views.indices {
                let view = views[index]
                let result =
                    way == .inOrder
                    ? parser.parseWithoutLayout(view, into: record, symbol: &symbol) : parser.parse(view, into: record, symbol: &symbol)
                guard result == .record else { return nil }
                check &+= record.eventTimeMs &+ Int64(record.close.count)
            }
        }
        return (ThreadClock.nowNs() - startNs, check, parser.walkedCount)
    }
}
