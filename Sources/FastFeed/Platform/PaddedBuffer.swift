// Memory that is mapped once, costs nothing until touched, and promises readable bytes behind its end.

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

/// A fixed array of plain records in mapped memory.
@safe package struct MappedArray<Element: BitwiseCopyable>: ~Copyable {
    package let base: UnsafeMutablePointer<Element>
    package let count: Int
    private let buffer: PaddedBuffer

    package init(count: Int, initial: Element) {
        buffer = PaddedBuffer(count: count * MemoryLayout<Element>.stride)
        unsafe base = unsafe buffer.base.bindMemory(to: Element.self, capacity: count)
        self.count = count
        unsafe base.initialize(repeating: initial, count: count)
    }

    /// All bytes zero and untouched; for records whose zero is a valid value.
    package init(zeroed count: Int) {
        buffer = PaddedBuffer(count: count * MemoryLayout<Element>.stride)
        unsafe base = unsafe buffer.base.bindMemory(to: Element.self, capacity: count)
        self.count = count
    }

    /// Gives the memory of the elements from this one on back, but for the page that it begins in.
    package func discard(from index: Int = 0) { buffer.discard(from: index * MemoryLayout<Element>.stride) }
}

/// Places for values that cannot be copied, filled one after another and never given back. The places do not
/// move, and reaching into one is checked against the count only: one thread owns them.
@safe package struct FixedSlots<Element: ~Copyable>: ~Copyable {
    private let base: UnsafeMutablePointer<Element>
    package let capacity: Int
    package private(set) var count = 0

    package init(capacity: Int) {
        self.capacity = capacity
        unsafe base = .allocate(capacity: capacity)
    }

    deinit {
        unsafe base.deinitialize(count: count)
        unsafe base.deallocate()
    }

    /// Fills the next place. The caller has seen `count < capacity`.
    package mutating func append(_ element: consuming Element) {
        precondition(count < capacity)
        unsafe (base + count).initialize(to: element)
        count += 1
    }

    package subscript(index: Int) -> Element {
        _read {
            precondition(index < count)
            yield unsafe base[index]
        }
        nonmutating _modify {
            precondition(index < count)
            yield unsafe &base[index]
        }
    }
}
