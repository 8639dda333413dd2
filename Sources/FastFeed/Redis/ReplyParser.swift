// RESP2 replies of any shape from a stream of bytes, within bounds. Pure; control path; one owner.
//
// A string longer than the bound is not kept: its bytes are skipped as they come, and what stands in its place
// says how long it was. So one peer's giant message costs no memory and does not end the connection.

/// One reply, or one part of an array.
package indirect enum Reply: Equatable, Sendable {
    /// Bulk and status strings.
    case bytes([UInt8])
    /// A string of this many bytes, longer than the bound.
    case tooLong(Int)
    case integer(Int64)
    case null
    case error(String)
    case array([Reply])

    package var bytes: [UInt8]? { if case .bytes(let bytes) = self { bytes } else { nil } }
    package var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
    /// A short string as text; bytes that are not UTF-8 are repaired.
    package var text: String? { bytes.map { String(decoding: $0, as: UTF8.self) } }
}

package struct ReplyParser {
    package enum Step: Equatable {
        case reply(Reply)
        case needsMore
        /// Not RESP2: the connection is of no more use.
        case broken(String)
    }

    private struct Level {
        var values: [Reply]
        let count: Int
    }

    private static let lineBytesMax = 64 * 1024
    private static let elementsMax = 1_024 * 1_024
    private static let depthMax = 8

    private let stringBytesMax: Int
    private var buffer: [UInt8] = []
    private var head = 0
    private var levels: [Level] = []
    /// Bytes of an overlong string (and its line end) that are still to come.
    private var skipped = (left: 0, length: 0)

    /// - Parameter stringBytesMax: strings up to this length are kept.
    package init(stringBytesMax: Int) { self.stringBytesMax = stringBytesMax }

    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        if head == buffer.count {
            buffer.removeAll(keepingCapacity: buffer.capacity <= 1 << 20)
            head = 0
        } else if head > 1 << 16 {
            buffer.removeSubrange(..<head)
            head = 0
        }
        unsafe buffer.append(contentsOf: bytes)
    }

    /// The next whole reply of what has been appended.
    package mutating func next() -> Step {
        while true {
            switch part() {
            case .needsMore: return .needsMore
            case .broken(let reason): return .broken(reason)
            case .reply(let value):
                if let whole = close(value) { return .reply(whole) }
            case nil: continue  // an array has begun
            }
        }
    }

    /// Puts a value into the innermost array; returns what is complete at the outermost level.
    private mutating func close(_ value: Reply) -> Reply? {
        var value = value
        while let last = levels.indices.last {
            levels[last].values.append(value)
            guard levels[last].values.count == levels[last].count else { return nil }
            value = .array(levels.removeLast().values)
        }
        return value
    }

    private mutating func part() -> Step? {
        if skipped.left > 0 { return skip() }
        guard head < buffer.count else { return .needsMore }
        guard let end = lineEnd() else {
            return buffer.count - head > ReplyParser.lineBytesMax ? .broken("a line that does not end") : .needsMore
        }
        let line = buffer[(head + 1)..<end]
        switch buffer[head] {
        case UInt8(ascii: "+"): return take(.bytes(Array(line)), end + 2)
        case UInt8(ascii: "-"): return take(.error(Ascii.printable(line)), end + 2)
        case UInt8(ascii: ":"):
            guard let value = ReplyParser.number(line) else { return .broken("an integer that is none") }
            return take(.integer(value), end + 2)
        case UInt8(ascii: "$"): return string(line, end + 2)
        case UInt8(ascii: "*"): return array(line, end + 2)
        default: return .broken("a byte that begins no reply")
        }
    }

    private mutating func take(_ value: Reply, _ next: Int) -> Step {
        head = next
        return .reply(value)
    }

    private mutating func string(_ line: ArraySlice<UInt8>, _ start: Int) -> Step {
        guard let length = ReplyParser.number(line), length >= -1, length <= 1 << 32 else { return .broken("a length that is none") }
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

    private mutating func array(_ line: ArraySlice<UInt8>, _ start: Int) -> Step? {
        guard let count = ReplyParser.number(line), (-1...Int64(ReplyParser.elementsMax)).contains(count) else {
            return .broken("an array of impossible length")
        }
        if count == -1 { return take(.null, start) }
        if count == 0 { return take(.array([]), start) }
        guard levels.count < ReplyParser.depthMax else { return .broken("arrays within arrays without end") }
        head = start
        levels.append(Level(values: [], count: Int(count)))
        return nil
    }

    private func lineEnd() -> Int? {
        var index = head + 1
        while index + 1 < buffer.count {
            if buffer[index] == 0x0D { return buffer[index + 1] == 0x0A ? index : nil }
            index += 1
        }
        return nil
    }

    private static func number(_ line: ArraySlice<UInt8>) -> Int64? {
        guard line.count <= 20 else { return nil }
        return Int64(String(decoding: line, as: UTF8.self))
    }
}
