// A concrete driver for the benchmarks, inside the module: what one frame costs the exchange, from the tape to the
// connection's buffer, without the kernel.

import FastFeed

package enum PushBench {
    /// Where frames end as in a real fan-out, and are forgotten instead of written.
    private struct BufferSink: PushSink, ~Copyable {
        var output = OutputBuffer(bytesMax: 1 << 22)
        var frames = 0
        var bytes = 0
        let acceptsMore = true

        @inline(__always)
        mutating func push(_ event: PushEvent, in unit: TimeUnit, wrapped: RawSpan, bare: RawSpan) {
            _ = output.appendFrame(.text, wrapped)
            frames &+= 1
            bytes &+= wrapped.byteCount
            if output.count > 1 << 20 { output.drop() }
        }
    }

    /// Virtual time as fast as it goes, until so many frames are made.
    @inline(never)
    package static func run(streams: Int, frames: Int) -> (cpuNs: UInt64, frames: Int, bytes: Int) {
        var configuration = SimulatorConfiguration()
        configuration.symbolCount = streams
        configuration.illiquidEvery = 0
        configuration.pushPeriodMs = 1_000
        configuration.pace = .flatOut
        configuration.truthCandlesMax = 10_000
        var engine = PushEngine(configuration: configuration, startMs: 1_789_998_436_400)
        for symbol in engine.symbols.map(\.symbol) {
            if let index = engine.streamIndex(ofName: "\(symbol)@kline_1m") { engine.subscribe(index, in: .millisecond) }
        }
        var sink = BufferSink()
        let startNs = ThreadClock.nowNs()
        while sink.frames < frames {
            _ = engine.run(untilMs: engine.nowMs + 86_400_000, eventsMax: configuration.eventsPerCycleMax, into: &sink)
        }
        return (ThreadClock.nowNs() - startNs, sink.frames, sink.bytes)
    }
}
