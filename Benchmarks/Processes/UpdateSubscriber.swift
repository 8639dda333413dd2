// A bot as the engine's users have it: a connection to Redis, subscribed to all updates, on a thread of its own. It
// tells for each update how long it took from the instant the exchange's schedule had for it.
//
// Open loop: an update that was overtaken by a newer one of its series before it was written counts, too, with the time
// until the newer one arrived (the message says how many updates it stands for, and the schedule when each was due).
// So a stall costs what it costs a user, however much is coalesced meanwhile.

import FastFeed
import Foundation
import Synchronization

final class UpdateSubscriber: Sendable {
    /// A closed candle: when it was due, made and here.
    typealias Close = (dueNs: UInt64, madeNs: UInt64, arrivedNs: UInt64)

    static let sliceNs: UInt64 = 100_000_000

    /// What is known at the end; the thread's own until then.
    struct Findings {
        /// Due → arrived here.
        var sinceDue = Latencies()
        /// Made by the exchange → arrived here: without the exchange's own lateness.
        var sinceMade = Latencies()
        /// Due → made.
        var exchangeLateness = Latencies()
        /// Of each closed candle, when there is no schedule.
        var closes: [Close] = []
        /// Due → arrived here over the run, where that was asked for: by the slice of time in which they were due.
        var slices: [UInt64: LatencyHistogram] = [:]
        /// Updates that all messages stand for.
        var updates: UInt64 = 0
        var failure: String?

        /// The rounds of another run behind one's own.
        mutating func add(_ other: Findings) {
            sinceDue.add(other.sinceDue)
            sinceMade.add(other.sinceMade)
            exchangeLateness.add(other.exchangeLateness)
        }

        /// Microseconds that this share of a slice's updates took at most. Nil: nothing was due in it.
        func quantile(_ share: Double, slice: UInt64) -> Double? {
            slices[slice]?.snapshot().quantile(share).map { Double($0) / 1_000 }
        }
    }

    private let findings = Lock(Findings())
    private let updates = Atomic<UInt64>(0)
    private let isSubscribed = Atomic<Bool>(false)
    private let stopping = Atomic<Bool>(false)
    /// Updates due in between count.
    private let fromNs = Atomic<UInt64>(.max)
    private let untilNs = Atomic<UInt64>(.max)
    /// 0: only closed candles are looked at.
    private let seriesPeriodNs: UInt64
    private let keepsTimeline: Bool
    private let thread = Lock<PinnedThread?>(nil)

    init(_ endpoint: RedisEndpoint, _ setup: Setup) throws {
        (seriesPeriodNs, keepsTimeline) = (setup.seriesPeriodNs, setup.keepsTimeline)
        let started = try PinnedThread.start(name: "subscriber") {
            do {
                try self.run(endpoint)
            } catch {
                self.findings.withLock { $0.failure = "\(error)" }
            }
        }
        thread.withLock { $0 = started }
        try Wait.until(5, "an answer to the subscriber") { isSubscribed.load(ordering: .acquiring) }
    }

    /// From now on updates count.
    func open() { fromNs.store(MonotonicClock.nowNs(), ordering: .releasing) }
    /// What is due from now on does not count any more; what was due before does when it arrives.
    func close() { untilNs.store(MonotonicClock.nowNs(), ordering: .releasing) }

    /// Waits until messages for so many updates have come.
    func expect(updates expected: UInt64) throws {
        try? Wait.until(5, "updates") { updates.load(ordering: .acquiring) >= expected }
        stop()
        let seen = result()
        if let failure = seen.failure { throw FeedError(.redis, "the subscriber: \(failure)") }
        guard seen.updates == expected else {
            throw FeedError(.redis, "the subscriber was told of \(seen.updates) updates, the engine took \(expected)")
        }
        guard seriesPeriodNs == 0 || seen.sinceDue.count > 0 else { throw FeedError(.redis, "no update arrived") }
    }

    func stop() {
        stopping.store(true, ordering: .releasing)
        thread.withLock { $0.take()?.join() }
    }

    /// After `stop`.
    func result() -> Findings { findings.withLock { $0 } }

    // MARK: On its thread

    private func run(_ endpoint: RedisEndpoint) throws {
        var mine = Findings()
        let address =
            switch endpoint.place {
            case .unix(let path): SocketAddress(unixPath: path)
            case .tcp(let place): SocketAddress(numericHost: place.host, port: place.port)
            }
        var stream = try RawConnection(address)
        try stream.write(Array("PSUBSCRIBE \(Setup.schema.updatesPattern)\r\n".utf8))
        var input = MessageReader()
        while !stopping.load(ordering: .acquiring) {
            guard stream.wait(POLLIN, milliseconds: 50) else { continue }
            let isOpen = input.read(&stream)
            let arrivedNs = MonotonicClock.nowNs()
            guard isOpen else {
                mine.failure = "Redis has ended the connection"
                break
            }
            isSubscribed.store(true, ordering: .releasing)
            while let message = input.next() { take(message, arrivedNs, &mine) }
            updates.store(mine.updates, ordering: .releasing)
        }
        mine.sinceDue.endRound()
        mine.sinceMade.endRound()
        mine.exchangeLateness.endRound()
        findings.withLock { $0 = mine }
    }

    private func take(_ message: UpdateMessage, _ arrivedNs: UInt64, _ mine: inout Findings) {
        mine.updates += message.updates
        let (from, until) = (fromNs.load(ordering: .relaxed), untilNs.load(ordering: .relaxed))
        // A message for no update tells again what was told: what Redis may have missed is published once more.
        guard message.updates > 0 else { return }
        guard seriesPeriodNs > 0 else {
            for candle in message.closed where candle.dueNs >= from && candle.dueNs < until {
                mine.closes.append((candle.dueNs, candle.madeNs, arrivedNs))
            }
            return
        }
        for overtaken in 0..<message.updates {
            let dueNs = message.dueNs &- overtaken * seriesPeriodNs
            guard dueNs >= from else { break }
            guard dueNs < until else { continue }
            mine.sinceDue.record(arrivedNs - dueNs)
            guard keepsTimeline else { continue }
            let slice = dueNs / UpdateSubscriber.sliceNs
            if mine.slices[slice] == nil { mine.slices[slice] = LatencyHistogram() }
            mine.slices[slice]?.record(arrivedNs - dueNs)
        }
        guard message.dueNs >= from, message.dueNs < until else { return }
        mine.sinceMade.record(arrivedNs - message.madeNs)
        mine.exchangeLateness.record(message.madeNs - message.dueNs)
    }
}
