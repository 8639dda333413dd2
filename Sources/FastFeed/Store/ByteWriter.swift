// Bytes appended to memory whose room the caller has measured. The unchecked room behind the checked door:
// `BatchBuilder` reserves `Limits.candleRespBytesMax` per candle before it writes one. One owner, one thread.

@safe package struct ByteWriter: ~Copyable {
    private let base: UnsafeMutablePointer<UInt8>
    package private(set) var count = 0

    package init(_ memory: UnsafeMutableRawPointer) { unsafe base = unsafe memory.assumingMemoryBound(to: UInt8.self) }

    /// All that was written.
    package var bytes: Span<UInt8> {
        @_lifetime(borrow self)
        get { unsafe _overrideLifetime(Span(_unsafeStart: base, count: count), borrowing: self) }
    }

    /// Lends `length` of them from a place on: what a socket has not taken yet.
    package func withBytes<Result>(from place: Int, length: Int, _ body: (Span<UInt8>) -> Result) -> Result {
        body(bytes.extracting(place..<place + length))
    }

    mutating func removeAll() { count = 0 }

    @inline(__always)
    mutating func advance(_ bytes: Int) { count &+= bytes }

    @inline(__always)
    mutating func rewind(to place: Int) { count = place }

    /// Into a gap left before.
    @inline(__always)
    mutating func store(_ value: some FixedWidthInteger & BitwiseCopyable, at place: Int) {
        unsafe UnsafeMutableRawPointer(base + place).storeBytes(of: value, as: type(of: value))
    }

    @inline(__always)
    mutating func put(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe put($0.baseAddress.unsafelyUnwrapped, $0.count) }
    }

    @inline(__always)
    package mutating func put(_ piece: TextPiece) { unsafe put(piece.start, piece.count) }

    @inline(__always)
    package mutating func put(_ literal: StaticString) { unsafe put(literal.utf8Start, literal.utf8CodeUnitCount) }

    /// What stands at a place already, once more.
    @inline(__always)
    mutating func putAgain(from place: Int, length: Int) { unsafe put(base + place, length) }

    @inline(__always)
    private mutating func put(_ bytes: UnsafeRawPointer, _ length: Int) {
        unsafe UnsafeMutableRawPointer(base + count).copyMemory(from: bytes, byteCount: length)
        count &+= length
    }

    @inline(__always)
    package mutating func put(_ byte: UInt8) {
        unsafe base[count] = byte
        count &+= 1
    }

    @inline(__always)
    package mutating func put(_ value: Int64) { unsafe count &+= DigitWriter.write(value, to: base + count) }

    /// 32 bytes are written whatever the length, then the count moves by the length.
    @inline(__always)
    package mutating func put(_ decimal: DecimalText) {
        store(decimal.words.0, at: count)
        store(decimal.words.1, at: count &+ 8)
        store(decimal.words.2, at: count &+ 16)
        store(decimal.words.3, at: count &+ 24)
        count &+= decimal.count
    }

    /// `$<length>\r\n`
    @inline(__always)
    mutating func putBulkHead(_ length: Int) {
        put(UInt8(ascii: "$"))
        put(Int64(length))
        putLineEnd()
    }

    @inline(__always)
    mutating func putLineEnd() {
        store(UInt16(0x0A0D).littleEndian, at: count)
        count &+= 2
    }

    @inline(__always)
    mutating func putBulk(_ decimal: DecimalText) {
        putBulkHead(decimal.count)
        put(decimal)
        putLineEnd()
    }

    @inline(__always)
    mutating func putBulk(_ value: Int64) {
        let digits = DigitWriter.digitCount(value.magnitude) &+ (value < 0 ? 1 : 0)
        putBulkHead(digits)
        put(value)
        putLineEnd()
    }

    @inline(__always)
    mutating func putBulk(_ literal: StaticString) {
        putBulkHead(literal.utf8CodeUnitCount)
        put(literal)
        putLineEnd()
    }
}
