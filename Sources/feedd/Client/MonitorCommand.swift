// `feedd monitor`: the service's health, refreshed, until q or Ctrl-C. A task asks and draws; the terminal is given back
// however it ends.

import ArgumentParser
import FastFeed

struct Monitor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Watch the health of the service and its fluxes.",
        discussion: """
            A live view on a terminal, q ends it; otherwise, or with --plain, a line each time; with --json a JSON object each time. Goes on \
            while the service is away.
            """)

    @Option(help: ArgumentHelp("Seconds between looks, 0.1 to 3600.", valueName: "s"))
    var every = 1.0

    @Option(help: ArgumentHelp("End after this many looks.", valueName: "n"))
    var count: Int?

    @Flag(help: "Lines instead of the live view.")
    var plain = false

    @OptionGroup var options: ClientOptions

    func run() throws {
        guard (0.1...3_600).contains(every) else { throw Failure.usage("--every must be 0.1 to 3600 seconds, not \(every)") }
        if let count { guard count > 0 else { throw Failure.usage("--count must be at least 1, not \(count)") } }
        let (limit, pause) = (count ?? .max, Duration.milliseconds(Int64(every * 1_000)))
        let isLive = !plain && !options.json && Terminal.isInteractive
        try ClientSession.run(options) { session in
            if isLive {
                try await Monitor.showLive(session, limit, pause)
            } else {
                try await Monitor.printLines(session, limit, pause)
            }
        }
    }

    private static func printLines(_ session: ClientSession, _ limit: Int, _ pause: Duration) async throws {
        for turn in 0..<limit where !Task.isCancelled {
            let look = await MonitorLook.take(session)
            if Task.isCancelled { return }
            // Whoever read the pipe has seen enough.
            guard try Terminal.print((session.printsJSON ? look.json.text : MonitorView.line(look)) + "\n") else { return }
            if turn < limit - 1 { try? await Task.sleep(for: pause) }
            if Task.isCancelled { return }
        }
    }

    private static func showLive(_ session: ClientSession, _ limit: Int, _ pause: Duration) async throws {
        let screen = TerminalScreen()
        let view = MonitorView(place: "\(session.plan.redis)", usesColour: Style.isColourWanted)
        var before: MonitorLook?
        for _ in 0..<limit {
            let look = await MonitorLook.take(session)
            // Keys and the terminal's size are looked at more often than the service.
            let until = ContinuousClock.now + pause
            repeat {
                let (columns, rows) = Terminal.size
                guard try screen.show(view.frame(look, before, columns: columns, rows: rows)) else { return }
                try? await Task.sleep(for: min(pause, .milliseconds(100)))
                if Task.isCancelled || screen.endIsWanted() { return }
            } while ContinuousClock.now < until
            before = look
        }
    }
}

/// What the service said at one time; or why it said nothing.
struct MonitorLook: Sendable {
    var atMs = WallClock.nowMs()
    var service: ServiceStatus?
    var fluxes: [FluxSummary] = []
    /// The newest status of each flux, by its id.
    var details: [String: FluxStatus] = [:]
    var trouble: (error: FluxError, sentence: String)?
    /// The answers as they came.
    private var serviceJSON = JSONValue.null
    private var fluxesJSON = JSONValue.array([])

    /// Fluxes asked for one by one; the others are only listed.
    static let detailsMax = 64

    static func take(_ session: ClientSession) async -> MonitorLook {
        var look = MonitorLook()
        let client = session.client
        do throws(FluxError) {
            let service = try await client.ask(.status)
            (look.service, look.serviceJSON) = service
            let list = try await client.ask(.list)
            (look.fluxes, look.fluxesJSON) = (list.value, list.content[Field.fluxes] ?? .array([]))
            for flux in look.fluxes.prefix(detailsMax) {
                do throws(FluxError) {
                    look.details[flux.id] = try await client.status(of: flux.id)
                } catch .refused {
                    continue  // stopped meanwhile
                }
            }
        } catch {
            look.trouble = (error, Failure(error, session.plan).sentence)
        }
        return look
    }

    /// The newest state that is known of the flux.
    func state(of flux: FluxSummary) -> FluxState? { details[flux.id].map(\.flux.state) ?? flux.state }

    var json: JSONValue {
        var members: [(String, JSONValue)] = [("time", .integer(atMs)), ("service", serviceJSON), (Field.fluxes, fluxesJSON)]
        if let trouble { members.append(trouble.error.member(trouble.sentence)) }
        return .members(members)
    }
}
