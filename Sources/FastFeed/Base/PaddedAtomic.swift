// An atomic alone on its cache lines, so that two threads' cursors never share one.

package import Synchronization

/// A 64-bit atomic with a cache line of padding before and behind. (`Atomic` cannot be over-aligned, so
/// distance is bought with words; a test pins the size.)
package struct PaddedAtomic: ~Copyable {
    private let before: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
    package let value: Atomic<Int>
    private let behind: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0)

    package init(_ initial: Int) { value = Atomic(initial) }
}
