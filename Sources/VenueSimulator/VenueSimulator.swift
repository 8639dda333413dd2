// The simulated exchange as other code sees it: made, started, asked, hurt and stopped from any thread.

import Dispatch
import FastFeed
import Glibc

/// Something to be done on the simulator's thread.
struct SimulatorRequest: Sendable {
    private let body: @Sendable (SimulatorAgent) -> Void

    init(_ body: @escaping @Sendable (SimulatorAgent) -> Void) { self.body = body }

    func carryOut(_ agent: SimulatorAgent) { body(agent) }
}

/// A local exchange that speaks the market-data protocol: streams, REST, the truth and faults on one port of
/// 127.0.0.1. One thread of its own; every method may be called from any thread.
package final class VenueSimulator: @unchecked Sendable {
    // The agent is touched by its own thread while running and under `lifecycle` otherwise.
    private let agent: SimulatorAgent
    private let runner: AgentRunner
    private let lifecycle = Lock(Phase.idle)
    package let configuration: SimulatorConfiguration
    /// Where it listens; known from the start.
    package let port: UInt16
    /// PEM file of the authority that signed the certificate, when it speaks TLS.
    package let certificateAuthorityFile: String?
    private let certificateDirectory: String?

    private enum Phase { case idle, running, stopped }

    /// Why the truth file is not whole; known after `stop`. Nil: it is, or none was wanted.
    package var truthFileFailure: String? { truthFailure.withLock { $0 } }
    private let truthFailure = Lock<String?>(nil)

    /// Binds the port; nothing is answered before `start`.
    package init(configuration: SimulatorConfiguration) throws {
        try configuration.validate()
        self.configuration = configuration
        // It is written at the end, but a place that cannot be written is seen now.
        if let path = configuration.truthFile {
            guard let file = unsafe fopen(path, "a") else {
                throw SimulatorConfigurationError(field: "truthFile", reason: "'\(path)' cannot be written: \(SystemError("open").reason)")
            }
            unsafe fclose(file)
        }
        var tls: TLSContext?
        if configuration.usesTLS {
            let directory = try VenueSimulator.temporaryDirectory()
            try LocalAuthority.make(directory: directory)
            tls = try TLSContext.server(certificateFile: directory + "/cert.pem", keyFile: directory + "/key.pem")
            certificateDirectory = directory
            certificateAuthorityFile = directory + "/ca.pem"
        } else {
            certificateDirectory = nil
            certificateAuthorityFile = nil
        }
        agent = try SimulatorAgent(configuration: configuration, tls: tls)
        port = agent.listenPort
        runner = try AgentRunner(agents: [agent], idle: .park)
    }

    private static func temporaryDirectory() throws(SystemError) -> String {
        let variable = unsafe getenv("TMPDIR")
        let base = unsafe variable == nil ? "/tmp" : String(cString: variable!)
        var template = Array((base + "/simulator-XXXXXX").utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw SystemError("mkdtemp in \(base)") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { stop() }

    /// - Parameter core: the CPU its thread is bound to; nil leaves that to the kernel.
    package func start(core: Int? = nil) throws {
        try lifecycle.withLock { phase in
            precondition(phase == .idle, "a simulator starts once")
            try runner.start(core: core)
            phase = .running
        }
    }

    /// Pushes nothing more, lets what was pushed go out (for a second at most), and ends every connection and the thread. Writes the
    /// truth file; the truth can still be asked for.
    package func stop() {
        for _ in 0..<1_000 {
            guard ask({ $0.endPushing() }) else { break }
            usleep(1_000)
        }
        lifecycle.withLock { phase in
            guard phase != .stopped else { return }
            if phase == .running { runner.stop() }
            phase = .stopped
            writeTruthFile()
            guard let certificateDirectory else { return }
            for name in ["ca.pem", "cert.pem", "key.pem"] { unsafe unlink(certificateDirectory + "/" + name) }
            unsafe rmdir(certificateDirectory)
        }
    }

    // MARK: Addresses

    package var webSocketBase: String { "\(configuration.usesTLS ? "wss" : "ws")://127.0.0.1:\(port)" }
    package var restBase: String { "\(configuration.usesTLS ? "https" : "http")://127.0.0.1:\(port)" }

    // MARK: Truth

    /// Closed candles announced or due, oldest first.
    /// - Parameter sequence: the first one's place in the whole run.
    package func closedCandles(from sequence: Int64 = 0, max: Int = .max) -> [ClosedCandle] {
        ask { $0.engine.closedCandles(from: sequence, max: max) }
    }

    /// All bars that have ended on the streams that were ever wanted, announced or not: `PushEngine.exchangeCandles`.
    package func exchangeCandles(fromMs: Int64? = nil) -> [ClosedCandle] { ask { $0.engine.exchangeCandles(fromMs: fromMs) } }

    /// The newest state pushed of each stream.
    package func latestStates() -> [LatestState] { ask { $0.engine.latestCandles() } }

    package func statistics() -> SimulatorStatistics { ask { $0.currentStatistics() } }

    package var symbols: [SymbolSpec] { ask { $0.engine.symbols } }

    /// The exchange's clock, Unix milliseconds.
    package var virtualTimeMs: Int64 { ask { $0.engine.nowMs } }

    // MARK: Faults

    package func inject(_ fault: Fault) { ask { $0.fanout.faults.arm(fault, nowMs: WallClock.nowMs()) } }

    package func clearFaults() { ask { $0.fanout.faults.clear() } }

    // MARK: The calendar

    /// Changes an instrument's standing: see `SymbolState` for what that does.
    /// - Parameter change: `afterMs` counts from now, in virtual milliseconds.
    /// - Returns: the virtual instant of the change.
    @discardableResult
    package func plan(_ change: SymbolChange) throws(SimulatorConfigurationError) -> Int64 {
        let planned = ask { agent in
            agent.engine.symbolIndexes[change.symbol.lowercased()].map { agent.engine.plan($0, change.state, afterMs: change.afterMs) }
        }
        guard let planned else {
            throw SimulatorConfigurationError(field: "symbolChanges", reason: "names '\(change.symbol)', which is not simulated")
        }
        return planned
    }

    /// Closes the exchange for a time: see `MaintenanceWindow`.
    /// - Parameter window: `afterMs` counts from now, in virtual milliseconds.
    /// - Returns: first and last virtual instant.
    @discardableResult
    package func plan(_ window: MaintenanceWindow) -> ClosedRange<Int64> {
        ask { $0.engine.planMaintenance(afterMs: window.afterMs, durationMs: window.durationMs) }
    }

    /// Standing of every instrument, in the order of `symbols`.
    package var symbolStates: [SymbolState] { ask { $0.engine.symbolStates } }

    // MARK: Asking

    /// Runs something on the simulator's thread and waits for it.
    private func ask<Answer: Sendable>(_ body: @escaping @Sendable (SimulatorAgent) -> Answer) -> Answer {
        lifecycle.withLock { phase in
            guard phase == .running else { return body(agent) }
            let box = AnswerBox<Answer>()
            let request = SimulatorRequest { agent in box.put(body(agent)) }
            while !agent.requests.offer(request) { usleep(100) }
            return box.take()
        }
    }

    private func writeTruthFile() {
        guard let path = configuration.truthFile else { return }
        guard let file = unsafe fopen(path, "w") else { return truthFailure.withLock { $0 = SystemError("open").reason } }
        if let sinceMs = configuration.truthSinceMs {
            agent.engine.forEachExchangeCandle(fromMs: sinceMs) { candle in unsafe fputs(TruthJSON.line(candle) + "\n", file) }
        } else {
            unsafe writeAnnounced(to: file)
        }
        for latest in agent.engine.latestCandles() { unsafe fputs(TruthJSON.line(latest) + "\n", file) }
        // What stdio holds is written here; a full disk shows in one of the two.
        let isWhole = unsafe ferror(file) == 0
        let isClosed = unsafe fclose(file) == 0
        if !isWhole || !isClosed { truthFailure.withLock { $0 = SystemError("write").reason } }
    }

    private func writeAnnounced(to file: UnsafeMutablePointer<FILE>) {
        var sequence = agent.engine.truth.forgotten
        while true {
            let page = agent.engine.closedCandles(from: sequence, max: 10_000)
            if page.isEmpty { return }
            for candle in page { unsafe fputs(TruthJSON.line(candle) + "\n", file) }
            sequence += Int64(page.count)
        }
    }
}

/// Where an answer from the simulator's thread is waited for.
private final class AnswerBox<Answer: Sendable>: Sendable {
    private let answer = Lock<Answer?>(nil)
    private let ready = DispatchSemaphore(value: 0)

    func put(_ value: Answer) {
        answer.withLock { $0 = value }
        ready.signal()
    }

    func take() -> Answer {
        ready.wait()
        return answer.withLock { $0! }
    }
}
