// One engine against a hostile server: a connection for each case, and beside them, in the same reader, a good
// one. Afterwards: what the server saw, what the log says, what the counters and Redis hold.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing

final class HostileRun {
    let cases: [HostileCase]
    let service = GoodService()
    let server: HostileServer
    let engine: Engine
    private let redis: RedisServerProcess
    private let client: RedisClient
    private(set) var journal: [JournalLine] = []
    /// The most memory above what there was before the engine started.
    private(set) var growthBytes = 0
    private let baseBytes: UInt64

    static let growthBytesMax = 32 << 20

    /// The symbol that carries a case. Connections are opened in the order of the names, so the case's number is its
    /// connection's, too; the good one's is the last.
    static func symbol(_ index: Int) -> String { "case\(100 + index)" }

    static func scripts(_ cases: [HostileCase]) -> [String: HostileScript] {
        Dictionary(uniqueKeysWithValues: cases.enumerated().map { (symbol($0.offset), $0.element.script) })
    }

    init(_ cases: [HostileCase], handshakeTimeoutMs: Int = Limits.handshakeTimeoutMs) throws {
        self.cases = cases
        var scripts = HostileRun.scripts(cases)
        scripts[GoodService.symbol] = { [service] peer, _ in service.serve(peer) }
        server = try HostileServer(scripts)
        redis = try RedisServerProcess()
        client = try RedisClient.connect(redis.endpoint, timeout: .seconds(20))
        var configuration = EngineConfiguration()
        let symbols = [GoodService.symbol] + cases.indices.map(HostileRun.symbol)
        configuration.fluxes = [try FluxDefinition(symbols.joined(separator: ",") + ":1m")]
        configuration.venue = try WebSocketEndpoint(url: server.url)
        configuration.redis = redis.endpoint
        configuration.readerCount = 1
        configuration.streamsPerConnectionMax = 1
        configuration.subscribeForm = .url
        configuration.history = 1_000_000
        configuration.handshakeTimeoutMs = handshakeTimeoutMs
        engine = try Engine(configuration)
        baseBytes = ProcessMemory.residentBytes()
        try engine.start()
    }

    var counters: CounterSnapshot { engine.snapshot().counters }

    /// Lets the cases run until each has been tried so often, and the log has said so (and the good connection has worked, too), ends the
    /// good service in order, and then everything.
    func run(attempts: Int, seconds: Double) throws {
        let isDone = { [self] in
            service.sent > 200
                && cases.indices.allSatisfy { index in
                    server.attempts(of: HostileRun.symbol(index)).count >= attempts
                        && (cases[index].outcome.isRefusal || reasons(index).count >= attempts)
                }
        }
        if !wait(seconds, isDone) {
            let late = cases.indices.filter { server.attempts(of: HostileRun.symbol($0)).count < attempts }
            Issue.record("not tried \(attempts) times within \(seconds) s: \(late.map { cases[$0].name })")
        }
        service.finish()
        let symbol = GoodService.symbol
        _ = wait(10) { [self] in (try? client.command("XLEN", Keys.history(symbol, .m1)))?.integer ?? 0 >= Int64(service.sent) }
        #expect(engine.stop().isClean)
        collect()
        server.stop()
    }

    private func wait(_ seconds: Double, _ condition: () -> Bool) -> Bool {
        comesTrue(within: seconds) {
            collect()
            return condition()
        }
    }

    private func collect() {
        journal += engine.drainJournal()
        growthBytes = max(growthBytes, Int(ProcessMemory.residentBytes()) - Int(baseBytes))
    }

    // MARK: What must hold

