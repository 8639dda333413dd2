// Random streams through table and builder, batch after batch: every closed candle exactly once and in order, every
// changed series once, counts that add up.

import FastFeed
import TestKit
import Testing

struct BatchModelTests {
    private func run(seed: UInt64, _ complaints: inout Complaints) {
        var random = SplitMix64(seed: seed)
        let batchSize = random.pick([1, 2, 3, 5, 20])
        var rig = BuilderRig(batchSize: batchSize)
        let count = 1 + random.below(6)
        var series: [Series] = []
        var models: [CandleModel] = []
        var streams: [CandleStream] = []
        for id in 0..<count {
            let interval = random.pick([Interval.m1, .h1, .month1])
            series.append(Series(symbol: Symbol("s\(id)")!, interval: interval))
            rig.follow(series[id], UInt32(id))
            models.append(CandleModel(interval: interval))
            streams.append(CandleStream(id: UInt32(id), generation: 1, interval: interval, from: 1_700_000_000_000))
        }
        var books = CandleModel.Books()
        var unsent: [CandleRecord] = []
        var dirty: [Int] = []

        func expectBatch(_ commands: [[String]]?) {
            guard let commands else { return complaints.check(false, "seed \(seed): not RESP") }
            let closed = Array(unsent.prefix(batchSize))
            unsent.removeFirst(closed.count)
            let newest = Array(dirty.prefix(batchSize - closed.count))
            dirty.removeFirst(newest.count)
            complaints.check(rig.batch.closedCount == closed.count && rig.batch.seriesCount == newest.count, "seed \(seed): sizes")
            for (index, candle) in closed.enumerated() where index < commands.count {
                complaints.check(
                    commands[index][5] == "\(candle.openTimeMs)-0" && Array(commands[index][6...]) == RESPText.fields(candle),
                    "seed \(seed): closed \(index)")
            }
            var fields: [String: String] = [:]
            for command in commands where command[0] == "HSET" {
                for place in stride(from: 2, to: command.count, by: 2) { fields[command[1] + " " + command[place]] = command[place + 1] }
            }
            complaints.check(fields.count == newest.count, "seed \(seed): \(fields.count) fields")
            for id in newest {
                let key = "\(Keys.latest(series[id].interval)) s\(id)"
                complaints.check(fields[key] == RESPText.json(models[id].newest!, series[id]), "seed \(seed): \(key)")
                models[id].isPending = false
            }
            let published = commands.filter { $0[0] == "PUBLISH" }
            let touched = closed.map { Int($0.seriesID) } + newest
            complaints.check(
                Set(published.map { $0[1] }).count == published.count && published.count == Set(touched).count, "seed \(seed): publishes")
            for id in Set(touched) {
                guard let message = published.first(where: { $0[1] == Keys.updates("s\(id)", series[id].interval) })?[2] else {
                    complaints.check(false, "seed \(seed): no update of \(id)")
                    continue
                }
                var candles = closed.filter { $0.seriesID == id }
                // The newest state comes last unless it is one of the closed candles.
                let isListed = models[id].newest!.isClosed && candles.contains { $0.openTimeMs == models[id].newest!.openTimeMs }
                if newest.contains(id) && !isListed { candles.append(models[id].newest!) }
                let head =
                    "{\"symbol\":\"s\(id)\",\"interval\":\"\(series[id].interval.token)\",\"rows\":\(candles.count),\"updates\":\(models[id].updates),\"candles\":["
                let expected = head + candles.map { RESPText.json($0, series[id]) }.joined(separator: ",") + "]}"
                complaints.check(message == expected, "seed \(seed): \(message), not \(expected)")
                models[id].updates = 0
            }
            let wrong = rig.table.checkInvariants() ?? rig.builder.checkInvariants() ?? rig.batch.checkInvariants()
            complaints.check(wrong == nil, "seed \(seed): \(wrong ?? "")")
            rig.acknowledge()
        }

        for _ in 0..<150 {
            let id = random.below(count)
            let record = streams[id].next(&random)
            let before = (models[id].updates, models[id].closed.count, models[id].late.count)
            models[id].accept(record, &books)
            rig.accept(record)
            if models[id].closed.count > before.1 { unsent.append(record) }
            if models[id].late.count > before.2 {
                // A correction: what waits of the same bar says the same.
                for place in unsent.indices where unsent[place].seriesID == record.seriesID && unsent[place].openTimeMs == record.openTimeMs
                {
                    unsent[place] = record
                }
            }
            if models[id].updates > before.0, models[id].newest!.openTimeMs == record.openTimeMs, !dirty.contains(id) { dirty.append(id) }
            if random.chance(15), !unsent.isEmpty || !dirty.isEmpty { expectBatch(rig.build()) }
        }
        while !unsent.isEmpty || !dirty.isEmpty { expectBatch(rig.build()) }
        complaints.check(rig.build() == [], "seed \(seed): something was left")
        complaints.check(rig.table.closed.count == 0, "seed \(seed): closed left")
    }

    @Test func hundredsOfStreams() {
        var complaints = Complaints()
        for seed in 0..<400 { run(seed: UInt64(seed), &complaints) }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }
}
