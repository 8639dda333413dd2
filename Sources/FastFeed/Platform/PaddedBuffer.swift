// Memory that is mapped once, costs nothing until touched, and promises readable bytes behind its end. Its owner's thread.

import CShims

/// Bytes with `Limits.paddingBytes` of readable room behind them: the promise that wide loads and simdjson
/// rely on lives in this type.
@safe package struct PaddedBuffer: ~Copyable {
    package let base: UnsafeMutableRawPointer
    package let count: Int
    private let mappedBytes: Int

    package init(count: Int) {
        self.count = count
        mappedBytes = (count + Limits.paddingBytes + 4095) & ~4095
        guard let memory = unsafe ff_map(mappedBytes) else { fatalError("out of memory: cannot map \(mappedBytes) bytes") }
        unsafe base = unsafe memory
    }

    deinit { unsafe ff_unmap(base, mappedBytes) }

    /// Into it, from a place on.
    package func write(_ bytes: Span<UInt8>, at place: Int = 0) {
        precondition(place >= 0 && place + bytes.count <= count)
        unsafe bytes.withUnsafeBytes {
            if let source = $0.baseAddress { unsafe (base + place).copyMemory(from: source, byteCount: $0.count) }
        }
    }

    /// So many of them from a place on, where they lie.
    package func bytes(from place: Int, count: Int) -> PaddedBytes {
        precondition(place >= 0 && count >= 0 && place + count <= self.count)
        return unsafe PaddedBytes(start: base + place, count: count)
    }

    /// The first `count` of them, to be read.
    @_lifetime(borrow self)
    package func bytes(_ count: Int) -> Span<UInt8> {
        precondition(count >= 0 && count <= self.count)
        return unsafe _overrideLifetime(Span(_unsafeStart: base.assumingMemoryBound(to: UInt8.self), count: count), borrowing: self)
    }

    /// Gives the touched pages from this byte on back; their content reads as zero afterwards.
    package func discard(from byte: Int = 0) {
        let kept = (byte + 4095) & ~4095
        guard kept < mappedBytes else { return }
        unsafe ff_map_discard(base + kept, mappedBytes - kept)
    }
}
