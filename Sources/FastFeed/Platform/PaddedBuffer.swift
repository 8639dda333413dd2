// Memory that is mapped once, costs nothing until touched, and promises readable bytes behind its end.

import CShims

/// Bytes with `Limits.paddingBytes` of readable room behind them: the promise that wide loads and simdjson
/// rely on lives in this type.
package struct PaddedBuffer: ~Copyable {
    package let base: UnsafeMutableRawPointer
    package let count: Int
    private let mappedBytes: Int

    package init(count: Int) {
        self.count = count
        mappedBytes = (count + Limits.paddingBytes + 4095) & ~4095
        guard let memory = ff_map(mappedBytes) else { fatalError("out of memory: cannot map \(mappedBytes) bytes") }
        base = memory
    }

    deinit { ff_unmap(base, mappedBytes) }

    /// Gives the touched pages back; the content reads as zero afterwards.
    package func discard() { ff_map_discard(base, mappedBytes) }
}

/// A fixed array of plain records in mapped memory.
package struct MappedArray<Element: BitwiseCopyable>: ~Copyable {
    package let base: UnsafeMutablePointer<Element>
    package let count: Int
    private let buffer: PaddedBuffer

    package init(count: Int, initial: Element) {
        buffer = PaddedBuffer(count: count * MemoryLayout<Element>.stride)
        base = buffer.base.bindMemory(to: Element.self, capacity: count)
        self.count = count
        base.initialize(repeating: initial, count: count)
    }

    /// All bytes zero and untouched; for records whose zero is a valid value.
    package init(zeroed count: Int) {
        buffer = PaddedBuffer(count: count * MemoryLayout<Element>.stride)
        base = buffer.base.bindMemory(to: Element.self, capacity: count)
        self.count = count
    }

    package func discard() { buffer.discard() }
}
