// One whole reply of Redis, or the replies to one batch, as it came: its bytes and where its parts lie in them. Immutable, any thread.
//
// One allocation a reply, whatever it holds: what is made of it (entries, fields) refers to it by place. Parts stand in the order in which
// they came: an array, then its elements, each followed by what is within it. Bounds: those of `ReplyScanner`, its only maker besides
// `ReplyBlock.Maker`, for replies of our own.

import Glibc

@safe package final class ReplyBlock: @unchecked Sendable {
    package enum Kind: UInt8, Sendable {
        /// A bulk string.
        case string
        case integer, null
        /// What Redis says is wrong.
        case error
        case array
        /// A string that was not kept: longer than `Limits.streamStringBytesMax`, or one with which the reply would be too long.
        case tooLong
        /// A line such as `OK`.
        case status
    }

    /// A part in 8 bytes: its kind (3 bits), where it lies (27), how long it is (34).
    package struct Part: BitwiseCopyable, Sendable {
        let bits: UInt64

        @inline(__always)
        init(_ kind: Kind, start: Int, length: Int) {
            bits = UInt64(kind.rawValue) &<< 61 | UInt64(truncatingIfNeeded: start) &<< 34 | UInt64(truncatingIfNeeded: length)
        }

        /// Where a part may start, and how long what was skipped may be.
        static let startMax = (1 << 27) - 1
        static let lengthMax = (1 << 34) - 1

        @inline(__always)
        package var kind: Kind { unsafe unsafeBitCast(UInt8(truncatingIfNeeded: bits &>> 61), to: Kind.self) }
        /// Of an array: the place behind its last element. Of anything else: its first byte.
        @inline(__always)
        var start: Int { Int(truncatingIfNeeded: bits &>> 34 & 0x7FF_FFFF) }
        /// Bytes; of an array: elements.
        @inline(__always)
        package var length: Int { Int(truncatingIfNeeded: bits & 0x3_FFFF_FFFF) }
        @inline(__always)
        func isString(_ length: Int) -> Bool { bits &>> 61 == 0 && self.length == length }
    }

    // One allocation: first the parts, then the bytes. Written before it is shared, read only from then on.
    private let memory: UnsafeMutableRawPointer
    package let partCount: Int
    let byteCount: Int

    /// Copies the parts and the bytes.
    init(parts: UnsafeBufferPointer<Part>, bytes: UnsafeRawBufferPointer) {
        precondition(!parts.isEmpty, "a reply has at least one part")
        (partCount, byteCount) = (parts.count, bytes.count)
        unsafe memory = .allocate(byteCount: parts.count * 8 + bytes.count, alignment: 8)
        unsafe memory.copyMemory(from: parts.baseAddress!, byteCount: parts.count * 8)
        if let base = bytes.baseAddress { unsafe (memory + parts.count * 8).copyMemory(from: base, byteCount: bytes.count) }
    }

    deinit { unsafe memory.deallocate() }

    // MARK: By place

    /// The part at a place; 0 is the whole.
    @inline(__always)
    package subscript(place: Int) -> Part {
        precondition(place >= 0 && place < partCount, "a place outside of the reply")
        return unsafe memory.load(fromByteOffset: place &* 8, as: Part.self)
    }

    /// The place behind a part and everything within it: of an array's element, the next element's.
    @inline(__always)
    package func following(_ place: Int) -> Int {
        let part = self[place]
        return part.kind == .array ? part.start : place + 1
    }

    /// The bytes of a string, an integer or an error; none of anything else.
    @inline(__always)
    package func withBytes<Result, Failure: Error>(
        _ part: Part, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let (start, length) = part.kind == .array || part.kind == .null || part.kind == .tooLong ? (0, 0) : (part.start, part.length)
        precondition(start + length <= byteCount, "a part outside of the reply")
        defer { withExtendedLifetime(self) {} }
        return unsafe try body(UnsafeRawBufferPointer(start: memory + partCount * 8 + start, count: length))
    }

    /// A range of the bytes as they came.
    @inline(__always)
    func withBytes<Result>(_ range: Range<Int>, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "bytes outside of the reply")
        defer { withExtendedLifetime(self) {} }
        return unsafe body(UnsafeRawBufferPointer(start: memory + partCount * 8 + range.lowerBound, count: range.count))
    }

    package func bytes(_ place: Int) -> [UInt8] { unsafe withBytes(self[place]) { unsafe Array($0) } }

    /// As text; bytes that are not UTF-8 are repaired.
    package func text(_ place: Int) -> String { unsafe withBytes(self[place]) { unsafe String(decoding: $0, as: UTF8.self) } }

    /// Of an integer, or a string that is one; nil for everything else.
    package func integer(_ place: Int) -> Int64? {
        let part = self[place]
        guard [.integer, .string].contains(part.kind) else { return nil }
        return unsafe withBytes(part) { unsafe ReplyNumber.parse($0) }
    }

    @inline(__always)
    package func isEqual(_ part: Part, _ other: UnsafeRawBufferPointer) -> Bool {
        guard part.isString(other.count) else { return false }
        return unsafe other.isEmpty || withBytes(part) { unsafe memcmp($0.baseAddress!, other.baseAddress!, other.count) == 0 }
    }

    package var root: ReplyNode { ReplyNode(self, 0) }

    /// For tests and rare paths.
    package var value: RedisReply { root.value }
}

