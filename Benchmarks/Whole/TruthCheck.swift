// What Redis holds after a run of the whole engine against what the exchange said: every closed candle whose frame went
// out must be there, once, with the same text in every field; `latest:*` must be the last states; nothing else may be.

import FastFeed
import Foundation

enum TruthCheck {
    /// - Throws: one sentence naming the first thing that is wrong, or that too little was there to prove anything.
    static func run(truthFile: String, redis: RedisEndpoint, setup: WholeSetup, closedWritten: UInt64) throws {
        var check = try StoreCheck(redis, latest: setup.endsInTheMiddle ? .reachable : .last)
        try check.check(TruthFile(URL(fileURLWithPath: truthFile)))
        guard check.lost + check.wrong + check.foreign + check.latestWrong == 0 else {
            throw FeedError(
                .redis,
                "\(check.lost) closed candles lost, \(check.wrong) wrong, \(check.foreign) foreign, \(check.latestWrong) latest states wrong: "
                    + (check.examples.first ?? ""))
        }
        guard check.delivered >= setup.series else {
            throw FeedError(.venue, "only \(check.delivered) closed candles of \(setup.series) series were delivered: nothing is proven")
        }
        guard check.latestCompared == setup.series else {
            throw FeedError(.venue, "\(check.latestCompared) streams said anything, \(setup.series) are followed")
        }
        guard check.stored == Int(closedWritten) else {
            throw FeedError(.redis, "\(closedWritten) closed candles were acknowledged, \(check.stored) are stored")
        }
    }
}
