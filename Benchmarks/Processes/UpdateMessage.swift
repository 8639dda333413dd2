// The messages of `PSUBSCRIBE updates:*`, read without a JSON parser: a subscriber that took long for each message would
// measure itself. Pure.

import FastFeed
import Glibc

/// Of one update: what it stands for, the stamps of its newest candle, and its closed ones.
struct UpdateMessage {
    var updates: UInt64 = 0
    /// When the exchange's schedule had it, and when it was made.
    var dueNs: UInt64 = 0
    var madeNs: UInt64 = 0
    /// Every closed candle in it, with its own stamps.
    var closed: [(dueNs: UInt64, madeNs: UInt64)] = []
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
            guard let parts = length("*", &place) else { return wait() }
            var payload = 0..<0
            for part in 0..<parts {
                if part == parts - 1, place < tail, unsafe bytes[place] == UInt8(ascii: ":") {
                    guard length(":", &place) != nil else { return wait() }
                    continue
                }
                guard let count = length("$", &place), place + count + 2 <= tail else { return wait() }
                payload = place..<(place + count)
                place += count + 2
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
    private func length(_ mark: Unicode.Scalar, _ place: inout Int) -> Int? {
        var value = 0
        var next = place
        guard next < tail else { return nil }
        unsafe precondition(bytes[next] == UInt8(ascii: mark), "Redis sends what was not asked for")
        next += 1
        while next < tail, unsafe bytes[next] != 13 {
            value = unsafe value * 10 + Int(bytes[next] &- 48)
            next += 1
        }
        guard next + 1 < tail else { return nil }
        place = next + 2
        return value
    }
}

extension UpdateMessage {
    /// The newest candle is the last one in the list.
    fileprivate init(_ json: UnsafeRawBufferPointer) {
        var scan = unsafe FieldScan(json)
        updates = scan.number(after: "\"updates\":") ?? 0
        while let due = scan.number(after: "\"first_trade_id\":"), let made = scan.number(after: "\"last_trade_id\":") {
            (dueNs, madeNs) = (due * 1_000, made * 1_000)
            if scan.byte(after: "\"closed\":") == UInt8(ascii: "t") { closed.append((dueNs, madeNs)) }
        }
    }
}

/// Walks once over a text whose field order is known.
@safe private struct FieldScan {
    private let text: UnsafeRawBufferPointer
    private var place = 0

    init(_ text: UnsafeRawBufferPointer) { unsafe self.text = unsafe text }

    mutating func number(after name: StaticString) -> UInt64? {
        guard pass(name) else { return nil }
        var value: UInt64 = 0
        while unsafe place < text.count, case let digit = unsafe text[place] &- 48, digit < 10 {
            value = value &* 10 &+ UInt64(digit)
            place += 1
        }
        return value
    }

    mutating func byte(after name: StaticString) -> UInt8? { unsafe pass(name) && place < text.count ? text[place] : nil }

    private mutating func pass(_ name: StaticString) -> Bool {
        let count = name.utf8CodeUnitCount
        guard let base = unsafe text.baseAddress else { return false }
        var next = place
        while unsafe next + count <= text.count {
            if unsafe text[next] == UInt8(ascii: "\""), unsafe memcmp(base + next, name.utf8Start, count) == 0 {
                place = next + count
                return true
            }
            next += 1
        }
        return false
    }
}