    /// Every candle of the good connection, exactly once and exact; never closed by either side.
    func expectGoodUndisturbed() throws {
        let attempts = server.attempts(of: GoodService.symbol)
        #expect(server.begun[GoodService.symbol] == 1 && attempts.count == 1, "the good connection was opened once")
        #expect(attempts.first?.unmaskedCount == 0)
        #expect(attempts.first?.closeCodes == [1000], "it was closed at the end only, by us, in order")
        let entries = try client.command("XRANGE", Keys.history(GoodService.symbol, .m1), "-", "+").elements
        #expect(entries.count == service.sent)
        var wrong = 0
        for (number, entry) in entries.enumerated() {
            let fields = Dictionary(uniqueKeysWithValues: entry.elements[1].pairs)
            let isExact =
                entry.elements[0].text == "\(NumberedCandle.openMs(number))-0" && fields["open"] == "\(number).10000000"
                && fields["close"] == "\(number).30000000" && fields["volume"] == "\(number + 1).00000000"
                && fields["count"] == "\(number + 7)" && fields["last_trade_id"] == "\(number * 10 + 9)"
            if !isExact { wrong += 1 }
        }
        #expect(wrong == 0)
        #expect(counters[.gapsSeen] == 0)
    }

    func expectBounds() {
        // A sanitizer keeps what was freed.
        #expect(Sanitizer.isOn || growthBytes <= HostileRun.growthBytesMax, "memory grew by \(growthBytes) bytes")
        #expect(server.strangers.isEmpty, "a request for another place: \(server.strangers)")
    }

    /// One case: what went over the wire, what the log says, when it was tried again, and that nothing was stored.
    func expectOutcome(of index: Int, attempts: Int) throws {
        let hostile = cases[index]
        let symbol = HostileRun.symbol(index)
        // Later ones may have been cut short by the engine's end.
        let seen = server.attempts(of: symbol).prefix(attempts)
        #expect(seen.allSatisfy { $0.unmaskedCount == 0 }, "\(hostile.name): a client frame without a mask")
        let reasons = reasons(index)
        switch hostile.outcome {
        case .refused(let text):
            #expect(!reasons.isEmpty && reasons.allSatisfy { $0.contains(text) }, "\(hostile.name): \(reasons)")
            #expect(seen.allSatisfy { $0.frameCount == 0 }, "\(hostile.name): a frame on a connection that was not upgraded")
        case .violation(let code, let text):
            for attempt in seen { #expect(attempt.closeCodes == [code], "\(hostile.name): \(attempt.closeCodes)") }
            #expect(reasons.count >= attempts, "\(hostile.name): \(reasons)")
            #expect(
                reasons.allSatisfy { $0.hasPrefix("protocol violation: ") && $0.contains(text) && $0.contains("(closed with \(code))") },
                "\(hostile.name): \(reasons)")
        case .lost(let text):
            #expect(reasons.count >= attempts && reasons.allSatisfy { $0.contains(text) }, "\(hostile.name): \(reasons)")
        }
        expectBackoff(hostile, seen.map(\.acceptedNs))
        #expect(try client.command("EXISTS", Keys.history(symbol, .m1)) == .integer(0), "\(hostile.name): a candle was stored")
        #expect(try client.command("HGET", Keys.latest(.m1), symbol) == .null, "\(hostile.name): a state was stored")
    }

    /// The log's reasons for a case.
    private func reasons(_ index: Int) -> [String] {
        let message = cases[index].outcome.isRefusal ? "cannot connect to the exchange" : "connection to the exchange lost"
        return journal.filter { line in line.message == message && line.fields.contains { $0 == ("connection", "0.\(index)") } }
            .compactMap { line in line.fields.first { $0.0 == "reason" }?.1 }
    }

    /// Each pause is at least half of `250 ms · 2^n`, less what a busy machine may blur.
    private func expectBackoff(_ hostile: HostileCase, _ acceptedNs: [UInt64]) {
        for (number, pair) in zip(acceptedNs, acceptedNs.dropFirst()).enumerated() {
            let pauseMs = (pair.1 - pair.0) / 1_000_000
            let leastMs = max(hostile.pauseMsMin, 125 << UInt64(number)) * 3 / 4
            #expect(pauseMs >= leastMs, "\(hostile.name): attempt \(number + 2) came after \(pauseMs) ms")
        }
    }
}
