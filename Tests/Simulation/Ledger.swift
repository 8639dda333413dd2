// What was delivered and what was written, noted as it happens; and the reckoning at the end.

import FastFeed

final class Ledger {
    private let series: [Series]
    private let latestKeys: [String]
    private let mayKeepStopped: Bool
    /// By series: the closed candles that a client has read, by open time.
    private(set) var closed: [[Int64: KlineState]]
    /// By series: the newest state that a client has read.
    private(set) var newest: [KlineState?]
    /// By series: open time of the first event that a client has read.
    private(set) var firstOpenMs: [Int64?]
    /// Every delivered state by its JSON, to find it again in what is written.
    private var stateOfJSON: [String: KlineState] = [:]
    private var seriesOfField: [String: Int] = [:]
    private var seriesOfChannel: [String: Int] = [:]
    private var written: [KlineState?]
    /// What another writer has put into a history: series, open time, whether its values differ.
    private(set) var others: [[Int64: Bool]]
    private(set) var complaints: [String] = []
    var closedCompared = 0
    /// By series: whether anybody wants it now.
    private(set) var isFollowed: [Bool]
    /// By series: closed candles that were on their way when it was stopped, or came when nobody wanted it. They may be stored.
    private(set) var excused: [Set<Int64>]
    /// The exchange's last word on a bar, when it has closed.
    var finalState: (_ series: Int, _ openMs: Int64) -> KlineState? = { _, _ in nil }
    /// By series: open times of closed candles in published messages.
    private(set) var published: [Set<Int64>]

    init(_ scenario: Scenario, _ schema: KeySchema) {
        series = scenario.series
        mayKeepStopped = scenario.healing?.killNs != nil || scenario.healing?.lossNs != nil
        latestKeys = series.map { schema.latestKey(.spot, $0.interval) }
        closed = Array(repeating: [:], count: series.count)
        newest = Array(repeating: nil, count: series.count)
        firstOpenMs = Array(repeating: nil, count: series.count)
        written = newest
        others = Array(repeating: [:], count: series.count)
        isFollowed = Array(repeating: true, count: series.count)
        excused = Array(repeating: [], count: series.count)
        published = excused
        for (index, one) in series.enumerated() {
            seriesOfField["\(latestKeys[index]) \(one.symbol)"] = index
            seriesOfChannel[schema.updatesChannel(one)] = index
        }
    }

    func complain(_ sentence: String) { if complaints.count < 20 { complaints.append(sentence) } }

    /// - Parameter isTaken: the reader that has read it follows the series.
    func onDelivered(_ state: KlineState, isTaken: Bool) {
        let index = state.series
        stateOfJSON[state.json(series[index])] = state
        guard isFollowed[index] && isTaken else {
            if state.isClosed && closed[index][state.openMs] == nil {
                excused[index].insert(state.openMs)
                closed[index][state.openMs] = state
            }
            return
        }
        if state.isClosed {
            closed[index][state.openMs] = state
            excused[index].remove(state.openMs)
        }
        if firstOpenMs[index] == nil { firstOpenMs[index] = state.openMs }
        if newest[index] == nil || newest[index]!.isOlder(than: state) { newest[index] = state }
    }

    /// Nobody wants the series any more. What Redis does not have yet may be lost on its way.
    func onStopped(_ index: Int, stored: Set<Int64>) {
        isFollowed[index] = false
        // What another has put there may be ours as well, or ours be on its way.
        excused[index].formUnion(closed[index].keys.filter { !stored.contains($0) || others[index][$0] != nil })
        (newest[index], firstOpenMs[index], written[index]) = (nil, nil, nil)
    }

    func onFollowed(_ index: Int) { isFollowed[index] = true }

    /// The process was killed: another knows nothing of what it had read. What it had not written may be stored or not.
    func onKilled() {
        for index in series.indices { (newest[index], firstOpenMs[index]) = (nil, nil) }
    }

    /// Redis is not what it was: newest states are written again.
    func onForgotten() { written = Array(repeating: nil, count: series.count) }

