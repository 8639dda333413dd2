// From the symbol's raw bytes and the interval to the dense series id: one hash over up to 32 bytes, no
// String. Each reader owns one, on its thread; control changes it by commands. Bound: `Limits.seriesCountMax`,
// as control has no more ids. An index into the entries is always masked.

@safe package struct SeriesIndex: ~Copyable {
    /// The symbol as the exchange writes it, zero-padded to 32 bytes.
    private struct Key: BitwiseCopyable {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    }

    private struct Entry: BitwiseCopyable {
        var key = Key()
        var interval: UInt8 = 0
        /// 0 = empty, 1 = used.
        var state: UInt8 = 0
        var handle = SeriesHandle(id: 0, generation: 0)
    }

    private var entries: MappedArray<Entry>
    private var mask: Int
    package private(set) var count = 0

    package init() {
        mask = 63
        entries = MappedArray(zeroed: 64)
    }

    /// - Parameter symbol: as the exchange writes it.
    @inline(__always)
    package func find(symbol: PaddedBytes, interval: UInt8) -> SeriesHandle? {
        guard symbol.count <= Symbol.lengthMax else { return nil }
        let key = unsafe SeriesIndex.key(symbol.start, symbol.count)
        var place = SeriesIndex.hash(key, interval) & mask
        while entries[place].state != 0 {
            let entry = entries.row(place)
            if entry.interval == interval && SeriesIndex.equal(entry.key, key) { return entry.handle }
            place = (place &+ 1) & mask
        }
        return nil
    }

    /// Adds a series or gives it a new handle.
    package mutating func set(_ symbol: Symbol, _ interval: Interval, _ handle: SeriesHandle) {
        if (count + 1) * 8 > (mask + 1) * 5 { grow() }
        let key = SeriesIndex.key(of: symbol)
        let place = place(of: key, interval.rawValue)
        if entries[place].state == 0 { count += 1 }
        entries[place] = Entry(key: key, interval: interval.rawValue, state: 1, handle: handle)
    }

    /// Forgets a series; the cluster behind it is closed up.
    package mutating func remove(_ symbol: Symbol, _ interval: Interval) {
        var hole = place(of: SeriesIndex.key(of: symbol), interval.rawValue)
        guard entries[hole].state != 0 else { return }
        count -= 1
        var next = (hole + 1) & mask
        while entries[next].state != 0 {
            let home = SeriesIndex.hash(entries[next].key, entries[next].interval) & mask
            // Move back unless the entry's home lies behind the hole, cyclically.
            if (next - home) & mask >= (next - hole) & mask {
                entries[hole] = entries[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        entries[hole] = Entry()
    }

    private func place(of key: Key, _ interval: UInt8) -> Int {
        var place = SeriesIndex.hash(key, interval) & mask
        while entries[place].state != 0 && !(entries[place].interval == interval && SeriesIndex.equal(entries[place].key, key)) {
            place = (place + 1) & mask
        }
        return place
    }

    private mutating func grow() {
        let kept = (0...mask).map { entries[$0] }.filter { $0.state != 0 }
        mask = mask * 2 + 1
        entries = MappedArray(zeroed: mask + 1)
        for entry in kept { entries[place(of: entry.key, entry.interval)] = entry }
    }

    /// The first `count` bytes, the rest zero. Reads whole words: up to 7 bytes behind `count`, which are there (`PaddedBytes`, or zeros).
    @inline(__always)
    private static func key(_ bytes: UnsafeRawPointer, _ count: Int) -> Key {
        @inline(__always)
        func word(_ index: Int) -> UInt64 {
            let keep = count &- 8 &* index
            if keep >= 8 { return unsafe bytes.loadUnaligned(fromByteOffset: 8 &* index, as: UInt64.self) }
            if keep <= 0 { return 0 }
            return unsafe bytes.loadUnaligned(fromByteOffset: 8 &* index, as: UInt64.self) & ((1 &<< UInt64(8 &* keep)) &- 1)
        }
        return Key(words: (word(0), word(1), word(2), word(3)))
    }

    private static func key(of symbol: Symbol) -> Key {
        var bytes = Array(symbol.upperCased.utf8)
        let count = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: Symbol.lengthMax))
        return unsafe bytes.withUnsafeBytes { unsafe key($0.baseAddress!, count) }
    }

    @inline(__always)
    private static func hash(_ key: Key, _ interval: UInt8) -> Int {
        let folded =
            key.words.0 ^ (key.words.1 &* 0x9E37_79B9_7F4A_7C15) ^ (key.words.2 &* 0xC2B2_AE3D_27D4_EB4F) ^ key.words.3 ^ UInt64(interval)
            &<< 56
        return Int(truncatingIfNeeded: SplitMix64.mix(folded) &>> 1)
    }

    @inline(__always)
    private static func equal(_ a: Key, _ b: Key) -> Bool {
        (a.words.0 ^ b.words.0) | (a.words.1 ^ b.words.1) | (a.words.2 ^ b.words.2) | (a.words.3 ^ b.words.3) == 0
    }
}
