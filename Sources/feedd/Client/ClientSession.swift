// From a command line to a conversation with the service: the main thread waits, a task talks, SIGINT and SIGTERM cancel it.

import Dispatch
import FastFeed
import FoundationEssentials
import Glibc

/// A conversation with the service, from connecting to the exit code.
struct ClientSession: Sendable {
    let plan: ClientPlan
    let client: FluxClient
    let printsJSON: Bool

    /// Runs `talk` with a connected client.
    /// - Throws: `Failure`. With --json what went wrong is also printed as a JSON document.
    static func run(
        _ options: ClientOptions, _ talk: @escaping @Sendable (ClientSession) async throws -> Void
    ) throws {
        let printsJSON = options.json
        let plan = try ClientPlan(flags: options.values, environment: ProcessInfo.processInfo.environment)
        do {
            try waitFor {
                let client = try await FluxClient.connect(
                    plan.redis, keyPrefix: plan.keyPrefix, market: plan.market, timeout: plan.timeout)
                defer { client.close() }
                try await talk(ClientSession(plan: plan, client: client, printsJSON: printsJSON))
            }
        } catch let error as FluxError {
            let failure = Failure(error, plan)
            if printsJSON {
                let document = JSONValue.members([(Field.status, .string("error")), error.member(failure.sentence)])
                // Whatever becomes of it, the failure is told on standard error.
                _ = try? Terminal.print(document.text + "\n")
            }
            throw failure
        }
    }

    /// Blocks until the task has ended. The first signal cancels it, the second ends the process.
    static func waitFor(_ work: @escaping @Sendable () async throws -> Void) throws {
        let outcome = Lock<Result<Void, any Error>?>(nil)
        let done = DispatchSemaphore(value: 0)
        let task = Task {
            let result: Result<Void, any Error>
            do {
                try await work()
                result = .success(())
            } catch {
                result = .failure(error)
            }
            outcome.withLock { $0 = result }
            done.signal()
        }
        let watch = try PinnedThread.start(name: "signals") {
            Signals.waitForOne()
            task.cancel()
            Signals.waitForOne()
            _exit(130)
        }
        watch.detach()
        done.wait()
        try outcome.withLock { $0! }.get()
    }

    /// One command: its answer as JSON when that is wanted, else as lines. A malformed answer fails in both cases.
    func show<Answer>(_ request: ClientRequest<Answer>, lines: (Answer) -> [String]) async throws {
        try show(try await client.ask(request), lines: lines)
    }

    func show<Answer>(_ answer: (value: Answer, content: JSONValue), lines: (Answer) -> [String]) throws {
        try Terminal.print((printsJSON ? [answer.content.text] : lines(answer.value)).joined(separator: "\n") + "\n")
    }
}
