// RESP2 replies of any shape from a stream of bytes, each as one `ReplyBlock`. Pure; its owner's thread.
//
// One pass: where a part ends is found once, however the bytes are cut; nothing is allocated per part, and nothing for what a peer announces
// but has not sent. Bounds: `ReplyScanner.Bounds`. A string that is longer than its bound, and every longer string of a reply that has become
// too long, is not kept: its bytes are skipped as they come, and what stands in its place says how long it was. So what is around it stays
// whole, and a giant neither costs memory nor ends the connection.

import Glibc

@safe package struct ReplyScanner: ~Copyable {
    package enum Step {
        case reply(ReplyBlock)
        case needsMore
        /// Not RESP2, or without end: the connection is of no more use. One sentence's part.
        case broken(String)
    }

    package struct Bounds: Sendable {
        package var stringBytesMax = Limits.streamStringBytesMax
        /// A status or an error, which names its key and its group: those are as long as a string may be.
        package var lineBytesMax = Limits.streamStringBytesMax + 64
        /// Beyond, strings of more than 64 bytes are skipped; ids are shorter. A reply of half as much again without end is broken.
        package var replyBytesMax = Limits.streamReplyBytesMax
        package var partsMax = Limits.streamReplyPartsMax
        package init() {}
    }

    private typealias Part = ReplyBlock.Part

    private static let elementsMax: Int64 = 1_024 * 1_024
    private static let depthMax = 8
    private static let shortBytesMax = 64
    /// What the buffer holds at first and is cut back to, and the least that is offered to be read into.
    private static let bufferBytes = 128 * 1024
    private static let bufferBytesKept = 1 << 20
    private static let roomBytesMin = 32 * 1024

    private let bounds: Bounds
    // head ≤ kept ≤ place ≤ filled ≤ capacity. The reply that has begun is head..<kept; what is not scanned yet is place..<filled. Between
    // kept and place lies what was skipped.
    private var base: UnsafeMutableRawPointer
    private var capacity = ReplyScanner.bufferBytes
    private var (head, kept, place, filled) = (0, 0, 0, 0)
    private var parts: [Part] = []
    /// The arrays that have begun, the innermost last: the array's place among the parts, and how many of its elements are to come.
    private var levels: [(place: Int, left: Int)] = []
    private var gathered = 0
    /// A string is being skipped, and how many bytes of it (and its line end) are still to come.
    private var isSkipping = false
    private var skipLeft = 0

    package init(_ bounds: Bounds = Bounds()) {
        self.bounds = bounds
        unsafe base = .allocate(byteCount: ReplyScanner.bufferBytes, alignment: 16)
        levels.reserveCapacity(ReplyScanner.depthMax + 1)
        precondition(bounds.replyBytesMax / 2 * 3 + bounds.stringBytesMax <= Part.startMax, "a part can be found in its reply")
    }

    deinit { unsafe base.deallocate() }

    // MARK: Bytes in

    /// Offers room, 32 KiB at least; whoever fills it says with how many bytes.
    package mutating func fill(_ read: (UnsafeMutableRawBufferPointer) -> IOResult) -> IOResult {
        makeRoom()
        let result = unsafe read(UnsafeMutableRawBufferPointer(start: base + filled, count: capacity - filled))
        if case .bytes(let count) = result {
            precondition(count <= capacity - filled, "more bytes than there was room for")
            filled += count
        }
        return result
    }

    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        var rest = unsafe bytes
        while unsafe !rest.isEmpty {
            let result = unsafe fill { room in
                let count = min(room.count, rest.count)
                unsafe room.copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
                return .bytes(count)
            }
            guard case .bytes(let count) = result else { return }
            unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            // What is skipped takes no room.
            if skipLeft > 0 { skip() }
        }
    }

    /// The buffer holds as much room as `fill` offers: a read that did not use it all has emptied the socket.
    package var hasRoomLeft: Bool { filled < capacity }

    private mutating func makeRoom() {
        if place == filled {
            // Nothing is unscanned: what was skipped is overwritten.
            if parts.isEmpty {
                (head, kept) = (0, 0)
                if capacity > ReplyScanner.bufferBytesKept { resize(to: ReplyScanner.bufferBytes) }
            }
            (place, filled) = (kept, kept)
        }
        guard capacity - filled < ReplyScanner.roomBytesMin else { return }
        if head + (place - kept) >= capacity / 2 {
            unsafe close(to: base)
        } else {
            resize(to: capacity * 2)
        }
    }

    /// Moves what is kept and what is unscanned together, to the front of a buffer.
    private mutating func close(to target: UnsafeMutableRawPointer) {
        let (keptCount, unscanned) = (kept - head, filled - place)
        unsafe memmove(target, base + head, keptCount)
        unsafe memmove(target + keptCount, base + place, unscanned)
        (head, kept, place, filled) = (0, keptCount, keptCount, keptCount + unscanned)
    }

    private mutating func resize(to count: Int) {
        let target = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 16)
        unsafe close(to: target)
        unsafe base.deallocate()
        unsafe base = target
        capacity = count
    }

    // MARK: Replies out

    /// The next whole reply of what has been appended.
    /// - Parameter count: as many replies in a row as one block, an array with one element a reply; nil: one reply as it is. The same until
    ///   the reply is whole.
    package mutating func next(gathering count: Int? = nil) -> Step {
        if parts.isEmpty {
            (head, kept) = (place, place)
            if let count {
                precondition(count > 0, "nothing to gather")
                parts.append(Part(.array, start: 0, length: count))
                levels.append((0, count))
                gathered = 1
            }
        }
        while true {
            if isSkipping {
                guard skip() else { return .needsMore }
                isSkipping = false
                if close() { return .reply(take()) }
            }
            switch scan() {
            case .needsMore: return .needsMore
            case .whole: return .reply(take())
            case .skips: continue
            case .broken(let what): return .broken("\(what)")
            }
        }
    }

    private enum Stop {
        case needsMore, whole, skips
        case broken(StaticString)
    }

    private mutating func take() -> ReplyBlock {
        let block = unsafe parts.withUnsafeBufferPointer { parts in
            unsafe ReplyBlock(parts: parts, bytes: UnsafeRawBufferPointer(start: base + head, count: kept - head))
        }
        parts.removeAll(keepingCapacity: parts.count <= 1 << 16)
        gathered = 0
        return block
    }

    /// True when all of it has been skipped.
    @discardableResult
    private mutating func skip() -> Bool {
        let gone = min(skipLeft, filled - place)
        place += gone
        skipLeft -= gone
        return skipLeft == 0
    }

    /// A part has ended: true when it was the last one of the reply.
    @inline(__always)
    private mutating func close() -> Bool {
        while let last = levels.last {
            if last.left > 1 {
                levels[levels.count - 1].left = last.left - 1
                return false
            }
            parts[last.place] = Part(.array, start: parts.count, length: parts[last.place].length)
            levels.removeLast()
        }
        return true
    }

    /// Takes the bytes up to a place into the reply. Returns where they begin within it.
    @inline(__always)
    private mutating func keep(to end: Int) -> Int {
        let (start, count) = (kept - head, end - place)
        if kept != place { unsafe memmove(base + kept, base + place, count) }
        kept += count
        place = end
        return start
    }

    /// Goes from part to part for as long as they are whole.
    private mutating func scan() -> Stop {
        while true {
            guard place < filled else { return .needsMore }
            let mark = unsafe base.load(fromByteOffset: place, as: UInt8.self)
            if mark == UInt8(ascii: "+") || mark == UInt8(ascii: "-") {
                if let stop = line(mark) { return stop }
                continue
            }
            guard mark == UInt8(ascii: "$") || mark == UInt8(ascii: "*") || mark == UInt8(ascii: ":") else {
                return .broken("a byte that does not begin a reply")
            }
            var end = place + 1
            while end < filled, unsafe base.load(fromByteOffset: end, as: UInt8.self) != 0x0D { end += 1 }
            // 20 bytes are the longest number.
            guard end - place <= 21 else { return .broken("a number that is not one") }
            guard end + 1 < filled else { return .needsMore }
            guard unsafe base.load(fromByteOffset: end + 1, as: UInt8.self) == 0x0A else { return .broken("half a line end") }
            let digits = unsafe UnsafeRawBufferPointer(start: base + place + 1, count: end - place - 1)
            guard let number = unsafe ReplyNumber.parse(digits) else { return .broken("a number that is not one") }
            guard parts.count < bounds.partsMax else { return .broken("a reply of too many parts") }
            let stop: Stop? =
                switch mark {
                case UInt8(ascii: "$"): string(number, end + 2)
                case UInt8(ascii: "*"): array(number, end + 2)
                default: whole(.integer, offset: 1, length: end - place - 1, to: end + 2)
                }
            if let stop { return stop }
        }
    }

    /// A part is there: `.whole` when the reply is.
    @inline(__always)
    private mutating func whole(_ kind: ReplyBlock.Kind, offset: Int, length: Int, to end: Int) -> Stop? {
        let start = keep(to: end)
        parts.append(Part(kind, start: start + offset, length: length))
        return close() ? .whole : nil
    }

    @inline(__always)
    private mutating func string(_ number: Int64, _ start: Int) -> Stop? {
        guard number >= -1, number <= 1 << 32 else { return .broken("a string of impossible length") }
        guard number >= 0 else { return whole(.null, offset: 0, length: 0, to: start) }
        let length = Int(number)
        let isOver = kept - head + length > bounds.replyBytesMax && length > ReplyScanner.shortBytesMax
        if length > bounds.stringBytesMax || isOver {
            place = start
            (isSkipping, skipLeft) = (true, length + 2)
            parts.append(Part(.tooLong, start: 0, length: length))
            return .skips
        }
        guard kept - head <= bounds.replyBytesMax / 2 * 3 else { return .broken("a reply without end") }
        let end = start + length
        guard filled >= end + 2 else { return .needsMore }
        guard unsafe base.loadUnaligned(fromByteOffset: end, as: UInt16.self).littleEndian == 0x0A0D else {
            return .broken("a string without its end")
        }
        return whole(.string, offset: start - place, length: length, to: end + 2)
    }

    @inline(__always)
    private mutating func array(_ count: Int64, _ end: Int) -> Stop? {
        guard count >= -1, count <= ReplyScanner.elementsMax else { return .broken("an array of impossible length") }
        if count == -1 { return whole(.null, offset: 0, length: 0, to: end) }
        if count == 0 {
            _ = keep(to: end)
            parts.append(Part(.array, start: parts.count + 1, length: 0))
            return close() ? .whole : nil
        }
        guard levels.count - gathered < ReplyScanner.depthMax else { return .broken("arrays within arrays without end") }
        _ = keep(to: end)
        levels.append((parts.count, Int(count)))
        parts.append(Part(.array, start: 0, length: Int(count)))
        return nil
    }

    /// A status or an error.
    private mutating func line(_ mark: UInt8) -> Stop? {
        let found = unsafe memchr(base + place, 0x0D, filled - place)
        let end = unsafe found.map { unsafe UnsafeRawPointer($0) - UnsafeRawPointer(base) } ?? filled
        guard end - place <= bounds.lineBytesMax else { return .broken("a line that does not end") }
        guard end + 1 < filled else { return .needsMore }
        guard unsafe base.load(fromByteOffset: end + 1, as: UInt8.self) == 0x0A else { return .broken("half a line end") }
        guard unsafe memchr(base + place, 0x0A, end - place) == nil else { return .broken("half a line end") }
        guard parts.count < bounds.partsMax, kept - head <= bounds.replyBytesMax / 2 * 3 else { return .broken("a reply without end") }
        return whole(mark == UInt8(ascii: "+") ? .status : .error, offset: 1, length: end - place - 1, to: end + 2)
    }
}
