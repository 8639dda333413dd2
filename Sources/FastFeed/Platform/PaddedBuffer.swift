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

    /// Gives the touched pages from this byte on back; their content reads as zero afterwards.
    package func discard(from byte: Int = 0) {
        let kept = (byte + 4095) & ~4095
        guard kept < mappedBytes else { return }
        unsafe ff_map_discard(base + kept, mappedBytes - kept)
    }
}
