// The exchange's publishing side: every stream that was ever wanted, when it speaks and what it says.
// Runs on one thread, in virtual time; a sink receives the encoded events. No sockets, and no clock but for the
// stamps of a measurement.

package import FastFeed

/// Where events go. Its methods are called between two looks at the wheel, never re-entrantly.
package protocol PushSink: ~Copyable {
    /// False stops the engine before the next event: the virtual clock waits for the slowest reader.
    var acceptsMore: Bool { get }
    /// Both forms of one event; the spans end with the call.
    mutating func push(_ event: PushEvent, in unit: TimeUnit, wrapped: RawSpan, bare: RawSpan)
}

/// What a sink must know of an event besides its text.
package struct PushEvent: BitwiseCopyable {
    package let stream: Int
    package let isClosed: Bool
    package let eventTimeMs: Int64
    /// Place of the closed candle in the truth, −1 for a bar in progress.
    package let truthSequence: Int64
}

package struct PushEngine: ~Copyable {
    /// A stream that was subscribed at least once.
    struct Stream: ~Copyable {
        let name: String
        let symbolIndex: Int
        let interval: Interval
        let offsetMs: Int64
        let template: StreamTemplate
        var state: StreamState?
        var subscribers = (millisecond: 0, microsecond: 0)
        /// Closed candles are still due although nobody is connected: a dropped client will want them.
        var isTracked = false
        var isPending = false
        /// The symbol has no market data now; the stream ticks on in silence.
        var isSilent = false
        var latest: KlineState?
    }

    package let configuration: SimulatorConfiguration
    package let symbols: [SymbolSpec]
    /// Index of a symbol by its lower-case name.
    package let symbolIndexes: [String: Int]
    package var histories: [BarHistory]
    package var truth: TruthLog
    var streams = UniqueStreams()
    private var streamIndexes: [String: Int] = [:]
    var wheel: TimerWheel
    var calendar: Calendar
    private var encoder = KlineEncoder()
    /// In an open loop: whose turn is next. The wheel then carries only silent streams.
    var nextTurn = 0
    /// For stamps (`SimulatorConfiguration.stampsTrades`): tells when an instant of virtual time is due.
    var stampClock: VirtualClock?
    /// Streams somebody is connected to.
    package private(set) var activeCount = 0

    package init(configuration: SimulatorConfiguration, startMs: Int64) {
        self.configuration = configuration
        let listingMs = startMs - Int64(configuration.historyMinutes) * 60_000
        symbols = SymbolSpec.list(configuration)
        symbolIndexes = Dictionary(uniqueKeysWithValues: symbols.enumerated().map { ($1.symbol.name, $0) })
        histories = symbols.map { BarHistory(Tape(spec: $0, listingMs: listingMs)) }
        truth = TruthLog(candlesMax: configuration.truthCandlesMax)
        wheel = TimerWheel(startMs: startMs)
        calendar = Calendar(symbolCount: symbols.count)
        planFromConfiguration(startMs: startMs)
    }

    /// Virtual time: everything up to here was said.
    package var nowMs: Int64 { wheel.nowMs }
    package var streamCount: Int { streams.count }
    /// True while something will be due, for subscribers or for those who lost their connection.
    package var hasPending: Bool { wheel.pendingCount > 0 }

    /// Bars of a symbol are cut from its listing day, as three-day bars are on the exchange.
    package func grid(symbolIndex: Int, interval: Interval, offsetMs: Int64) -> BarGrid {
        let anchor =
            configuration.threeDayAnchorMs
            ?? histories[symbolIndex].listingDayMs
        return BarGrid(interval, offsetMs: offsetMs, anchorMs: anchor)
    }

    // MARK: Subscriptions

    /// The stream of a name, or nil when it will never say anything (unknown symbol, other kind).
    package mutating func streamIndex(ofName name: String) -> Int? {
        if let known = streamIndexes[name] { return known }
        guard case .kline(let symbol, let interval, let offsetMs) = StreamName.meaning(of: name, market: configuration.market),
            let symbolIndex = symbolIndexes[symbol]
        else { return nil }
        let spec = symbols[symbolIndex]
        let index = streams.count
        streams.append(
            Stream(
                name: name, symbolIndex: symbolIndex, interval: interval, offsetMs: offsetMs,
                template: StreamTemplate(
                    streamName: name, symbol: spec.symbol.upperCased, interval: interval,
                    format: ValueFormat(spec, market: configuration.market)
                )
            ))
        streamIndexes[name] = index
        return index
    }

    package func name(ofStream index: Int) -> String { streams[index].name }

    package mutating func subscribe(_ index: Int, in unit: TimeUnit) {
        if streams[index].subscribers == (0, 0) { activeCount += 1 }
        change(index, in: unit, by: 1)
        streams[index].isTracked = true
        guard !streams[index].isPending else { return }
        streams[index].isSilent = effect(onSymbol: streams[index].symbolIndex) == .hole
        if streams[index].isSilent { return tickInSilence(index) }
        join(index)
        schedule(index, afterMs: nowMs)
    }

    /// The bar in progress becomes the stream's.
    mutating func join(_ index: Int) {
        let stream = (symbol: streams[index].symbolIndex, interval: streams[index].interval, offset: streams[index].offsetMs)
        let grid = grid(symbolIndex: stream.symbol, interval: stream.interval, offsetMs: stream.offset)
        let state = StreamState(
            grid: grid, timetable: timetable(of: index, interval: stream.interval),
            history: &histories[stream.symbol], nowMs: nowMs, lastEventMs: streams[index].state?.lastEventMs ?? 0
        )
        streams[index].state = state
    }

    /// - Parameter isDeliberate: the client asked for it. Otherwise its connection was lost and what closes
    ///   meanwhile stays due.
    package mutating func unsubscribe(_ index: Int, in unit: TimeUnit, isDeliberate: Bool) {
        change(index, in: unit, by: -1)
        guard streams[index].subscribers == (0, 0) else { return }
        activeCount -= 1
        if isDeliberate { streams[index].isTracked = false }
    }

    private mutating func change(_ index: Int, in unit: TimeUnit, by delta: Int) {
        switch unit {
        case .millisecond: streams[index].subscribers.millisecond += delta
        case .microsecond: streams[index].subscribers.microsecond += delta
        }
    }

    private func timetable(of index: Int, interval: Interval) -> PushTimetable {
        let period = configuration.pushPeriodMs(of: interval)
        let closeDelay = configuration.closeDelayMs(of: interval)
        let key = SplitMix64.mix(configuration.seed &+ UInt64(streams[index].symbolIndex) << 16 &+ UInt64(interval.rawValue))
        return PushTimetable(
            periodMs: period, phaseMs: Int64(key % UInt64(period)),
            closeDelayMinMs: closeDelay.lowerBound, closeDelaySpanMs: closeDelay.upperBound - closeDelay.lowerBound,
            onlyOnChange: configuration.pushesOnlyOnChange,
            closesIdleWithTrade: configuration.idleBarsCloseWithTrade,
            tailChance: configuration.closeDelayTail.map { UInt64($0.probability * 0x1p32) } ?? 0,
            tailMaxMs: configuration.closeDelayTail?.maxMs ?? 0, key: key
        )
    }

    // MARK: Time

    private mutating func schedule(_ index: Int, afterMs instantMs: Int64) {
        guard let due = streams[index].state?.nextDue(afterMs: instantMs) else { return }
        streams[index].isPending = true
        if !isOpenLoop { wheel.insert(index, atMs: due) }
    }

    /// Says everything that is due up to an instant, as far as the budget and the sink allow.
    /// Stops where maintenance begins.
    /// - Returns: events said, or passed over in silence.
    package mutating func run(untilMs: Int64, eventsMax: Int, into sink: inout some PushSink & ~Copyable) -> Int {
        var said = 0
        while true {
            while said < eventsMax, sink.acceptsMore, let index = wheel.popDue() {
                said += fire(index, into: &sink)
            }
            guard said < eventsMax, sink.acceptsMore, wheel.nowMs < untilMs else { return said }
            wheel.advance(toMs: min(untilMs, calendar.nextChangeMs))
            if wheel.nowMs >= calendar.nextChangeMs {
                applyDueChanges()
                // Connections must go before anything else is said.
                if calendar.hasJustClosed { return said }
            }
        }
    }

    private mutating func fire(_ index: Int, into sink: inout some PushSink & ~Copyable) -> Int {
        guard streams[index].isTracked else {
            // Nobody will miss it; a later subscription starts afresh.
            streams[index].isPending = false
            streams[index].state = nil
            return 0
        }
        if streams[index].isSilent {
            tickInSilence(index)
            return 1
        }
        if isOpenLoop { return 0 }
        guard let state = streams[index].state?.event(atMs: wheel.nowMs) else {
            schedule(index, afterMs: wheel.nowMs)
            return 0
        }
        schedule(index, afterMs: wheel.nowMs)
        guard let stampClock else { return say(state, ofStream: index, into: &sink) }
        return say(state.stamped(dueNs: stampClock.instantNs(ofVirtualMs: wheel.nowMs)), ofStream: index, into: &sink)
    }

    /// Tells the truth log and whoever wants to hear it.
    @inline(__always)
    mutating func say(_ state: KlineState, ofStream index: Int, into sink: inout some PushSink & ~Copyable) -> Int {
        let wanted = streams[index].subscribers
        let sequence = state.isClosed ? truth.appendClosed(stream: index, state) : -1
        guard wanted != (0, 0) else { return 0 }
        streams[index].latest = state
        let event = PushEvent(
            stream: index, isClosed: state.isClosed, eventTimeMs: state.eventTimeMs, truthSequence: sequence
        )
        if wanted.millisecond > 0 {
            streams.encode(state, in: .millisecond, ofStream: index, with: &encoder)
            sink.push(event, in: .millisecond, wrapped: encoder.wrapped, bare: encoder.bare)
        }
        if wanted.microsecond > 0 {
            streams.encode(state, in: .microsecond, ofStream: index, with: &encoder)
            sink.push(event, in: .microsecond, wrapped: encoder.wrapped, bare: encoder.bare)
        }
        return 1
    }

    // MARK: Questions

    package func series(ofStream index: Int) -> (series: Series, offsetMs: Int64, format: ValueFormat) {
        let symbol = symbols[streams[index].symbolIndex].symbol
        return (
            Series(market: configuration.market, symbol: symbol, interval: streams[index].interval),
            streams[index].offsetMs, streams[index].template.format
        )
    }

    /// The newest state told of each stream.
    package func latestStates() -> [(stream: Int, state: KlineState)] {
        (0..<streams.count).compactMap { index in streams[index].latest.map { (index, $0) } }
    }
}

