// Where log lines go: standard error or a file, as text for people or JSON for programs. Any thread; one
// write per line, so lines of several threads do not mix.

import FastFeed
import Glibc
import Logging
import Synchronization

/// A descriptor that takes whole lines.
final class LogSink: Sendable {
    static let standardOutput = LogSink(descriptor: 1, waits: true)
    static let standardError = LogSink(descriptor: 2, waits: false)

    private let descriptor: Int32
    /// For a reader that is slow. A log must never stop the feed: there the line is lost, and counted.
    private let waits: Bool
    private let lostCount = Atomic<Int>(0)

    private init(descriptor: Int32, waits: Bool) { (self.descriptor, self.waits) = (descriptor, waits) }

    /// Appends to a file, made with mode 0600.
    init(file: String) throws {
        waits = true
        descriptor = unsafe open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        if descriptor < 0 { throw Failure(Failure.refused, "cannot write the log '\(file)': \(SystemError("open").reason)") }
    }

    deinit { if descriptor > 2 { close(descriptor) } }

    var isTerminal: Bool { isatty(descriptor) == 1 }

    /// Nil when all of it was taken, else why not (a closed pipe, a full disk).
    @discardableResult
    func write(_ text: String) -> SystemError? {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            // (Not by O_NONBLOCK, which everybody has who has the same pipe or terminal.)
            guard waits || isReady(milliseconds: 0) else { return lose(SystemError("write", code: EAGAIN)) }
            let written = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0 && errno == EINTR { continue }
            if written < 0 && errno == EAGAIN && waits {
                _ = isReady(milliseconds: -1)
                continue
            }
            guard written > 0 else { return lose(SystemError("write")) }
            rest = rest.dropFirst(written)
        }
        return nil
    }

    private func isReady(milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return unsafe poll(&entry, 1, milliseconds) > 0
    }

    private func lose(_ error: SystemError) -> SystemError {
        lostCount.add(1, ordering: .relaxed)
        return error
    }

    /// Lines that were not written whole since the last call.
    func takeLost() -> Int { lostCount.exchange(0, ordering: .relaxed) }
}

enum Log {
    /// - Parameter board: where warnings are shown as well, whatever the level.
    static func make(_ format: LogFormat, level: Logger.Level, to sink: LogSink = .standardError, board: WarningBoard) -> Logger {
        var handler: any LogHandler =
            switch format {
            case .text: TextLogHandler(sink: sink)
            case .json: JSONLogHandler(sink: sink)
            }
        handler.logLevel = level
        return Logger(label: "feedd") { _ in MultiplexLogHandler([handler, BoardLogHandler(board: board)]) }
    }
}

/// Notes warnings and errors for the page.
struct BoardLogHandler: LogHandler {
    var logLevel = Logger.Level.warning
    var metadata = Logger.Metadata()
    var metadataProvider: Logger.MetadataProvider?
    private let board: WarningBoard

    init(board: WarningBoard) { self.board = board }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = LogFields.merged(metadata, event).map { ($0.key, $0.value.description) }
        board.note(.init(atMs: WallClock.nowMs(), level: event.level.rawValue, message: event.message.description, fields: fields))
    }
}

/// `04:31:09.123 warning  redis connection lost  endpoint=unix:///run/redis.sock attempt=3`
struct TextLogHandler: LogHandler {
    var logLevel = Logger.Level.info
    var metadata = Logger.Metadata()
    var metadataProvider: Logger.MetadataProvider?
    private let sink: LogSink
    private let usesColour: Bool

    init(sink: LogSink) {
        self.sink = sink
        usesColour = sink.isTerminal && Style.isColourWanted
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let name = event.level.rawValue
        let padded = name + String(repeating: " ", count: max(0, 8 - name.count))
        // Who watches a terminal knows the date.
        var line = paint(.dim, LogText.time(WallClock.nowMs(), withDate: !sink.isTerminal)) + " "
        line += paint(TextLogHandler.style(event.level), padded) + " " + LogText.escaped(event.message.description)
        for (key, value) in LogFields.merged(metadata, event) {
            line += "  " + paint(.dim, LogText.escaped(key) + "=") + LogText.field(value.description)
        }
        sink.write(line + "\n")
    }

    private func paint(_ style: Style, _ text: String) -> String { usesColour ? style.paint(text) : text }

    private static func style(_ level: Logger.Level) -> Style {
        switch level {
        case .trace, .debug: .dim
        case .info, .notice: .green
        case .warning: .yellow
        case .error, .critical: .red
        }
    }
}

/// `{"time":"2026-11-21T04:31:09.123Z","level":"info","message":"report","messages":120061}`
struct JSONLogHandler: LogHandler {
    var logLevel = Logger.Level.info
    var metadata = Logger.Metadata()
    var metadataProvider: Logger.MetadataProvider?
    private let sink: LogSink

    init(sink: LogSink) { self.sink = sink }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line = "{\"time\":\"\(LogText.time(WallClock.nowMs(), withDate: true))\",\"level\":\"\(event.level.rawValue)\""
        line += ",\"message\":" + LogText.json(event.message.description)
        for (key, value) in LogFields.merged(metadata, event) {
            let isTaken = ["time", "level", "message"].contains(key)
            line += "," + LogText.json(isTaken ? "field_" + key : key) + ":" + JSONLogHandler.render(value)
        }
        sink.write(line + "}\n")
    }

    /// Numbers and truth values stay what they are; everything else is text.
    private static func render(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .stringConvertible(let number as any FixedWidthInteger): return "\(number)"
        case .stringConvertible(let number as Double) where number.isFinite: return "\(number)"
        case .stringConvertible(let truth as Bool): return truth ? "true" : "false"
        case .dictionary(let members):
            let pairs = members.sorted { $0.key < $1.key }.map { LogText.json($0.key) + ":" + render($0.value) }
            return "{" + pairs.joined(separator: ",") + "}"
        case .array(let elements): return "[" + elements.map(render).joined(separator: ",") + "]"
        default: return LogText.json(value.description)
        }
    }
}

/// A line's particulars; the event's own win. By name, since a dictionary has no order of its own.
enum LogFields {
    static func merged(_ metadata: Logger.Metadata, _ event: LogEvent) -> [(key: String, value: Logger.MetadataValue)] {
        var all = metadata.merging(event.metadata ?? [:]) { $1 }
        if let error = event.error { all["error"] = "\(error)" }
        return all.sorted { $0.key < $1.key }
    }
}

extension Logger {
    /// What the engine's agents have noted since the last time.
    /// - Parameter board: which counts the lines that were lost.
    func drain(_ engine: Engine, _ board: WarningBoard) {
        let lost = LogSink.standardError.takeLost()
        if lost > 0 {
            board.noteDropped(lost)
            warning(
                "log lines were lost: nobody took them in time, or they could not be written", metadata: ["count": .stringConvertible(lost)]
            )
        }
        for line in engine.drainJournal() {
            var fields = Logger.Metadata()
            for (key, value) in line.fields { fields[key] = Int(value).map { .stringConvertible($0) } ?? .string(value) }
            if line.suppressed > 0 { fields["suppressed"] = .stringConvertible(line.suppressed) }
            log(level: line.level.logLevel, "\(line.message)", metadata: fields)
        }
    }
}

extension JournalLevel {
    fileprivate var logLevel: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}
