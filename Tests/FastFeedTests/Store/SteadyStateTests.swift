// A hundred thousand frames through decoder, parser, index, ring, table and builder without one allocation.

import FastFeed
import TestKit
import Testing

struct SteadyStateTests {
    private static let seriesCount = 16
    private static let windowBytes = 64 * 1024

    /// Frames of several series whose bars move on and close; every message is newer than the one before.
    private func stream(_ count: Int) -> [UInt8] {
        var stream: [UInt8] = []
        stream.reserveCapacity(count * 420)
        for number in 0..<count {
            let (series, tick) = (number % SteadyStateTests.seriesCount, number / SteadyStateTests.seriesCount)
            let (bar, step) = (Int64(tick / 10), tick % 10)
            let open = 1_790_001_240_000 + bar * 60_000
            let name = "\"SYMBOL\(series)USDT\""
            var text = KlineText().withEvent("E", "\(open + Int64(step) * 5_000)").withEvent("s", name).with("s", name)
            text = text.with("t", "\(open)").with("T", "\(open + 59_999)").with("x", step == 9 ? "true" : "false").with("n", "\(step)")
            stream += RawFrame(1, text.combined().text).bytes
        }
        return stream
    }

    @Test(.enabled(if: HeapStatistics.threadAllocatedBytes() != nil, "malloc is not jemalloc's: nothing to read"))
    func framesToBatchesWithoutAllocation() throws {
        let (warmUp, count) = (10_000, 100_000)
        var bytes = stream(warmUp + count)
        bytes += [UInt8](repeating: 0, count: Limits.paddingBytes)
        let total = bytes.count - Limits.paddingBytes
        var options = FrameDecoder.Options()
        options.checksTextInPlace = false
        var decoder = FrameDecoder(options)
        let parser = KlineParser()
        var index = SeriesIndex()
        let ring = SPSCRing<CandleRecord>(zeroed: 2_048)
        var producer = SPSCRing.Producer(ring)
        var consumer = SPSCRing.Consumer(ring)
        var rig = BuilderRig(batchSize: 64)
        for id in 0..<SteadyStateTests.seriesCount {
            let series = Series(symbol: Symbol("symbol\(id)usdt")!, interval: .m1)
            index.set(series.symbol, series.interval, SeriesHandle(id: UInt32(id), generation: 1))
            rig.follow(series, UInt32(id))
        }
        var (parsed, closed, batches) = (0, 0, 0)
        var before: UInt64?
        var symbol = PaddedBytes.none
        bytes.withUnsafeMutableBytes { raw in
            var from = 0
            while from < total {
                let size = min(SteadyStateTests.windowBytes, total - from)
                decoder.supply(raw.baseAddress! + from, count: size)
                from += size
                while case .message(_, let payload) = decoder.takeEvent() {
                    let slot = producer.slot
                    guard case .record = parser.parse(payload, into: slot, symbol: &symbol) else { continue }
                    guard let handle = index.find(symbol: symbol, interval: slot.value.intervalRawValue) else { continue }
                    (slot.value.seriesID, slot.value.generation) = (handle.id, handle.generation)
                    producer.keep()
                    parsed += 1
                }
                _ = producer.publish()
                let available = consumer.available()
                for offset in 0..<available { rig.table.accept(consumer.record(offset)) }
                consumer.free(available)
                while rig.builder.build(&rig.table, into: &rig.batch) {
                    closed += rig.batch.closedCount
                    batches += 1
                    rig.acknowledge()
                }
                if before == nil && parsed >= warmUp { before = HeapStatistics.threadAllocatedBytes() }
            }
        }
        let after = HeapStatistics.threadAllocatedBytes()
        #expect(after == before, "allocated \(Int64(after ?? 0) - Int64(before ?? 0)) bytes over \(count) frames")
        #expect(parsed == warmUp + count)
        let ends = (0..<parsed).count { $0 / SteadyStateTests.seriesCount % 10 == 9 }
        #expect(closed == ends && batches > 100)
    }
}
