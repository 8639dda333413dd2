// The trade tape of one symbol: every trade is a pure function of (seed, symbol, block), so the tape can
// be entered at any instant. One thread owns a cursor; the tape itself has no state.
//
// Trades come in blocks. Before block b there were N(b) = r·b + jitter(b) trades, 0 ≤ jitter ≤ r. Then
// N(b+1) − N(b) = r + jitter(b+1) − jitter(b) is never negative, N needs no history, and ids are
// consecutive. Over any two blocks at least r trades fall, so an empty block has a neighbour with trades.

import FastFeed

/// The numbers a tape is drawn from. No references, so that cursors copy without counting.
package struct TapeParameters: BitwiseCopyable, Sendable {
    /// The symbol's part of every hash.
    package let key: UInt64
    package let blockMs: Int64
    package let tradesPerBlock: Int64
    package let basePrice: Int64
    package let tickUnits: Int64
    package let lotUnits: Int64
    package let typicalLots: Int64
}

/// A symbol's trades since its listing.
package struct Tape: BitwiseCopyable, Sendable {
    package let spec: TapeParameters
    /// First instant with trades: the start of a block.
    package let listingMs: Int64
    private let idBase: Int64

    package init(spec: SymbolSpec, listingMs: Int64) {
        precondition(spec.quoteDecimals <= SymbolSpec.quoteDecimalsMax, "quote amounts must be exact at 8 digits")
        precondition(spec.basePrice <= SymbolSpec.basePriceMax, "price path would overflow")
        precondition(listingMs > 0, "history begins after the epoch")
        let spec = spec.tape
        self.spec = spec
        let block = (listingMs + spec.blockMs - 1) / spec.blockMs
        self.listingMs = block * spec.blockMs
        // Ids of a symbol start in the millions, as they do on an exchange some years old.
        idBase = Int64(spec.key % 900_000_000) + 1_000_000 - Tape.tradesBefore(block, spec)
    }

    private static func tradesBefore(_ block: Int64, _ spec: TapeParameters) -> Int64 {
        let hash = SplitMix64.mix(spec.key &+ 0x51ED_270B ^ UInt64(bitPattern: block) &* 0xA076_1D64_78BD_642F)
        return spec.tradesPerBlock * block + Int64(hash % UInt64(spec.tradesPerBlock + 1))
    }

    /// Id the first trade of a block has or, when the block is empty, the next trade will have.
    @inline(__always)
    package func firstID(ofBlock block: Int64) -> Int64 { idBase + Tape.tradesBefore(block, spec) }

    /// A price rounded down to the tick and kept above zero.
    @inline(__always)
    package func rounded(_ price: Int64) -> Int64 {
        let onTick = spec.tickUnits == 1 ? price : price - price % spec.tickUnits
        return max(onTick, spec.tickUnits)
    }

    /// Price a symbol has before its first trade.
    package var listingPrice: Int64 { rounded(PricePath.price(of: spec, atMs: listingMs)) }

    /// Price of the last trade before an instant.
    package func lastPrice(beforeMs instantMs: Int64) -> Int64 {
        lastPrice(beforeMs: instantMs, notBeforeMs: listingMs) ?? listingPrice
    }

    /// Nil when there was none since a floor.
    func lastPrice(beforeMs instantMs: Int64, notBeforeMs floorMs: Int64) -> Int64? {
        let floorMs = max(floorMs, listingMs)
        var block = (instantMs - 1) / spec.blockMs
        while (block + 1) * spec.blockMs > floorMs {
            var cursor = block * spec.blockMs < floorMs ? TapeCursor(self, fromMs: floorMs) : TapeCursor(self, block: block)
            var sum = TradeSum()
            cursor.take(until: min(instantMs, (block + 1) * spec.blockMs), into: &sum)
            if !sum.isEmpty { return sum.close }
            block -= 1
        }
        return nil
    }

    /// Id of the first trade at or after an instant.
    func firstID(notBeforeMs instantMs: Int64) -> Int64 { TapeCursor(self, fromMs: instantMs).nextTradeID }

    /// Everything traded in `[fromMs, untilMs)`, from the trades themselves.
    package func sum(fromMs: Int64, untilMs: Int64) -> TradeSum {
        var sum = TradeSum()
        guard untilMs > fromMs else { return sum }
        var cursor = TapeCursor(self, fromMs: fromMs)
        cursor.take(until: untilMs, into: &sum)
        return sum
    }
}

