// What the whole process holds. Any thread.

import CShims

package enum ProcessMemory {
    /// Resident set size in bytes.
    package static func residentBytes() -> UInt64 { ff_resident_bytes() }

    /// Gives back what only the start needed, code and heap; what is used again comes back by itself. For once, when all
    /// is under way.
    package static func giveBackStart() {
        ff_release_code()
        ff_heap_give_back()
    }
}
