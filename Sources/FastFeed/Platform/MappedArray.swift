// Records in mapped memory: untouched ones cost nothing. Its owner's thread.
//
// The one door to them. An index is asserted in a debug build and not looked at in a release: it comes from a mask of the array's size,
// from an id that was checked when it was given out, or from a count that the array was made for.

/// A fixed array of plain records in mapped memory.
@safe package struct MappedArray<Element: BitwiseCopyable>: ~Copyable {
    private let base: UnsafeMutablePointer<Element>
    package let count: Int
    private let buffer: PaddedBuffer

    /// All bytes zero and untouched; for records whose zero is a valid value.
    package init(zeroed count: Int) {
        buffer = PaddedBuffer(count: count * MemoryLayout<Element>.stride)
        unsafe base = unsafe buffer.base.bindMemory(to: Element.self, capacity: count)
        self.count = count
    }

    package subscript(index: Int) -> Element {
        @inline(__always)
        unsafeAddress { unsafe UnsafePointer(place(index)) }
        @inline(__always)
        nonmutating unsafeMutableAddress { unsafe place(index) }
    }

    /// The record at an index, to be read and changed member by member: it is looked up once.
    @inline(__always)
    package func row(_ index: Int) -> Row<Element> { unsafe Row(place(index)) }

    /// The record at an index, to be read where it lies.
    @inline(__always)
    package func lent(_ index: Int) -> Lent<Element> { unsafe Lent(place(index)) }

    @inline(__always)
    private func place(_ index: Int) -> UnsafeMutablePointer<Element> {
        assert(index >= 0 && index < count)
        return unsafe base + index
    }

    /// Gives the memory of the elements from this one on back, but for the page that it begins in.
    package func discard(from index: Int = 0) { buffer.discard(from: index * MemoryLayout<Element>.stride) }
}