/// A part of a reply that knows its reply: for what does not happen per message.
package struct ReplyNode: Sendable {
    package let block: ReplyBlock
    package let place: Int

    init(_ block: ReplyBlock, _ place: Int) { (self.block, self.place) = (block, place) }

    package var kind: ReplyBlock.Kind { block[place].kind }
    /// Elements of an array; 0 of anything else.
    package var count: Int { kind == .array ? block[place].length : 0 }
    package var isNull: Bool { kind == .null }
    /// The text of a string or a status; nil for anything else.
    package var text: String? { kind == .string || kind == .status ? block.text(place) : nil }
    package var bytes: [UInt8]? { kind == .string || kind == .status ? block.bytes(place) : nil }
    /// The value of an integer, or of a string that is one; nil for anything else.
    package var integer: Int64? { block.integer(place) }
    /// The text of an error reply as it came (the first KiB).
    package var error: String? {
        guard kind == .error else { return nil }
        return unsafe block.withBytes(block[place]) { unsafe String(decoding: $0.prefix(1_024), as: UTF8.self) }
    }
    /// The elements of an array in order; none of anything else.
    package var children: [ReplyNode] {
        var next = place + 1
        return (0..<count).map { _ in
            defer { next = block.following(next) }
            return ReplyNode(block, next)
        }
    }

    /// The value behind a name in an array of names and values, as XINFO has it.
    package subscript(name: String) -> ReplyNode? {
        let parts = children
        return stride(from: 0, to: parts.count - 1, by: 2).first { parts[$0].text == name }.map { parts[$0 + 1] }
    }

    package var value: RedisReply {
        switch kind {
        case .string, .status: .bytes(block.bytes(place))
        case .integer: integer.map { .integer($0) } ?? .null
        case .null: .null
        case .error: .error(Ascii.printable(block.bytes(place)))
        case .array: .array(children.map(\.value))
        case .tooLong: .tooLong(block[place].length)
        }
    }
}

/// Numbers as Redis writes them. Pure.
enum ReplyNumber {
    /// No sign but a minus, no zero in front, nothing that does not fit. Nil for everything else.
    @inline(__always)
    static func parse(_ digits: UnsafeRawBufferPointer) -> Int64? {
        var place = 0
        let count = digits.count
        let isNegative = unsafe count > 1 && digits[0] == UInt8(ascii: "-")
        if isNegative { place = 1 }
        guard count > place, count - place <= 19 else { return nil }
        let first = unsafe digits[place]
        guard first != 0x30 || (count == 1) else { return nil }
        var value: UInt64 = 0
        while place < count {
            let digit = unsafe digits[place] &- 0x30
            guard digit < 10 else { return nil }
            value = value &* 10 &+ UInt64(digit)
            place += 1
        }
        if isNegative { return value <= 1 << 63 ? Int64(truncatingIfNeeded: 0 &- value) : nil }
        return Int64(exactly: value)
    }
}

extension ReplyBlock {
    /// Strings of our own in the form of a reply, so that what goes out and what came is one kind of thing.
    @safe struct Maker: ~Copyable {
        private var parts: [Part] = []
        private var bytes: [UInt8] = []
        /// More was appended than a part can point at: what came last is not in it.
        private(set) var isTooLong = false

        init(strings: Int, bytesHint: Int) {
            parts.reserveCapacity(strings)
            bytes.reserveCapacity(bytesHint)
        }

        var count: Int { parts.count }
        var byteCount: Int { bytes.count }

        mutating func append(_ text: String) {
            var text = text
            text.withUTF8 { unsafe append(UnsafeRawBufferPointer($0)) }
        }

        /// Written as RESP has it: `$3\r\nabc\r\n`.
        mutating func append(_ string: UnsafeRawBufferPointer) {
            guard !isTooLong, bytes.count + string.count <= Part.startMax else { return isTooLong = true }
            RESPWriter.bulkHead(string.count, to: &bytes)
            parts.append(Part(.string, start: bytes.count, length: string.count))
            unsafe bytes.append(contentsOf: string)
            RESPWriter.lineEnd(to: &bytes)
        }

        /// Nil where nothing was appended.
        func make() -> ReplyBlock? {
            guard !parts.isEmpty else { return nil }
            return unsafe parts.withUnsafeBufferPointer { parts in
                unsafe bytes.withUnsafeBytes { unsafe ReplyBlock(parts: parts, bytes: $0) }
            }
        }
    }
}

/// RESP as we write it where it happens per message: straight into bytes. Pure.
enum RESPWriter {
    @inline(__always)
    static func lineEnd(to bytes: inout [UInt8]) {
        bytes.append(0x0D)
        bytes.append(0x0A)
    }

    @inline(__always)
    static func number(_ value: UInt64, to bytes: inout [UInt8]) {
        if value < 10 { return bytes.append(0x30 &+ UInt8(truncatingIfNeeded: value)) }
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: DigitWriter.bytesMax + 8) { digits in
            let count = unsafe DigitWriter.write(magnitude: value, to: digits.baseAddress!)
            unsafe bytes.append(contentsOf: UnsafeBufferPointer(rebasing: digits[..<count]))
        }
    }

    @inline(__always)
    static func bulkHead(_ count: Int, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "$"))
        number(UInt64(count), to: &bytes)
        lineEnd(to: &bytes)
    }

    @inline(__always)
    static func arrayHead(_ count: Int, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "*"))
        number(UInt64(count), to: &bytes)
        lineEnd(to: &bytes)
    }

    @inline(__always)
    static func bulk(_ text: String, to bytes: inout [UInt8]) {
        var text = text
        text.withUTF8 { utf8 in
            bulkHead(utf8.count, to: &bytes)
            unsafe bytes.append(contentsOf: utf8)
            lineEnd(to: &bytes)
        }
    }
}
