// A reader and a sink on a kernel whose clock moves only when it is told to, or when a read or a write is said to take time:
// what a span must be is known to the nanosecond.

import FastFeed
import Glibc
import TestKit

/// Two sockets: the exchange and Redis. What the agents wrote lies there, what they are to read is put there.
final class StageKernel: VirtualKernel {
    static let exchange: Int32 = 1
    static let redis: Int32 = 2
    static let exchangePort: UInt16 = 9_443

    var nowNs: UInt64 = 1_000_000_000
    var inbound: [Int32: [UInt8]] = [:]
    var outbound: [Int32: [UInt8]] = [:]
    /// How long each read that finds something takes.
    var readNs: UInt64 = 0
    /// The next writes to Redis: how much of the bytes is taken, and how long that takes. Others take all, at once.
    var redisWrites: [(take: (Int) -> Int, ns: UInt64)] = []
    private(set) var tokens: [Int32: PollToken] = [:]

    func connect(to address: SocketAddress) throws(SystemError) -> Int32 {
        address == SocketAddress(numericHost: "127.0.0.1", port: StageKernel.exchangePort) ? StageKernel.exchange : StageKernel.redis
    }

    func connectError(_ number: Int32) -> Int32 { 0 }
    func isWritable(_ number: Int32) -> Bool { true }

    func read(_ number: Int32, into bytes: UnsafeMutableRawPointer, count: Int) -> IOResult {
        let waiting = inbound[number] ?? []
        guard !waiting.isEmpty else { return .wouldBlock }
        let taken = min(count, waiting.count)
        waiting.withUnsafeBytes { bytes.copyMemory(from: $0.baseAddress!, byteCount: taken) }
        inbound[number] = Array(waiting.dropFirst(taken))
        nowNs += readNs
        return .bytes(taken)
    }

    func write(_ number: Int32, _ bytes: UnsafeRawPointer, count: Int) -> IOResult {
        var taken = count
        if number == StageKernel.redis, !redisWrites.isEmpty {
            let step = redisWrites.removeFirst()
            taken = step.take(count)
            nowNs += step.ns
        }
        guard taken > 0 else { return .wouldBlock }
        outbound[number, default: []] += UnsafeRawBufferPointer(start: bytes, count: taken)
        return .bytes(taken)
    }

    func shutDown(_ number: Int32) {}
    func close(_ number: Int32) { tokens[number] = nil }
    func add(_ number: Int32, _ interest: Readiness, token: PollToken) { tokens[number] = token }
    func change(_ number: Int32, _ interest: Readiness, token: PollToken) { tokens[number] = token }
    func remove(_ number: Int32) { tokens[number] = nil }

    // MARK: Both ends

    func answer(_ number: Int32, _ text: String) {
        outbound[number] = []
        inbound[number, default: []] += Array(text.utf8)
    }

    /// The exchange takes the handshake that it was sent, if there is one.
    func answerUpgrade() {
        let request = String(decoding: outbound[StageKernel.exchange] ?? [], as: UTF8.self)
        guard let line = request.split(separator: "\r\n").first(where: { $0.hasPrefix("Sec-WebSocket-Key: ") }) else { return }
        let accept = UpgradeRequest.accept(for: String(line.dropFirst("Sec-WebSocket-Key: ".count)))
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        answer(StageKernel.exchange, head + "Sec-WebSocket-Accept: \(accept)\r\n\r\n")
    }
}

final class StageWorld {
    let kernel = StageKernel()
    let reader: KlineReader
    let sink: Sink
    private let series: [Series]
    /// In the order of the symbols.
    let handles: [SeriesHandle]

    /// Connected to both, series of 1m followed.
    init(symbols: [String], coalesces: Bool = true, pulse: Pulse? = nil) throws {
        let ring = SPSCRing<CandleRecord>(zeroed: 2_048)
        let journal = Journal()
        let base = WebSocketEndpoint(isSecure: false, host: "127.0.0.1", port: StageKernel.exchangePort)
        reader = KlineReader(
            index: 0, settings: ReaderSettings(base: base, dialect: Binance(.spot), tls: nil, seed: 1), ring: ring, journal: journal,
            budget: ConnectBudget(seed: 1))
        var settings = SinkSettings(
            redis: try RedisLinkSettings(RedisEndpoint(place: .unix(path: "/redis"))), market: .spot, schema: KeySchema(prefix: ""),
            history: 100, batchSize: 64, coalesces: coalesces, seed: 2)
        settings.pulse = pulse
        sink = Sink(settings: settings, rings: [ring], journal: journal, gaps: GapBoard())
        series = symbols.map { Series(symbol: Symbol($0)!, interval: .m1) }
        var placement = Placement(readerCount: 1, streamsPerConnectionMax: 1_024)
        let change = placement.add(series)!
        handles = change.placements.map(\.handle)
        for command in change.before { sink.prepare(command) }
        for command in change.readers[0] { reader.prepare(command) }
        let poller = Poller(kernel)
        let wakeUp = try WakeUp()
        reader.onStart(PollerPort(poller: poller, wakeUp: wakeUp, agent: 0))
        sink.onStart(PollerPort(poller: poller, wakeUp: wakeUp, agent: 1))
        open()
    }

    func open() {
        for _ in 0..<10 {
            kernel.nowNs += 1_000_000
            kernel.answerUpgrade()
            if kernel.outbound[StageKernel.redis]?.isEmpty == false { kernel.answer(StageKernel.redis, ":1\r\n+run\r\n+sha\r\n+PONG\r\n") }
            turnReader()
            turnSink()
        }
    }

    var isOpen: Bool { reader.counters.value(.connectionsLive) == 1 && sink.isConnected }

    // MARK: Turns

    func turnReader() { turn(reader, StageKernel.exchange) }
    func turnSink() { turn(sink, StageKernel.redis) }

    private func turn(_ agent: any Agent, _ number: Int32) {
        let nowNs = kernel.nowNs
        if let token = kernel.tokens[number] { agent.onReady(token, [.readable, .writable], nowNs: nowNs) }
        agent.doWork(nowNs: nowNs)
    }

    // MARK: What comes

    /// The exchange has sent these frames; reading and parsing all of them takes so long.
    func arrive(_ frames: [KlineText], parseNs: UInt64) {
        kernel.inbound[StageKernel.exchange] = frames.flatMap { RawFrame(1, $0.combined().text).bytes }
        kernel.readNs = parseNs
        turnReader()
        kernel.readNs = 0
    }

    /// Redis has answered.
    func reply(_ text: String) {
        kernel.inbound[StageKernel.redis] = Array(text.utf8)
        turnSink()
    }

    /// - Parameter tick: later ones are newer, all of one minute.
    static func kline(_ symbol: String, tick: Int, isClosed: Bool = false) -> KlineText {
        let name = "\"\(symbol.uppercased())\""
        return KlineText().withEvent("E", "\(1_790_001_241_000 + tick)").withEvent("s", name).with("s", name)
            .with("x", isClosed ? "true" : "false")
    }

    // MARK: What was seen

    /// The whole, then the four stages.
    var histograms: [HistogramSnapshot] {
        [sink.latency.total.snapshot()] + LatencyStage.allCases.map { sink.latency.snapshot()[$0] }
    }

    /// Spans below 64 ns are kept exactly: each histogram's, smallest first.
    var shortSpans: [[UInt64]] {
        histograms.map { $0.buckets.flatMap { Array(repeating: $0.upperBoundNs, count: Int($0.count)) } }
    }
}
