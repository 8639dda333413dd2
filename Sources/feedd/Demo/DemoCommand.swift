// `feedd demo`: exchange, Redis, engine and a live view in one process, offline. Main thread only; the parts
// bring their own threads.

import ArgumentParser
import FastFeed
import Logging
import RedisServer

struct Demo: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "See it work: simulated exchange, private Redis, service and a live view, offline.",
        discussion: """
            Nothing has to be set up but redis-server. Time runs faster than the market's (--speed), so that candles close while \
            you watch. Without a terminal, or with --plain: one line a second. At the end, what is in Redis is compared with what \
            the exchange announced. With --faults the exchange cuts its connections now and then, and candles that were missed \
            meanwhile are fetched: nothing may be missing at the end.
            """
    )

    @Option(help: "How many symbols.")
    var symbols = 12

    @Option(help: "Intervals to follow; the view shows 1m, or the first of them.")
    var intervals = "1s,1m,5m"

    @Option(help: "Market time against ours: at 12 a minute takes five seconds.")
    var speed = 12.0

    @Option(help: ArgumentHelp("End after this many seconds. (default: when you press q or Ctrl-C)", valueName: "n"))
    var seconds: Int?

    @Flag(help: "The exchange cuts its connections now and then.")
    var faults = false

    @Flag(help: "Lines instead of the live view.")
    var plain = false

    func run() throws {
        let isLive = !plain && Terminal.isInteractive
        let world = try DemoWorld(symbols: symbols, intervals: intervals, speed: speed, logsToFile: isLive)
        let deadlineNs = try seconds.map { seconds in
            guard (1...1_000_000).contains(seconds) else { throw Failure.usage("--seconds must be 1 to 1000000, not \(seconds)") }
            return MonotonicClock.nowNs() + UInt64(seconds) * 1_000_000_000
        }
        try world.start()
        // Where commands without --redis find it, from another terminal.
        let announcement = Discovery.announce(world.redis.endpoint, keyPrefix: "", market: .spot)
        defer { announcement?.withdraw() }
        var cuts = faults ? DemoFaults(world) : nil
        if isLive {
            try showLive(world, &cuts, untilNs: deadlineNs ?? .max)
        } else {
            try printLines(world, &cuts, untilNs: deadlineNs ?? .max)
        }
        cuts?.healUp(world.engine)
        Signals.endAtOnceOnNext()
        let left = world.stopEngine()
        let verdict = try DemoVerdict(world, left: left, cuts: cuts?.count)
        world.stop()
        try Terminal.print(verdict.text)
        if !verdict.isGood { throw ExitCode(Failure.refused) }
    }

    private static let framesPerSecond = 5

    private func showLive(_ world: DemoWorld, _ cuts: inout DemoFaults?, untilNs: UInt64) throws {
        let screen = TerminalScreen()
        var model = try DemoModel(world)
        let view = DemoView(world, usesColour: Style.isColourWanted)
        while MonotonicClock.nowNs() < untilNs {
            world.drainLog()
            cuts?.turn()
            try model.refresh(world.engine)
            let (columns, rows) = Terminal.size
            guard try screen.show(view.frame(model, columns: columns, rows: rows)) else { return }
            if Signals.wait(milliseconds: 1_000 / Demo.framesPerSecond) != nil { return }
            if screen.endIsWanted() { return }
        }
    }

    private func printLines(_ world: DemoWorld, _ cuts: inout DemoFaults?, untilNs: UInt64) throws {
        var model = try DemoModel(world)
        let view = DemoView(world, usesColour: false)
        guard try Terminal.print(view.greeting.map { $0 + "\n" }.joined()) else { return }
        var turns = 0
        while MonotonicClock.nowNs() < untilNs {
            world.drainLog()
            cuts?.turn()
            try model.refresh(world.engine)
            // Whoever read the pipe has seen enough.
            if turns % Demo.framesPerSecond == 0, turns > 0, try !Terminal.print(view.line(model) + "\n") { return }
            turns += 1
            if Signals.wait(milliseconds: 1_000 / Demo.framesPerSecond) != nil { return }
        }
    }
}
