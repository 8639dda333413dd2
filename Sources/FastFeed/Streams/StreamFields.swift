// The fields of an entry: names and values in order. A plain value, any thread.
//
// They lie in one block of bytes, shared by all entries of the reply that they came with: an entry costs no allocation of its own. Whoever
// keeps one entry of a large reply for long keeps the reply; `compacted` is a copy of its own.

/// Names and values of an entry in the order in which they were added; a name may come again. Both are bytes; as text, what is not UTF-8
/// is repaired, and `bytes` has it as it is.
///
///     let order: StreamFields = ["order_id": "123", "amount": "99.99"]
///     order["amount"]         // "99.99"
///     for (name, value) in order { print(name, value) }
public struct StreamFields: Sendable, RandomAccessCollection, ExpressibleByDictionaryLiteral {
    public typealias Element = (name: String, value: String)

    /// Nil where there are no fields.
    private let block: ReplyBlock?
    /// The place of the first name in the block. Names and values alternate from there on; all of them are strings.
    private let first: Int32
    private let fieldCount: Int32
    /// More than 128 MiB were given, and not all is here: Redis does not get such an entry.
    let isTooLong: Bool

    /// No field. Redis takes no entry without one.
    public init() { (block, first, fieldCount, isTooLong) = (nil, 0, 0, false) }

    /// Fields of a reply. Whoever calls has checked that all parts are strings.
    @inline(__always)
    init(_ block: ReplyBlock, first: Int, count: Int) {
        (self.block, self.first, fieldCount) = (
            count == 0 ? nil : block, Int32(truncatingIfNeeded: first), Int32(truncatingIfNeeded: count)
        )
        isTooLong = false
    }

    private init(_ maker: consuming ReplyBlock.Maker) {
        let count = maker.count / 2
        isTooLong = maker.isTooLong
        self.block = maker.make()
        (first, fieldCount) = (0, Int32(count))
    }

    /// In the order in which they are written; a name may come again.
    public init(dictionaryLiteral elements: (String, String)...) { self.init(elements) }

    /// In this order; a name may come again.
    public init(_ fields: some Collection<(String, String)>) {
        var maker = ReplyBlock.Maker(strings: 2 * fields.count, bytesHint: 48 * fields.count)
        for (name, value) in fields {
            maker.append(name)
            maker.append(value)
        }
        self.init(maker)
    }

    /// In the order of the names, so that the same dictionary always makes the same entry.
    public init(_ fields: [String: String]) { self.init(fields.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }) }

    /// Names and values of any bytes, in this order.
    public init(bytes fields: some Collection<(name: [UInt8], value: [UInt8])>) {
        var maker = ReplyBlock.Maker(strings: 2 * fields.count, bytesHint: 48 * fields.count)
        for (name, value) in fields {
            unsafe name.withUnsafeBytes { unsafe maker.append($0) }
            unsafe value.withUnsafeBytes { unsafe maker.append($0) }
        }
        self.init(maker)
    }

    /// These fields and more behind them.
    public func appending(_ more: StreamFields) -> StreamFields {
        var maker = ReplyBlock.Maker(strings: 2 * (count + more.count), bytesHint: byteCount + more.byteCount)
        for fields in [self, more] {
            for place in 0..<2 * fields.count {
                unsafe fields.withBytes(place) { unsafe maker.append($0) }
            }
        }
        return StreamFields(maker)
    }

    /// The same in memory of their own: for what is kept long.
    public var compacted: StreamFields { appending([:]) }

    // MARK: Collection

    public var startIndex: Int { 0 }
    public var endIndex: Int { Int(fieldCount) }

    /// A field's name and value as text. The position must be one of the collection's.
    public subscript(position: Int) -> Element {
        precondition(position >= 0 && position < Int(fieldCount), "no such field")
        return (text(2 * position), text(2 * position + 1))
    }

    /// Name and value of the field at a position, which must be below `count`.
    public func bytes(at position: Int) -> (name: [UInt8], value: [UInt8]) {
        precondition(position >= 0 && position < Int(fieldCount), "no such field")
        return unsafe (withBytes(2 * position) { unsafe Array($0) }, unsafe withBytes(2 * position + 1) { unsafe Array($0) })
    }

    // MARK: By name

    /// The value of the first field of that name as text; nil where there is none.
    @inline(__always)
    public subscript(name: String) -> String? { place(name).map { text($0) } }

    /// The first value of this name as bytes, for values that are not UTF-8.
    public func bytes(_ name: String) -> [UInt8]? { place(name).map { unsafe withBytes($0) { unsafe Array($0) } } }

    /// The first value of that name without a copy; nil where there is none.
    package func withBytes<Result>(_ name: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result? {
        place(name).map { unsafe withBytes($0, body) }
    }

    /// Where the value of a name stands, counted from the first name.
    @inline(__always)
    private func place(_ name: String) -> Int? {
        guard let block else { return nil }
        var name = name
        return name.withUTF8 { utf8 in
            let wanted = UnsafeRawBufferPointer(utf8)
            let (start, end) = (Int(first), Int(first) + 2 * Int(fieldCount))
            var place = start
            while place < end {
                if unsafe block.isEqual(block[place], wanted) { return place + 1 - start }
                place += 2
            }
            return nil
        }
    }

    @inline(__always)
    private func text(_ place: Int) -> String { unsafe withBytes(place) { unsafe String(decoding: $0, as: UTF8.self) } }

    @inline(__always)
    private func withBytes<Result>(_ place: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        guard let block else { return unsafe body(UnsafeRawBufferPointer(start: nil, count: 0)) }
        return unsafe block.withBytes(block[Int(first) + place], body)
    }

    // MARK: RESP

    /// Where the fields stand in the block, as RESP. Nil where there are none.
    private var range: Range<Int>? {
        guard let block, fieldCount > 0 else { return nil }
        let (name, value) = (block[Int(first)], block[Int(first) + 2 * Int(fieldCount) - 1])
        // `$`, the length, the line end.
        return name.start - 3 - DigitWriter.digitCount(UInt64(name.length))..<value.start + value.length + 2
    }

    /// Bytes of the fields as RESP.
    var byteCount: Int { range?.count ?? 0 }

    /// Appends names and values as arguments of a command. Between strings nothing stands but their own RESP, whether Redis or we wrote it.
    @inline(__always)
    func write(to bytes: inout [UInt8]) {
        guard let block, let range else { return }
        unsafe block.withBytes(range) { unsafe bytes.append(contentsOf: $0) }
    }
}

extension StreamFields: Equatable {
    /// The same names and values in the same order, byte by byte.
    public static func == (one: StreamFields, other: StreamFields) -> Bool {
        guard one.count == other.count else { return false }
        return (0..<2 * one.count).allSatisfy { place in
            unsafe one.withBytes(place) { first in unsafe other.withBytes(place) { second in unsafe first.elementsEqual(second) } }
        }
    }
}

extension StreamFields: CustomStringConvertible {
    /// `name=value name=value`, for people.
    public var description: String { map { "\($0.name)=\($0.value)" }.joined(separator: " ") }
}
