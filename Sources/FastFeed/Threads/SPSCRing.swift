// A ring of fixed records between one producer thread and one consumer thread.
//
// The producer writes records in place and publishes them in runs (one release store), the consumer reads
// them in place and frees them in runs. A run has a stamp, one word that is known only at its end; it stands beside
// the records, so that publishing touches none of them again. Each side keeps a private copy of the other's cursor and looks at
// the shared one only when the copy says full or empty. Cursors grow without wrapping: 2^63 records at
// 10^7/s are 29,000 years.
//
// Bound: its capacity (`Limits.ringRecordCount`, `Limits.healRingRecordCount`). Both halves reach their slots unchecked: the mask keeps
// every cursor inside, and the ring, which each half holds, keeps the memory. What a cursor may pass is the caller's to ask first: `room`
// before `slot`, `available` before `record`.

import Synchronization

@safe package final class SPSCRing<Record: BitwiseCopyable>: @unchecked Sendable {
    // Records between the cursors belong to the consumer, all others to the producer; the acquire/release
    // pair on the cursors hands them over.
    private let records: MappedArray<Record>
    /// By place: the stamp of the record's run.
    private let stamps: MappedArray<UInt32>
    private let mask: Int
    private let published = PaddedAtomic(0)
    private let consumed = PaddedAtomic(0)

    /// - Parameter capacity: a power of two.
    package init(zeroed capacity: Int) {
        precondition(capacity.nonzeroBitCount == 1, "ring capacity must be a power of two")
        records = MappedArray(zeroed: capacity)
        stamps = MappedArray(zeroed: capacity)
        mask = capacity - 1
    }

    package var capacity: Int { mask + 1 }

    /// Records published and not yet freed, as either side sees it now.
    package var count: Int {
        published.value.load(ordering: .acquiring) - consumed.value.load(ordering: .acquiring)
    }

    /// The producer's half. Make one.
    @safe package struct Producer: ~Copyable {
        private let ring: SPSCRing
        private let base: UnsafeMutablePointer<Record>
        private let stamps: UnsafeMutablePointer<UInt32>
        private let mask: Int
        private var next = 0
        private var visible = 0
        private var freed = 0

        package init(_ ring: SPSCRing) {
            self.ring = ring
            unsafe base = ring.records.row(0).pointer
            unsafe stamps = ring.stamps.row(0).pointer
            mask = ring.mask
            next = ring.published.value.load(ordering: .relaxed)
            visible = next
            freed = ring.consumed.value.load(ordering: .acquiring)
        }

        /// How many records can be written now.
        @inline(__always)
        package mutating func room() -> Int {
            if mask &+ 1 &- (next &- freed) <= (mask &+ 1) / 2 { freed = ring.consumed.value.load(ordering: .acquiring) }
            return mask &+ 1 &- (next &- freed)
        }

        /// The slot to write next. The caller has seen `room() > 0`.
        @inline(__always)
        package var slot: Row<Record> { unsafe Row(base + (next & mask)) }

        /// Keeps what was written into `slot`; it becomes visible with `publish`.
        @inline(__always)
        package mutating func keep() { next &+= 1 }

        /// Something has been kept since the last `publish`.
        @inline(__always)
        package var hasKept: Bool { next != visible }

        /// Makes all kept records visible, each with the stamp. True when there was something to publish.
        @inline(__always)
        package mutating func publish(stamp: UInt32 = 0) -> Bool {
            guard hasKept else { return false }
            while visible != next {
                unsafe stamps[visible & mask] = stamp
                visible &+= 1
            }
            ring.published.value.store(next, ordering: .releasing)
            return true
        }
    }

    /// The consumer's half. Make one.
    @safe package struct Consumer: ~Copyable {
        private let ring: SPSCRing
        private let base: UnsafeMutablePointer<Record>
        private let stamps: UnsafeMutablePointer<UInt32>
        private let mask: Int
        private var next = 0
        private var known = 0

        package init(_ ring: SPSCRing) {
            self.ring = ring
            unsafe base = ring.records.row(0).pointer
            unsafe stamps = ring.stamps.row(0).pointer
            mask = ring.mask
            next = ring.consumed.value.load(ordering: .relaxed)
            known = next
        }

        /// How many records can be read now.
        @inline(__always)
        package mutating func available() -> Int {
            if known == next { known = ring.published.value.load(ordering: .acquiring) }
            return known &- next
        }

        /// The record `offset` places after the first unread one; `offset < available()`.
        @inline(__always)
        package func record(_ offset: Int) -> Lent<Record> { unsafe Lent(base + ((next &+ offset) & mask)) }

        /// The stamp of that record's run.
        @inline(__always)
        package func stamp(_ offset: Int) -> UInt32 { unsafe stamps[(next &+ offset) & mask] }

        /// Gives the first `count` records back to the producer; `count <= available()`. None of them is read any more.
        @inline(__always)
        package mutating func free(_ count: Int) {
            next &+= count
            ring.consumed.value.store(next, ordering: .releasing)
        }
    }
}
