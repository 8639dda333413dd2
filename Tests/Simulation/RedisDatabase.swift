// What Redis does with the commands FastFeed sends: streams, hashes, and the history script's meaning. A test
// runs the same commands against a real server, so that the model cannot drift.

import FastFeed

struct StreamEntry: Equatable {
    let openMs: Int64
    /// Names and values, in order.
    let fields: [String]
}

public struct RedisDatabase {
    private(set) var streams: [String: [StreamEntry]] = [:]
    private(set) var hashes: [String: [String: String]] = [:]
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

    /// `EVAL script 1 key open keep field value …`: HistoryScript's documented results.
    mutating func script(_ command: [String]) -> String {
        let (key, open) = (command[3], Int64(command[4])!)
        guard !foreignKeys.contains(key) else { return RedisDatabase.wrongType }
        var fields = Array(command[6...])
        var list = streams[key] ?? []
        let place = list.firstIndex { $0.openMs >= open } ?? list.count
        guard place < list.count, list[place].openMs == open else {
            if place == 0 && list.count >= Int(command[5])! { return ":3\r\n" }
            list.insert(StreamEntry(openMs: open, fields: fields), at: place)
            streams[key] = list
            return ":1\r\n"
        }
        let old = list[place].fields
        if RedisDatabase.values(old) == RedisDatabase.values(fields) { return ":0\r\n" }
        fields[fields.count - 1] = "\(RedisDatabase.revision(old) + 1)"
        list[place] = StreamEntry(openMs: open, fields: fields)
        streams[key] = list
        return ":2\r\n"
    }

    /// Everything but source and revision.
    static func values(_ fields: [String]) -> [String] {
        stride(from: 0, to: fields.count, by: 2).flatMap {
            ["source", "revision"].contains(fields[$0]) ? [] : [fields[$0], fields[$0 + 1]]
        }
    }

    static func revision(_ fields: [String]) -> Int {
        for index in stride(from: 0, to: fields.count, by: 2) where fields[index] == "revision" { return Int(fields[index + 1]) ?? 0 }
        return 0
    }

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
        case "EVAL": script(command)
        case "HSET": setFields(command)
        case "HDEL": removeField(command)
        default: "-ERR unknown command '\(command[0])'\r\n"
        }
    }

    /// Every entry of a stream: id, then names and values.
    public func dump(_ key: String) -> [[String]] { entries(key).map { ["\($0.openMs)-0"] + $0.fields } }
}
