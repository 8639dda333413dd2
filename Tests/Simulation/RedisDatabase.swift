// What Redis does with the commands FastFeed sends: streams, hashes, and the merge script's meaning. A test
// runs the same commands against a real server, so that the model cannot drift.

import FastFeed

struct StreamEntry: Equatable {
    let openMs: Int64
    /// Names and values, in order.
    let fields: [String]
}

public struct RedisDatabase {
    var streams: [String: [StreamEntry]] = [:]
    var hashes: [String: [String: String]] = [:]
    var changes: [String: [[String]]] = [:]
    /// Names of scripts that are known until the server is started again.
    var scripts: Set<String> = []
    /// Keys that hold something else.
    var foreignKeys: Set<String> = []

    public init() {}

    static let wrongType = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
    static let notNewest = "-ERR The ID specified in XADD is equal or smaller than the target stream top item\r\n"

    func entries(_ key: String) -> [StreamEntry] { streams[key] ?? [] }

    /// `XADD key MAXLEN ~ n open-0 field value …`
    mutating func append(_ command: [String]) -> String {
        let (key, id) = (command[1], command[5])
        guard !foreignKeys.contains(key) else { return RedisDatabase.wrongType }
        let open = Int64(id.dropLast(2))!
        if let last = streams[key]?.last, last.openMs >= open { return RedisDatabase.notNewest }
        streams[key, default: []].append(StreamEntry(openMs: open, fields: Array(command[6...])))
        return "$\(id.utf8.count)\r\n\(id)\r\n"
    }

    /// `SCRIPT LOAD script`. Every script has the same name here: there is one.
    static let scriptName = String(repeating: "5", count: 40)

    private mutating func load(_ command: [String]) -> String {
        scripts.insert(RedisDatabase.scriptName)
        return "$40\r\n\(RedisDatabase.scriptName)\r\n"
    }

    /// `EVAL script 2 key changes keep keep` or `EVALSHA name …`, then id and fourteen values of each candle, then perhaps `NX`: what
    /// MergeScript says.
    private mutating func script(_ command: [String]) -> String {
        if command[0] == "EVAL" { scripts.insert(RedisDatabase.scriptName) }
        guard command[0] == "EVAL" || scripts.contains(command[1]) else { return "-NOSCRIPT No matching script. Please use EVAL.\r\n" }
        let key = command[3]
        guard !foreignKeys.contains(key) else { return RedisDatabase.wrongType }
        // Judged by what was there before the run.
        let (before, keep) = (streams[key] ?? [], Int(command[5])!)
        let last = before.last?.openMs ?? -1
        var (count, told): (Int, [[String]]) = (0, [])
        var list = before
        let isOnlyNew = command.last == "NX"
        for at in stride(from: 7, to: isOnlyNew ? command.count - 1 : command.count, by: 15) {
            let (open, values) = (Int64(command[at].dropLast(2))!, Array(command[(at + 1)..<(at + 15)]))
            let place = list.firstIndex { $0.openMs >= open } ?? list.count
            let old = place < list.count && list[place].openMs == open ? list[place].fields : nil
            let change: (kind: String, fields: [String])
            if values[0].isEmpty {
                guard let old else { continue }
                change = ("removed", old)
                list.remove(at: place)
            } else if let old {
                guard !isOnlyNew, let fields = RedisDatabase.corrected(old, values) else { continue }
                change = ("corrected", fields)
                list[place] = StreamEntry(openMs: open, fields: fields)
            } else {
                if before.count >= keep, let first = before.first, open < first.openMs { continue }
                change = (open > last ? "appended" : "inserted", zip(RedisDatabase.names, values).flatMap { [$0, $1] })
                list.insert(StreamEntry(openMs: open, fields: change.fields), at: place)
            }
            count += 1
            guard change.kind != "appended" else { continue }
            let source = RedisDatabase.value("source", change.fields) ?? ""
            told.append(
                ["open_time", "\(open)", "kind", change.kind, "revision", "\(RedisDatabase.revision(change.fields))", "source", source])
        }
        streams[key] = list.isEmpty && before.isEmpty ? nil : list
        changes[command[4], default: []] += told
        return ":\(count)\r\n"
    }

    private static let names = CandleField.allCases.map(\.rawValue)
    private static let tradeIDs = [CandleField.firstTradeID.rawValue, CandleField.lastTradeID.rawValue]

    /// The fields after the correction; nil when the values are the same.
    private static func corrected(_ old: [String], _ values: [String]) -> [String]? {
        var isSame = old.count == 2 * names.count
        var fields: [String] = []
        for (name, given) in zip(names, values) {
            let stored = value(name, old)
            let isUnknown = tradeIDs.contains(name) && (given == "-1" || stored == "-1")
            if stored == nil || (stored != given && !isUnknown && !["source", "revision"].contains(name)) { isSame = false }
            fields += [name, tradeIDs.contains(name) && given == "-1" ? stored ?? given : given]
        }
        fields[fields.count - 1] = "\(revision(old) + 1)"
        return isSame ? nil : fields
    }

    static func value(_ name: String, _ fields: [String]) -> String? {
        stride(from: 0, to: fields.count, by: 2).reversed().first { fields[$0] == name }.map { fields[$0 + 1] }
    }

    static func revision(_ fields: [String]) -> Int { value("revision", fields).flatMap { Int($0) } ?? 0 }

    /// `HSET key field value …`
    mutating func setFields(_ command: [String]) -> String {
        let key = command[1]
        guard !foreignKeys.contains(key) else { return RedisDatabase.wrongType }
        var added = 0
        for index in stride(from: 2, to: command.count, by: 2) {
            if hashes[key, default: [:]].updateValue(command[index + 1], forKey: command[index]) == nil { added += 1 }
        }
        return ":\(added)\r\n"
    }

    /// `HDEL key field`
    mutating func removeField(_ command: [String]) -> String {
        guard !foreignKeys.contains(command[1]) else { return RedisDatabase.wrongType }
        return hashes[command[1]]?.removeValue(forKey: command[2]) == nil ? ":0\r\n" : ":1\r\n"
    }

    /// A command of those above, as a real server would answer it.
    public mutating func run(_ command: [String]) -> String {
        switch command[0] {
        case "XADD": append(command)
        case "EVAL" where command[3].hasPrefix("gaps:"): rewriteHash(command)
        case "EVAL", "EVALSHA": script(command)
        case "SCRIPT": load(command)
        case "HSET": setFields(command)
        case "HDEL": removeField(command)
        default: RedisDatabase.wire(reply(command))
        }
    }

    /// Every entry of a stream: id, then names and values.
    public func dump(_ key: String) -> [[String]] { entries(key).map { ["\($0.openMs)-0"] + $0.fields } }

    /// Every entry of a stream of changes, names and values.
    public func changes(_ key: String) -> [[String]] { changes[key] ?? [] }
}
