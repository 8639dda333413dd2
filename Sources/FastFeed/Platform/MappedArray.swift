// Records in mapped memory: untouched ones cost nothing. Its owner's thread.

/// A fixed array of plain records in mapped memory.
@safe package struct MappedArray<Element: BitwiseCopyable>: ~Copyable {
    package let base: UnsafeMutablePointer<Element>
    package let count: Int
    private let buffer: PaddedBuffer

    /// All bytes zero and untouched; for records whose zero is a valid value.
    package init(zeroed count: Int) {
        buffer = PaddedBuffer(count: count * MemoryLayout<Element>.stride)
        unsafe base = unsafe buffer.base.bindMemory(to: Element.self, capacity: count)
        self.count = count
    }

    /// Gives the memory of the elements from this one on back, but for the page that it begins in.
    package func discard(from index: Int = 0) { buffer.discard(from: index * MemoryLayout<Element>.stride) }
}