/// Growable storage of noncopyable streams at stable indexes.
@safe struct UniqueStreams: ~Copyable {
    private var storage: UnsafeMutablePointer<PushEngine.Stream>
    private(set) var count = 0
    private var capacity = 64

    init() { unsafe storage = .allocate(capacity: capacity) }

    deinit {
        unsafe storage.deinitialize(count: count)
        unsafe storage.deallocate()
    }

    mutating func append(_ stream: consuming PushEngine.Stream) {
        if count == capacity {
            let larger = UnsafeMutablePointer<PushEngine.Stream>.allocate(capacity: capacity * 2)
            unsafe larger.moveInitialize(from: storage, count: count)
            unsafe storage.deallocate()
            unsafe storage = larger
            capacity *= 2
        }
        unsafe (storage + count).initialize(to: stream)
        count += 1
    }

    /// Encodes an event of a stream after its template.
    @inline(__always)
    borrowing func encode(_ state: KlineState, in unit: TimeUnit, ofStream index: Int, with encoder: inout KlineEncoder) {
        precondition(index >= 0 && index < count, "no such stream")
        unsafe encoder.encode(state, in: unit, as: (storage + index).pointee.template)
    }

    subscript(index: Int) -> PushEngine.Stream {
        @inline(__always)
        unsafeAddress {
            precondition(index >= 0 && index < count, "no such stream")
            return unsafe UnsafePointer(storage + index)
        }
        @inline(__always)
        unsafeMutableAddress {
            precondition(index >= 0 && index < count, "no such stream")
            return unsafe storage + index
        }
    }
}
