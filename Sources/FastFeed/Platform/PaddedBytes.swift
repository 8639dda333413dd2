// Bytes in place, with the readable room behind them that wide loads and simdjson rely on. Their owner's thread.

/// A message, a payload, a symbol in one: where bytes lie that somebody else owns, `Limits.paddingBytes` readable behind them. Valid until
/// their owner takes in something else (which its functions say); kept by nobody until then.
@safe package struct PaddedBytes: BitwiseCopyable, RandomAccessCollection {
    /// For the C shims and for wide loads.
    package let start: UnsafeRawPointer
    package let count: Int

    @inline(__always)
    package init(start: UnsafeRawPointer, count: Int) { unsafe (self.start, self.count) = (start, count) }

    /// No bytes, at an address that nobody reads.
    package static var none: PaddedBytes { unsafe PaddedBytes(start: UnsafeRawPointer(bitPattern: 64)!, count: 0) }

    package var startIndex: Int { 0 }
    package var endIndex: Int { count }

    package subscript(index: Int) -> UInt8 {
        @inline(__always)
        get {
            precondition(index >= 0 && index < count)
            return unsafe start.load(fromByteOffset: index, as: UInt8.self)
        }
    }

    /// From this one on; the room behind them is the same.
    package func dropping(_ first: Int) -> PaddedBytes {
        precondition(first >= 0 && first <= count)
        return unsafe PaddedBytes(start: start + first, count: count - first)
    }

    package var span: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            let span = unsafe Span(_unsafeStart: start.assumingMemoryBound(to: UInt8.self), count: count)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// The bytes as C has text; `count` says how many, no zero does.
    package var text: UnsafePointer<CChar> { unsafe start.assumingMemoryBound(to: CChar.self) }

    package func withContiguousStorageIfAvailable<Result>(
        _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
    ) rethrows -> Result? {
        try unsafe body(UnsafeBufferPointer(start: start.assumingMemoryBound(to: UInt8.self), count: count))
    }
}