/// A place on a tape, moving forward.
package struct TapeCursor: BitwiseCopyable {
    package let tape: Tape
    private var block: Int64
    private var index: Int64 = 0
    private var count: Int64 = 0
    private var blockFirstID: Int64 = 0
    private var pathPrice: Int64 = 0
    private var nextPathPrice: Int64
    /// Block length and price change per trade, in 1/65536.
    private var timeStep: Int64 = 0
    private var priceStep: Int64 = 0
    private var pending: Trade
    /// Trades withheld from the symbol so far: its ids are lower than the tape's by as many.
    private let withheld: Int64

    /// At the first trade not before an instant (and not before the listing).
    package init(_ tape: Tape, fromMs: Int64, withheld: Int64 = 0) {
        let start = max(fromMs, tape.listingMs)
        self.init(tape, block: start / tape.spec.blockMs, withheld: withheld)
        while pending.timeMs < start { step() }
    }

    /// A cursor at the first trade of a block or after it.
    package init(_ tape: Tape, block: Int64, withheld: Int64 = 0) {
        self.tape = tape
        self.withheld = withheld
        self.block = max(block, tape.listingMs / tape.spec.blockMs)
        nextPathPrice = PricePath.price(of: tape.spec, atMs: self.block * tape.spec.blockMs)
        pending = Trade(id: 0, timeMs: 0, price: 0, quantity: 0, takerIsBuyer: false)
        enterBlock()
        step()
    }

    /// Time of the trade that is next.
    package var nextTradeMs: Int64 { pending.timeMs }
    var nextTradeID: Int64 { pending.id }

    /// Adds every trade before an instant.
    @inline(__always)
    package mutating func take(until endMs: Int64, into sum: inout TradeSum) {
        while pending.timeMs < endMs {
            sum.add(pending)
            step()
        }
    }

    /// The trade under the cursor; moves on.
    package mutating func next() -> Trade {
        defer { step() }
        return pending
    }

    private mutating func enterBlock() {
        let spec = tape.spec
        blockFirstID = tape.firstID(ofBlock: block)
        count = tape.firstID(ofBlock: block + 1) - blockFirstID
        index = 0
        pathPrice = nextPathPrice
        nextPathPrice = PricePath.price(of: spec, atMs: (block + 1) * spec.blockMs)
        guard count > 0 else { return }
        timeStep = (spec.blockMs << 16) / count
        priceStep = ((nextPathPrice - pathPrice) << 16) / count
    }

    private mutating func step() {
        while index == count {
            block += 1
            enterBlock()
        }
        let spec = tape.spec
        let id = blockFirstID + index
        let hash = SplitMix64.mix(spec.key ^ UInt64(bitPattern: id) &* 0xE703_7ED1_A0B4_28DB)
        // One stratum of the block for each trade: times ascend without sorting.
        let within = Int64(hash & 0xFFFF)
        let offset = (index * timeStep + ((timeStep * within) >> 16)) >> 16
        let spread = max(spec.tickUnits, spec.basePrice >> 14)
        let jitter = ((Int64((hash >> 16) & 0xFFFF) - 32_768) * spread) >> 15
        let lots = 1 + ((spec.typicalLots * Int64((hash >> 32) & 0xFFFF)) >> 16)
        // One trade in 64 is a large one.
        let isLarge = (hash >> 48) & 63 == 0
        pending = Trade(
            id: id &- withheld, timeMs: block * spec.blockMs + offset,
            price: tape.rounded(pathPrice + ((index * priceStep) >> 16) + jitter),
            quantity: spec.lotUnits * (isLarge ? lots * 20 : lots),
            takerIsBuyer: hash >> 63 == 1
        )
        index += 1
    }
}
