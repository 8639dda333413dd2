// A bot as the engine's users have it: a connection to Redis, subscribed to all updates, on a thread of its own. It
// tells for each update how long it took from the instant the exchange's schedule had for it.
//
// Open loop: an update that was overtaken by a newer one of its series before it was written counts, too, with the time
// until the newer one arrived (the message says how many updates it stands for, and the schedule when each was due).
// So a stall costs what it costs a user, however much is coalesced meanwhile. The messages of `PSUBSCRIBE updates:*` are read
// without a JSON parser: a subscriber that took long for each would measure itself.

import FastFeed
import Foundation
import Synchronization

final class UpdateSubscriber: Sendable {
    /// A closed candle: when it was due, made and here.
    typealias Close = (dueNs: UInt64, madeNs: UInt64, arrivedNs: UInt64)

    static let sliceNs: UInt64 = 100_000_000

    /// What is known: whole at the end.
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
        try? Wait.until(5, "updates") { findings.withLock { $0.updates } >= expected }
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
        let address =
            switch endpoint.place {
            case .unix(let path): SocketAddress(unixPath: path)
            case .tcp(let place): SocketAddress(numericHost: place.host, port: place.port)
            case .sentinel, .cluster: SocketAddress?.none
            }
        var stream = try RawConnection.open(address)
        try stream.write(Array("PSUBSCRIBE \(Setup.schema.updatesPattern)\r\n".utf8))
        var input = MessageReader()
        while !stopping.load(ordering: .acquiring) {
            guard stream.wait(POLLIN, milliseconds: 50) else { continue }
            guard input.read(&stream) else { throw FeedError(.redis, "Redis has ended the connection") }
            let arrivedNs = MonotonicClock.nowNs()
            isSubscribed.store(true, ordering: .releasing)
            findings.withLock { mine in
                while let message = input.next() { take(message, arrivedNs, &mine) }
            }
        }
        findings.withLock { mine in
            mine.sinceDue.endRound()
            mine.sinceMade.endRound()
            mine.exchangeLateness.endRound()
        }
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

// MARK: - Its messages

/// Of one update: what it stands for, the stamps of its newest candle, and its closed ones.
struct UpdateMessage {
    var updates: UInt64 = 0
    /// When the exchange's schedule had it, and when it was made.
    var dueNs: UInt64 = 0
    var madeNs: UInt64 = 0
    /// Every closed candle in it, with its own stamps.
    var closed: [(dueNs: UInt64, madeNs: UInt64)] = []

    /// Walks once over a text whose field order is known. The newest candle is the last one in the list.
    fileprivate init(_ json: UnsafeRawBufferPointer) {
        var place = 0
        func pass(_ name: StaticString) -> Bool {
            let count = name.utf8CodeUnitCount
            var next = place
            while next + count <= json.count {
                if unsafe json[next] == UInt8(ascii: "\""), unsafe memcmp(json.baseAddress! + next, name.utf8Start, count) == 0 {
                    place = next + count
                    return true
                }
                next += 1
            }
            return false
        }
        func number(after name: StaticString) -> UInt64? {
            guard pass(name) else { return nil }
            var value: UInt64 = 0
            while place < json.count, case let digit = unsafe json[place] &- 48, digit < 10 {
                value = value &* 10 &+ UInt64(digit)
                place += 1
            }
            return value
        }
        updates = number(after: "\"updates\":") ?? 0
        while let due = number(after: "\"first_trade_id\":"), let made = number(after: "\"last_trade_id\":") {
            (dueNs, madeNs) = (due * 1_000, made * 1_000)
            if pass("\"closed\":"), place < json.count, unsafe json[place] == UInt8(ascii: "t") {
                closed.append((dueNs, madeNs))
            }
        }
    }
}

/// Takes whole messages off a byte stream. `*4 pmessage pattern channel payload`.
@safe struct MessageReader: ~Copyable {
    private static let capacity = 1 << 20
    private let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: MessageReader.capacity)
    private var head = 0
    private var tail = 0

    deinit { unsafe bytes.deallocate() }

    /// Takes what has come. False: the connection is over.
    mutating func read(_ stream: inout RawConnection) -> Bool {
        let count = unsafe stream.read(into: bytes + tail, count: MessageReader.capacity - tail)
        tail += count
        return count > 0
    }

    /// The next whole message; nil when more bytes are needed. Answers to the subscription are passed over.
    mutating func next() -> UpdateMessage? {
        while true {
            var place = head
            guard let (_, parts) = line(&place) else { return wait() }
            var payload = 0..<0
            for _ in 0..<parts {
                guard let (mark, count) = line(&place) else { return wait() }
                // The last part of an answer to the subscription is a number.
                guard mark == "$" else { continue }
                payload = place..<(place + count)
                place += count + 2
                guard place <= tail else { return wait() }
            }
            head = place
            if parts == 4 { return unsafe UpdateMessage(UnsafeRawBufferPointer(start: bytes + payload.lowerBound, count: payload.count)) }
        }
    }

    /// Makes room for the rest of a message that is not here yet.
    private mutating func wait() -> UpdateMessage? {
        guard head > 0 else { return nil }
        unsafe bytes.update(from: bytes + head, count: tail - head)
        (head, tail) = (0, tail - head)
        return nil
    }

    /// A line of one mark and a number; nil when it is not whole.
    private func line(_ place: inout Int) -> (mark: Unicode.Scalar, number: Int)? {
        guard place < tail else { return nil }
        let mark = unsafe Unicode.Scalar(bytes[place])
        precondition(mark == "*" || mark == "$" || mark == ":", "Redis sends what was not asked for")
        var (value, next) = (0, place + 1)
        while next < tail, unsafe bytes[next] != 13 {
            value = unsafe value * 10 + Int(bytes[next] &- 48)
            next += 1
        }
        guard next + 1 < tail else { return nil }
        place = next + 2
        return (mark, value)
    }
}
