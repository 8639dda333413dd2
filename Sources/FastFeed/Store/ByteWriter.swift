// Bytes appended to memory whose room the caller has measured. The unchecked room behind the checked door:
// `BatchBuilder` reserves `Limits.candleRespBytesMax` per candle before it writes one. One owner, one thread.

@safe package struct ByteWriter: ~Copyable {
    private let base: UnsafeMutablePointer<UInt8>
    package private(set) var count = 0

    package init(_ memory: UnsafeMutableRawPointer) { unsafe base = unsafe memory.assumingMemoryBound(to: UInt8.self) }

    package var start: UnsafeRawPointer { unsafe UnsafeRawPointer(base) }

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

    /// Moves bytes already written behind the end to the end.
    @inline(__always)
    mutating func move(from: Int, length: Int) {
        unsafe UnsafeMutableRawPointer(base + count).copyMemory(from: base + from, byteCount: length)
        count &+= length
    }

    @inline(__always)
    mutating func put(_ bytes: UnsafeBufferPointer<UInt8>) {
        unsafe UnsafeMutableRawPointer(base + count).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
        count &+= bytes.count
    }

    @inline(__always)
    mutating func put(_ bytes: UnsafeRawPointer, count: Int) {
        unsafe UnsafeMutableRawPointer(base + self.count).copyMemory(from: bytes, byteCount: count)
        self.count &+= count
    }

    @inline(__always)
    mutating func put(_ literal: StaticString) { unsafe put(literal.utf8Start, count: literal.utf8CodeUnitCount) }

    @inline(__always)
    mutating func put(_ byte: UInt8) {
        unsafe base[count] = byte
        count &+= 1
    }

    @inline(__always)
    mutating func put(_ value: Int64) { unsafe count &+= DigitWriter.write(value, to: base + count) }

    /// 32 bytes are written whatever the length, then the count moves by the length.
    @inline(__always)
    mutating func put(_ decimal: DecimalText) {
        let out = unsafe UnsafeMutableRawPointer(base + count)
        unsafe out.storeBytes(of: decimal.words.0, as: UInt64.self)
        unsafe out.storeBytes(of: decimal.words.1, toByteOffset: 8, as: UInt64.self)
        unsafe out.storeBytes(of: decimal.words.2, toByteOffset: 16, as: UInt64.self)
        unsafe out.storeBytes(of: decimal.words.3, toByteOffset: 24, as: UInt64.self)
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
        unsafe base[count] = 13
        unsafe base[count &+ 1] = 10
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
