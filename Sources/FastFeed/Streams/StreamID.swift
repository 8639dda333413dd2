// The id of a stream's entry: Unix milliseconds and a number within them. A plain value, any thread.

/// `1702301234567-0`: milliseconds of the server's clock when the entry was added, and its number in that millisecond; or what the writer
/// chose. Ids of a stream grow strictly, and are not used again when their entries are deleted.
public struct StreamID: Sendable, Hashable, Comparable, LosslessStringConvertible {
    /// Unix milliseconds, unless the writer chose otherwise.
    public let milliseconds: UInt64
    /// The number within the millisecond.
    public let sequence: UInt64

    /// The first id of a millisecond, unless another number within it is named.
    @inline(__always)
    public init(_ milliseconds: UInt64, _ sequence: UInt64 = 0) { (self.milliseconds, self.sequence) = (milliseconds, sequence) }

    /// `0-0`: before every entry. No entry has it.
    public static let min = StreamID(0, 0)
    /// The largest one there can be.
    public static let max = StreamID(.max, .max)

    /// The last one there can be in a millisecond: an end for ranges.
    public static func last(in milliseconds: UInt64) -> StreamID { StreamID(milliseconds, .max) }

    /// The smallest one that is larger. Of `max`, `max`.
    public var next: StreamID {
        if sequence < .max { return StreamID(milliseconds, sequence + 1) }
        return milliseconds < .max ? StreamID(milliseconds + 1, 0) : self
    }

    /// The largest one that is smaller. Of `min`, `min`.
    public var previous: StreamID {
        if sequence > 0 { return StreamID(milliseconds, sequence - 1) }
        return milliseconds > 0 ? StreamID(milliseconds - 1, .max) : self
    }

    /// By milliseconds, then by the number within them.
    @inline(__always)
    public static func < (one: StreamID, other: StreamID) -> Bool {
        one.milliseconds < other.milliseconds || (one.milliseconds == other.milliseconds && one.sequence < other.sequence)
    }

    // MARK: Text

    /// The longest text: two numbers of 20 digits and the dash.
    static let bytesMax = 41

    /// - Parameter text: `milliseconds-sequence`, or the milliseconds alone, which means `milliseconds-0`: digits as Redis reads them, up
    ///   to 18446744073709551615 each. Nil for everything else.
    public init?(_ text: String) {
        var text = text
        guard let id = text.withUTF8({ unsafe StreamID(UnsafeRawBufferPointer($0)) }) else { return nil }
        self = id
    }

    /// The same from bytes; nil when they are not `milliseconds-sequence`.
    @inline(__always)
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= StreamID.bytesMax else { return nil }
        var place = 0
        guard let milliseconds = unsafe StreamID.number(bytes, &place) else { return nil }
        if place == bytes.count {
            self.init(milliseconds, 0)
            return
        }
        guard unsafe bytes[place] == UInt8(ascii: "-") else { return nil }
        place += 1
        guard let sequence = unsafe StreamID.number(bytes, &place), place == bytes.count else { return nil }
        self.init(milliseconds, sequence)
    }

    /// The digits from a place on, at least one; nil when they do not fit.
    @inline(__always)
    private static func number(_ bytes: UnsafeRawBufferPointer, _ place: inout Int) -> UInt64? {
        let start = place
        var value: UInt64 = 0
        while place < bytes.count {
            let digit = unsafe bytes[place] &- 0x30
            guard digit < 10 else { break }
            // 19 digits always fit.
            if place - start < 19 {
                value = value &* 10 &+ UInt64(digit)
            } else {
                let (product, isOver) = value.multipliedReportingOverflow(by: 10)
                let (sum, isOverToo) = product.addingReportingOverflow(UInt64(digit))
                if isOver || isOverToo { return nil }
                value = sum
            }
            place += 1
        }
        return place > start ? value : nil
    }

    /// `milliseconds-sequence`.
    public var description: String { "\(milliseconds)-\(sequence)" }

    /// As an argument of a command.
    @inline(__always)
    func writeBulk(to bytes: inout [UInt8]) {
        RESPWriter.bulkHead(DigitWriter.digitCount(milliseconds) + 1 + DigitWriter.digitCount(sequence), to: &bytes)
        RESPWriter.number(milliseconds, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        RESPWriter.number(sequence, to: &bytes)
        RESPWriter.lineEnd(to: &bytes)
    }
}

/// Where a reader begins.
public enum StreamPosition: Sendable, Hashable {
    /// Before the oldest entry.
    case start
    /// Behind what is there when it begins.
    case end
    /// Behind an entry, whether it is still there or not.
    case after(StreamID)
}