    /// A state by its JSON: an event that was read, or what REST says of a closed bar.
    private func state(_ index: Int, _ json: String) -> KlineState? {
        if let state = stateOfJSON[json] { return state.series == index ? state : nil }
        guard json.contains("\"source\":\"backfill\""), let row = try? JSONValue(parsing: Array(json.utf8)),
            let openMs = row["open_time"]?.integer, let eventMs = row["event_time"]?.integer, let state = finalState(index, openMs)
        else { return nil }
        let healed = state.healed(eventMs: eventMs)
        return healed.json(series[index]) == json ? healed : nil
    }

    /// A Redis that forgets may have an earlier word of the other.
    func onOther(_ state: KlineState, differs: Bool) {
        if differs || others[state.series][state.openMs] == nil { others[state.series][state.openMs] = differs }
    }

    /// `latest:*` never goes back, and never holds a state that was not received.
    func onNewest(key: String, field: String, json: String) {
        guard let index = seriesOfField["\(key) \(field)"] else { return complain("HSET of a field nobody asked for: \(key) \(field)") }
        guard let state = state(index, json) else { return complain("\(key) \(field): a state nobody sent: \(json)") }
        if let before = written[index], state.isOlder(than: before) {
            complain("\(series[index]): older over newer: \(json) over \(before.json(series[index]))")
        }
        written[index] = state
    }

    /// - Returns: series and open times of the closed candles in it.
    func onPublish(channel: String, message: String) -> [(series: Int, openMs: Int64)] {
        guard let index = seriesOfChannel[channel] else {
            complain("PUBLISH to a channel nobody asked for: \(channel)")
            return []
        }
        var closed: [(series: Int, openMs: Int64)] = []
        let one = series[index]
        let head = "{\"symbol\":\"\(one.symbol)\",\"interval\":\"\(one.interval.token)\",\"rows\":"
        let bytes = Array(message.utf8)
        guard message.hasPrefix(head), message.hasSuffix("]}"), let list = bytes.firstIndex(of: UInt8(ascii: "[")) else {
            complain("\(channel): not an update: \(message)")
            return []
        }
        let rows = Int(String(decoding: bytes[head.utf8.count...].prefix { $0 >= 48 && $0 < 58 }, as: UTF8.self)) ?? -1
        let objects = Ledger.objects(bytes[(list + 1)..<(bytes.count - 2)])
        if objects.count != rows || rows == 0 { complain("\(channel): rows \(rows), candles \(objects.count)") }
        var sawForming = false
        for json in objects {
            guard let state = state(index, json) else {
                complain("\(channel): a state nobody sent: \(json)")
                return closed
            }
            if state.isClosed {
                published[index].insert(state.openMs)
                closed.append((index, state.openMs))
            }
            // Closed ones first, then at most one newest.
            if sawForming { complain("\(channel): a candle after the newest state") }
            sawForming = !state.isClosed
        }
        return closed
    }

    /// The objects of a list; candles hold no braces but their own.
    private static func objects(_ list: ArraySlice<UInt8>) -> [String] {
        list.split(separator: UInt8(ascii: "{")).map {
            "{" + String(decoding: $0.last == UInt8(ascii: ",") ? $0.dropLast() : $0, as: UTF8.self)
        }
    }

    /// What is wrong with the newest state that Redis holds; nil when nothing is.
    func newestComplaint(_ index: Int, _ database: RedisDatabase) -> String? {
        let stored = database.hashes[latestKeys[index]]?[series[index].symbol.name]
        guard isFollowed[index] else {
            // Whoever was to remove it may have been killed, or what was removed may be there again.
            return stored == nil || mayKeepStopped || database.foreignKeys.contains(latestKeys[index])
                ? nil : "latest holds a stopped series"
        }
        guard let state = newest[index], stored != state.json(series[index]) else { return nil }
        // What the healer has brought may be newer than what came last.
        if let stored, let healed = self.state(index, stored), state.isOlder(than: healed) { return nil }
        return "latest is not the newest state received, \(state.json(series[index])), but \(stored ?? "nothing")"
    }
}
