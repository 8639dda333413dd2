// RESP2 replies of any shape from a stream of bytes, within bounds. Pure; control path; one owner.
//
// A string longer than the bound is not kept: its bytes are skipped as they come, and what stands in its place
// says how long it was. So one peer's giant message costs no memory and does not end the connection. Nothing is
// allocated for what a peer announces, only for what has come.

import Glibc

package struct ReplyParser {
    package enum Step: Equatable {
        case reply(RedisReply)
        case needsMore
        /// Not RESP2: the connection is of no more use.
        case broken(String)
    }

    private static let lineBytesMax = 64 * 1024
    private static let elementsMax = 1_024 * 1_024
    private static let depthMax = 8

    private let stringBytesMax: Int
    private var buffer: [UInt8] = []
    private var head = 0
    /// The arrays that have begun, the innermost last.
    private var levels: [(values: [RedisReply], count: Int)] = []
    /// Bytes of an overlong string (and its line end) that are still to come.
    private var skipped = (left: 0, length: 0)

    /// - Parameter stringBytesMax: strings up to this length are kept.
    package init(stringBytesMax: Int) { self.stringBytesMax = stringBytesMax }

    package mutating func append(_ bytes: some Collection<UInt8>) {
        if head == buffer.count {
            buffer.removeAll(keepingCapacity: buffer.capacity <= 1 << 20)
            head = 0
        } else if head > 1 << 16 {
            buffer.removeSubrange(..<head)
            head = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next whole reply of what has been appended.
    package mutating func next() -> Step {
        while true {
            switch part() {
            case .reply(let value): if let whole = close(value) { return .reply(whole) }
            case let end?: return end
            case nil: continue  // an array has begun
            }
        }
    }

    /// Puts a value into the innermost array; returns what is complete at the outermost level.
    private mutating func close(_ value: RedisReply) -> RedisReply? {
        var value = value
        while !levels.isEmpty {
            let last = levels.count - 1
            levels[last].values.append(value)
            guard levels[last].values.count == levels[last].count else { return nil }
            value = .array(levels.removeLast().values)
        }
        return value
    }

    private mutating func part() -> Step? {
        if skipped.left > 0 { return skip() }
        guard head < buffer.count else { return .needsMore }
        let end = lineEnd()
        guard end - head <= ReplyParser.lineBytesMax else { return .broken("a line that does not end") }
        let mark = buffer[head]
        guard "+-:$*".utf8.contains(mark) else { return .broken("a byte that does not begin a reply") }
        guard end + 1 < buffer.count else { return .needsMore }
        guard buffer[end + 1] == 0x0A else { return .broken("half a line end") }
        if mark == UInt8(ascii: "+") || mark == UInt8(ascii: "-") {
            let line = buffer[(head + 1)..<end]
            guard !line.contains(0x0A) else { return .broken("half a line end") }
            return take(mark == UInt8(ascii: "+") ? .bytes(Array(line)) : .error(Ascii.printable(line)), end + 2)
        }
        guard let number = number(buffer[(head + 1)..<end]) else { return .broken("a number that is not one") }
        switch mark {
        case UInt8(ascii: ":"): return take(.integer(number), end + 2)
        case UInt8(ascii: "$"): return string(number, end + 2)
        default: return array(number, end + 2)
        }
    }

    private mutating func take(_ value: RedisReply, _ next: Int) -> Step {
        head = next
        return .reply(value)
    }

    private mutating func string(_ length: Int64, _ start: Int) -> Step {
        guard length >= -1, length <= 1 << 32 else { return .broken("a string of impossible length") }
        guard length >= 0 else { return take(.null, start) }
        let count = Int(length)
        guard count <= stringBytesMax else {
            head = start
            skipped = (count + 2, count)
            return skip()
        }
        guard buffer.count >= start + count + 2 else { return .needsMore }
        guard buffer[start + count] == 0x0D, buffer[start + count + 1] == 0x0A else { return .broken("a string without its end") }
        return take(.bytes(Array(buffer[start..<(start + count)])), start + count + 2)
    }

    private mutating func skip() -> Step {
        let gone = min(skipped.left, buffer.count - head)
        head += gone
        skipped.left -= gone
        return skipped.left == 0 ? .reply(.tooLong(skipped.length)) : .needsMore
    }

    private mutating func array(_ count: Int64, _ start: Int) -> Step? {
        guard (-1...Int64(ReplyParser.elementsMax)).contains(count) else { return .broken("an array of impossible length") }
        if count == -1 { return take(.null, start) }
        if count == 0 { return take(.array([]), start) }
        guard levels.count < ReplyParser.depthMax else { return .broken("arrays within arrays without end") }
        head = start
        levels.append((values: [], count: Int(count)))
        return nil
    }

    /// The place of the carriage return that ends the line at `head`, or behind all bytes.
    private func lineEnd() -> Int {
        unsafe buffer.withUnsafeBytes { bytes in
            guard let found = unsafe memchr(bytes.baseAddress! + head, 0x0D, bytes.count - head) else { return bytes.count }
            return unsafe UnsafeRawPointer(found) - bytes.baseAddress!
        }
    }

    /// A whole number as Redis writes it: no sign but a minus, no zero in front.
    private func number(_ digits: ArraySlice<UInt8>) -> Int64? {
        guard digits.count <= 20, let value = Int64(String(decoding: digits, as: UTF8.self)) else { return nil }
        return String(value).utf8.elementsEqual(digits) ? value : nil
    }
}
