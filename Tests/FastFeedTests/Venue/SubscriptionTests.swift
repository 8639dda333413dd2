// Asking for streams: pieces, pace, answers, time-outs. Time is the test's.

import FastFeed
import Foundation
import TestKit
import Testing

struct SubscriptionTests {
    private static let second: UInt64 = 1_000_000_000

    private func names(_ count: Int) -> [String] { (0..<count).map { "symbol\($0)usdt@kline_1m" } }

    private func params(_ message: [UInt8]?, _ method: String = "SUBSCRIBE") throws -> (id: Int64, names: [String]) {
        let message = try #require(message)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(message)) as? [String: Any])
        #expect(object["method"] as? String == method)
        return (try #require(object["id"] as? NSNumber).int64Value, try #require(object["params"] as? [String]))
    }

    @Test func shortListsGoIntoTheURL() {
        let two = ["btcusdt@kline_1m", "ethusdt@kline_1M"]
        #expect(
            Subscription(streams: two, dialect: Binance(.spot), subscribeForm: .automatic, usesCombinedStreams: true).target
                == "/stream?streams=btcusdt@kline_1m/ethusdt@kline_1M")
        #expect(
            Subscription(streams: two, dialect: Binance(.spot), subscribeForm: .url, usesCombinedStreams: false).target
                == "/ws/btcusdt@kline_1m/ethusdt@kline_1M")
        // Futures klines come by the /market route only.
        #expect(
            Subscription(streams: two, dialect: Binance(.um), subscribeForm: .automatic, usesCombinedStreams: true).target
                == "/market/stream?streams=btcusdt@kline_1m/ethusdt@kline_1M")
        #expect(
            Subscription(streams: two, dialect: Binance(.um), subscribeForm: .automatic, usesCombinedStreams: false).target
                == "/market/ws/btcusdt@kline_1m/ethusdt@kline_1M")
        var inURL = Subscription(streams: two, dialect: Binance(.spot), subscribeForm: .automatic, usesCombinedStreams: true)
        #expect(inURL.isComplete && inURL.nextMessage(nowNs: 0) == nil && inURL.nextDeadlineNs == .max)
    }

    /// Percent-encoded in a URL, as they are in a message.
    @Test func namesBeyondASCII() throws {
        let streams = ["龙虾usdt@kline_1m", "btcusdt@kline_1m"]
        let target = "%E9%BE%99%E8%99%BEusdt@kline_1m/btcusdt@kline_1m"
        func make(_ form: SubscribeForm, combined: Bool) -> Subscription {
            Subscription(streams: streams, dialect: Binance(.spot), subscribeForm: form, usesCombinedStreams: combined)
        }
        #expect(make(.url, combined: true).target == "/stream?streams=" + target && make(.url, combined: false).target == "/ws/" + target)
        var message = make(.message, combined: true)
        #expect(try params(message.nextMessage(nowNs: 0)).names == streams)
        let many = (0..<120).map { "币安人生\($0)usdt@kline_1m" }
        let long = Subscription(streams: many, dialect: Binance(.spot), subscribeForm: .automatic, usesCombinedStreams: true)
        #expect(long.target == "/stream", "encoded they are longer than a URL may be")
    }

    @Test func urlThreshold() {
        for combined in [true, false] {
            var last = 0
            for count in 1...400 {
                let subscription = Subscription(
                    streams: names(count), dialect: Binance(.spot), subscribeForm: .automatic, usesCombinedStreams: combined)
                #expect(subscription.target.utf8.count <= 4_000)
                if subscription.isComplete { last = count } else { #expect(subscription.target == (combined ? "/stream" : "/ws")) }
                // Complete up to a count, and never again beyond it.
                #expect(subscription.isComplete == (last == count))
            }
            #expect(last > 100)
            // Forced into the URL it stays there, whatever its length.
            #expect(
                Subscription(streams: names(400), dialect: Binance(.spot), subscribeForm: .url, usesCombinedStreams: combined).isComplete)
        }
        let empty = Subscription(streams: [], dialect: Binance(.spot), subscribeForm: .url, usesCombinedStreams: true)
        #expect(empty.target == "/stream" && empty.isComplete)
    }

    @Test func piecesAreSmallPacedAndComplete() throws {
        let wanted = names(1_024)
        var subscription = Subscription(streams: wanted, dialect: Binance(.spot), subscribeForm: .message, usesCombinedStreams: true)
        #expect(subscription.target == "/stream" && !subscription.isComplete)
        var sentNs: [UInt64] = []
        var asked: [String] = []
        var ids: [Int64] = []
        var nowNs: UInt64 = 5 * SubscriptionTests.second
        while asked.count < wanted.count {
            if let message = subscription.nextMessage(nowNs: nowNs) {
                #expect(message.count <= 4_000)
                let (id, names) = try params(message)
                #expect(!names.isEmpty)
                asked += names
                ids.append(id)
                sentNs.append(nowNs)
                #expect(subscription.nextMessage(nowNs: nowNs) == nil, "a second message at the same instant")
            }
            nowNs += 1_000_000
            try #require(nowNs < 60 * SubscriptionTests.second)
        }
        #expect(asked == wanted)
        #expect(Set(ids).count == ids.count && ids.count > 3)
        // At most 4 in any second, pongs and pings besides; the exchange cuts at 5.
        for (index, at) in sentNs.enumerated() { #expect(sentNs[index...].count { $0 < at + SubscriptionTests.second } <= 4) }
        #expect(!subscription.isComplete)
        for id in ids { subscription.onResult(id: id) }
        #expect(subscription.isComplete && subscription.refused.isEmpty)
    }

    @Test func otherMessagesCountAgainstThePace() {
        var subscription = Subscription(streams: names(3), dialect: Binance(.spot), subscribeForm: .message, usesCombinedStreams: false)
        subscription.noteSent(nowNs: 1_000)
        #expect(subscription.nextMessage(nowNs: 1_000) == nil)
        #expect(subscription.nextDeadlineNs > 1_000 + 200_000_000)
        #expect(subscription.nextMessage(nowNs: subscription.nextDeadlineNs) != nil)
    }

    @Test func answersThatAreNotOurs() throws {
        var subscription = Subscription(streams: names(3), dialect: Binance(.spot), subscribeForm: .message, usesCombinedStreams: true)
        let id = try params(subscription.nextMessage(nowNs: 0)).id
        subscription.onResult(id: nil)
        subscription.onResult(id: id + 1)
        subscription.onError(id: nil)
        subscription.onError(id: id + 1)
        #expect(!subscription.isComplete && subscription.refused.isEmpty)
        subscription.onResult(id: id)
        subscription.onError(id: id)
        #expect(subscription.isComplete && subscription.refused.isEmpty)
    }

    /// An exchange that refuses every message with a bad name in it: in the end only the bad names are missing.
    @Test func refusals() throws {
        let wanted = names(300)
        let bad: Set<String> = [wanted[7], wanted[123], wanted[299]]
        var subscription = Subscription(streams: wanted, dialect: Binance(.spot), subscribeForm: .message, usesCombinedStreams: true)
        var subscribed: Set<String> = []
        var nowNs = SubscriptionTests.second
        while !subscription.isComplete {
            try #require(nowNs < 100 * SubscriptionTests.second)
            if let message = subscription.nextMessage(nowNs: nowNs) {
                let (id, names) = try params(message)
                if bad.isDisjoint(with: names) {
                    subscribed.formUnion(names)
                    subscription.onResult(id: id)
                } else {
                    subscription.onError(id: id)
                }
            }
            nowNs += SubscriptionTests.second / 10
        }
        #expect(subscribed == Set(wanted).subtracting(bad))
        #expect(Set(subscription.refused) == bad && subscription.refused.count == bad.count)
        #expect(subscription.requeueOverdue(nowNs: 1_000 * SubscriptionTests.second) == 0, "a refused stream is not asked for again")
    }

    @Test func silenceIsAskedAgain() throws {
        var subscription = Subscription(streams: names(3), dialect: Binance(.spot), subscribeForm: .message, usesCombinedStreams: true)
        let first = try params(subscription.nextMessage(nowNs: 1))
        let dueNs = UInt64(Limits.subscribeTimeoutMs) * 1_000_000 + 1
        #expect(subscription.nextDeadlineNs == dueNs)
        #expect(subscription.requeueOverdue(nowNs: dueNs - 1) == 0)
        #expect(subscription.requeueOverdue(nowNs: dueNs) == 1)
        let again = try params(subscription.nextMessage(nowNs: dueNs))
        #expect(again.names == first.names && again.id != first.id)
        // The late answer to the first message settles nothing; the second one's does.
        subscription.onResult(id: first.id)
        #expect(!subscription.isComplete)
        subscription.onResult(id: again.id)
        #expect(subscription.isComplete)
    }

    /// Given up and asked for anew, in this order, whatever else happens.
    @Test func streamsAreAskedForAnew() throws {
        let three = names(3)
        func made() -> Subscription {
            Subscription(streams: three, dialect: Binance(.spot), subscribeForm: .url, usesCombinedStreams: true)
        }
        var subscription = made()
        subscription.renew([three[1], "other@kline_1m"])
        #expect(try params(subscription.nextMessage(nowNs: 0), "UNSUBSCRIBE").names == [three[1]])
        #expect(subscription.nextMessage(nowNs: 0) == nil && subscription.streams == three)
        #expect(try params(subscription.nextMessage(nowNs: SubscriptionTests.second)).names == [three[1]])
        // Its UNSUBSCRIBE has no answer: sent again it would undo what came behind it.
        let lateNs = 60 * SubscriptionTests.second
        #expect(subscription.requeueOverdue(nowNs: lateNs) == 2)
        #expect(try params(subscription.nextMessage(nowNs: lateNs)).names == [three[1]])
        #expect(subscription.nextMessage(nowNs: .max) == nil)
        // Not wanted any more before it is its turn: given up once.
        var stopped = made()
        stopped.renew([three[0]])
        stopped.change([three[0]], isWanted: false)
        #expect(try params(stopped.nextMessage(nowNs: 0), "UNSUBSCRIBE").names == [three[0]])
        #expect(stopped.nextMessage(nowNs: .max) == nil)
    }

    @Test func aRenewedOneAsksForWhatIsWantedNow() throws {
        let three = names(3)
        var subscription = Subscription(streams: three, dialect: Binance(.spot), subscribeForm: .message, usesCombinedStreams: true)
        subscription.change([three[1]], isWanted: false)
        subscription.change(["new@kline_1m", three[0]], isWanted: true)
        #expect(subscription.streams == [three[2], "new@kline_1m", three[0]])
        var renewed = subscription.renewed
        #expect(renewed.streams == subscription.streams)
        #expect(try params(renewed.nextMessage(nowNs: 0)).names == subscription.streams)
        #expect(renewed.nextMessage(nowNs: .max) == nil)
    }
}
