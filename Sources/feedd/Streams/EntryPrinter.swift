// Entries on standard output: lines for people, one JSON document, or one JSON object a line. One task's. Nothing is cut, and what is
// printed as JSON is whole: a document that has begun is ended when reading fails, and the failure's own comes on the next line.

import FastFeed

struct EntryPrinter {
    enum Form {
        case people
        /// Everything in one document.
        case document
        /// For what has no end: an object for each entry.
        case objects
    }

    private let form: Form
    /// Several streams: each line says whose it is.
    private let isMixed: Bool
    private let showsDeliveries: Bool
    private let usesColour: Bool
    private var text = ""
    private var openStream: String?
    private var hasEntries = false
    private var streamCount = 0
    /// Something was written.
    private var hasBegun = false
    /// What is gathered before it is written.
    private static let chunkBytes = 64 * 1024

    init(_ session: StreamSession, streams: Int = 1, isEndless: Bool = false, showsDeliveries: Bool = false) {
        form = !session.printsJSON ? .people : isEndless ? .objects : .document
        isMixed = streams > 1
        self.showsDeliveries = showsDeliveries
        usesColour = TextTable.usesColour
        if form == .document, isMixed { text = "{\"streams\":[" }
    }

    /// Prints what is read: all of it, or what comes before a failure, which is thrown then.
    /// - Parameter read: returns false when nobody reads what is printed any more.
    static func print(
        _ session: StreamSession, streams: Int = 1, showsDeliveries: Bool = false,
        _ read: (inout EntryPrinter) async throws -> Bool
    ) async throws {
        var printer = EntryPrinter(session, streams: streams, showsDeliveries: showsDeliveries)
        do {
            guard try await read(&printer) else { return }
        } catch {
            // A document of which nothing is out yet does not come: the failure has one.
            if printer.form != .document || printer.hasBegun { try? printer.finish() }
            throw error
        }
        try printer.finish()
    }

    /// The entries that follow are of this stream. Needed for documents; a stream without entries stands in them, too.
    mutating func begin(_ key: String) {
        guard form == .document else { return }
        end()
        text += (streamCount > 0 ? "," : "") + "{\"stream\":\(JSONValue.quoted(key)),\"entries\":["
        (openStream, hasEntries) = (key, false)
        streamCount += 1
    }

    private mutating func end() {
        if openStream != nil { text += "]}" }
        openStream = nil
    }

    /// - Returns: false when nobody reads it any more.
    mutating func add(_ entry: StreamEntry, deliveries: Int = 1) throws -> Bool {
        switch form {
        case .people: text += line(entry, deliveries) + "\n"
        case .document:
            text += (hasEntries ? "," : "") + json(entry, deliveries, isAlone: false).text
            hasEntries = true
        case .objects: text += json(entry, deliveries, isAlone: true).text + "\n"
        }
        return text.utf8.count < EntryPrinter.chunkBytes ? true : try flush()
    }

    /// - Returns: false when nobody reads it any more.
    mutating func flush() throws -> Bool {
        guard !text.isEmpty else { return true }
        hasBegun = true
        defer { text = "" }
        return try Terminal.print(text)
    }

    private mutating func finish() throws {
        if form == .document {
            end()
            text += isMixed ? "]}\n" : "\n"
        }
        _ = try flush()
    }

    private func json(_ entry: StreamEntry, _ deliveries: Int, isAlone: Bool) -> JSONValue {
        var members: [(String, JSONValue)] = isAlone ? [("stream", .string(entry.key))] : []
        members += [("id", .string("\(entry.id)"))]
        if showsDeliveries { members.append(("deliveries", .integer(Int64(deliveries)))) }
        members.append(("fields", StreamText.json(entry.fields)))
        return .members(members)
    }

    private func line(_ entry: StreamEntry, _ deliveries: Int) -> String {
        var line = StyledLine()
        if isMixed { line.add(StreamText.word(Array(entry.key.utf8)) + "  ", .bold) }
        line.add("\(entry.id)  ")
        line.add(EntryPrinter.time(entry.id) + "  ", .dim)
        if deliveries > 1 { line.add("delivery \(deliveries)  ", .yellow) }
        line.add(StreamText.line(entry.fields))
        return line.rendered(columns: .max, usesColour: usesColour)
    }

    static func entries(_ count: Int) -> String { count == 1 ? "1 entry" : "\(Numbers.grouped(count)) entries" }

    /// `2023-12-11 13:27:14.567`; a dash for an id that is not a time.
    static func time(_ id: StreamID) -> String {
        guard let ms = Int64(exactly: id.milliseconds), Limits.instantsMs.contains(ms) else { return "-" }
        let text = LogText.time(ms, withDate: true)
        return text.prefix(10) + " " + text.dropFirst(11).prefix(12)
    }
}
