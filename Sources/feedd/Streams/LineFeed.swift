// `feedd stream add KEY -`: lines of standard input as entries, pipelined. One task's; it looks for the end that a signal asks for every
// tenth of a second. A line that is not an entry is named and left out; the others are added, and the command ends with 1.

import FastFeed
import Glibc

struct LineFeed {
    private let stream: RedisStream
    private let keep: StreamKeep?
    private var rest: [UInt8] = []
    /// Lines that were read, entries that were added, lines that were left out.
    private var lines = 0
    private var added = 0
    private var leftOut = 0
    /// A line is too long, and its end has not come.
    private var isSkipping = false
    /// What one look at the input takes, and the longest line.
    private static let chunkBytes = 256 * 1024
    private static let lineBytesMax = 8 << 20
    /// Entries of one batch.
    private static let batchMax = 1_000
    /// Lines that are named; the others are only counted.
    private static let namedMax = 20

    init(_ stream: RedisStream, _ keep: StreamKeep?) { (self.stream, self.keep) = (stream, keep) }

    func run(_ session: StreamSession) async throws {
        var feed = self
        let startNs = MonotonicClock.nowNs()
        do {
            try await feed.take()
        } catch {
            if feed.added > 0 { StandardError.write("added before that: \(EntryPrinter.entries(feed.added))\n") }
            throw error
        }
        let seconds = Double(MonotonicClock.nowNs() - startNs) / 1e9
        let pace = Numbers.grouped(Int((Double(feed.added) / max(seconds, 1e-6)).rounded()))
        let took = Numbers.fixed(seconds, digits: 3)
        try session.show(
            [("added", .integer(Int64(feed.added))), ("left_out", .integer(Int64(feed.leftOut))), ("seconds", .number(took))],
            lines: ["\(EntryPrinter.entries(feed.added)) in \(took) s, \(pace) a second"])
        guard feed.leftOut == 0 else {
            throw StreamRefusal("bad_entry", "\(Numbers.grouped(feed.leftOut)) of \(Numbers.grouped(feed.lines)) lines were left out")
        }
    }

    private mutating func take() async throws {
        var batch: [StreamFields] = []
        var buffer = [UInt8](repeating: 0, count: LineFeed.chunkBytes)
        while true {
            try Task.checkCancelled()
            guard LineFeed.isReadable() else {
                await Task.yield()
                continue
            }
            let count = unsafe read(0, &buffer, buffer.count)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count >= 0 else { throw Failure(Failure.refused, "cannot read standard input: \(SystemError("read").reason)") }
            guard count > 0 else { break }
            rest += buffer[..<count]
            try await takeLines(&batch)
            try await flush(&batch)
        }
        if !rest.isEmpty, !isSkipping {
            takeLine(rest[...], &batch)
            try await flush(&batch)
        }
    }

    private mutating func takeLines(_ batch: inout [StreamFields]) async throws {
        var start = 0
        while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
            if isSkipping { isSkipping = false } else { takeLine(rest[start..<end], &batch) }
            start = end + 1
            if batch.count >= LineFeed.batchMax { try await flush(&batch) }
        }
        rest.removeFirst(start)
        guard isSkipping || rest.count > LineFeed.lineBytesMax else { return }
        if !isSkipping { takeLine(rest[...], &batch) }
        (isSkipping, rest) = (true, [])
    }

    /// A blank line is passed over.
    private mutating func takeLine(_ line: ArraySlice<UInt8>, _ batch: inout [StreamFields]) {
        lines += 1
        guard line.count <= LineFeed.lineBytesMax else { return leaveOut("it is longer than 8 MiB") }
        guard !line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) else { return }
        do throws(Malformed) {
            batch.append(try StreamText.fields(Array(line)))
        } catch {
            leaveOut(error.what)
        }
    }

    private mutating func leaveOut(_ reason: String) {
        leftOut += 1
        guard leftOut <= LineFeed.namedMax else { return }
        let more = leftOut == LineFeed.namedMax ? " (others like it are only counted)" : ""
        StandardError.write("line \(lines) of standard input was left out: \(LogText.escaped(reason))\(more)\n")
    }

    private mutating func flush(_ batch: inout [StreamFields]) async throws {
        guard !batch.isEmpty else { return }
        defer { batch = [] }
        do throws(StreamError) {
            added += try await stream.add(contentsOf: batch, keep: keep).count
        } catch {
            if case .partly(let ids, _) = error { added += ids.count { $0 != nil } }
            throw error
        }
    }

    private static func isReadable() -> Bool {
        var question = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&question, 1, 100) != 0
    }
}

extension Task where Success == Never, Failure == Never {
    fileprivate static func checkCancelled() throws(StreamError) { if isCancelled { throw .cancelled } }
}
