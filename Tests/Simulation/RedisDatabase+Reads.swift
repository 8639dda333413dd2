// What Redis does with the commands that look into it or clear up, and with the small script that writes a series' holes.

import FastFeed

extension RedisDatabase {
    /// A command whose reply is a value.
    mutating func reply(_ command: [String]) -> RedisReply {
        let key = command.count > 1 ? command[1] : ""
        if command[0] != "DEL" && foreignKeys.contains(key) {
            return .error("WRONGTYPE Operation against a key holding the wrong kind of value")
        }
        switch command[0] {
        case "PING": return RedisDatabase.text("PONG")
        case "XLEN": return .integer(Int64(entries(key).count))
        case "XRANGE": return range(key, from: command[2], to: command[3], Array(command[4...]), isReversed: false)
        case "XREVRANGE": return range(key, from: command[3], to: command[2], Array(command[4...]), isReversed: true)
        case "XDEL": return .integer(Int64(command[2...].count { remove(key, $0) }))
        case "HGETALL":
            let fields = hashes[key]?.sorted { $0.key < $1.key } ?? []
            return .array(fields.flatMap { [RedisDatabase.text($0.key), RedisDatabase.text($0.value)] })
        case "HGET": return hashes[key]?[command[2]].map(RedisDatabase.text) ?? .null
        case "HLEN": return .integer(Int64(hashes[key]?.count ?? 0))
        case "HSET":
            return .integer(
                Int64(
                    stride(from: 2, to: command.count, by: 2).count {
                        hashes[key, default: [:]].updateValue(command[$0 + 1], forKey: command[$0]) == nil
                    }))
        case "HDEL": return .integer(Int64(command[2...].count { hashes[key]?.removeValue(forKey: $0) != nil }))
        case "DEL": return .integer(Int64(command[1...].count { delete($0) }))
        case "EXISTS": return .integer(Int64(command[1...].count { streams[$0] != nil || hashes[$0]?.isEmpty == false }))
        default: return .error("ERR unknown command '\(command[0])'")
        }
    }

    private static func text(_ text: String) -> RedisReply { .bytes(Array(text.utf8)) }

    private mutating func delete(_ key: String) -> Bool {
        let hadStream = streams.removeValue(forKey: key) != nil
        let hadHash = hashes.removeValue(forKey: key) != nil
        return hadStream || hadHash
    }

    private mutating func remove(_ key: String, _ id: String) -> Bool {
        guard let open = Int64(id.split(separator: "-")[0]), let place = streams[key]?.firstIndex(where: { $0.openMs == open }) else {
            return false
        }
        streams[key]?.remove(at: place)
        return true
    }

    private func range(_ key: String, from: String, to: String, _ options: [String], isReversed: Bool) -> RedisReply {
        let most = options.count == 2 ? Int(options[1])! : .max
        let (low, high) = (RedisDatabase.bound(from, isLow: true), RedisDatabase.bound(to, isLow: false))
        let inside = entries(key).filter { low <= $0.openMs && $0.openMs <= high }
        let shown = isReversed ? Array(inside.reversed().prefix(most)) : Array(inside.prefix(most))
        return .array(
            shown.map { .array([RedisDatabase.text("\($0.openMs)-0"), .array($0.fields.map(RedisDatabase.text))]) })
    }

    /// `-`, `+`, an id, or `(` and an id: as the lowest or the highest open time. (All ids end with `-0`.)
    private static func bound(_ text: String, isLow: Bool) -> Int64 {
        if text == "-" { return .min }
        if text == "+" { return .max }
        let isExclusive = text.hasPrefix("(")
        let parts = (isExclusive ? text.dropFirst() : text[...]).split(separator: "-")
        let open = Int64(parts[0])!
        let sequence = parts.count > 1 ? UInt64(parts[1])! : isLow ? 0 : .max
        if isLow { return sequence > 0 || isExclusive ? open + 1 : open }
        return sequence == 0 && isExclusive ? open - 1 : open
    }

    /// `EVAL script 1 key field value …`: the hash is what is given, and nothing else.
    mutating func rewriteHash(_ command: [String]) -> String {
        let key = command[3]
        guard !foreignKeys.contains(key) else { return RedisDatabase.wrongType }
        var fields: [String: String] = [:]
        for index in stride(from: 4, to: command.count, by: 2) { fields[command[index]] = command[index + 1] }
        hashes[key] = fields.isEmpty ? nil : fields
        return ":\(fields.count)\r\n"
    }

    /// A reply as it is on the wire.
    static func wire(_ reply: RedisReply) -> String {
        switch reply {
        case .bytes(let bytes): "$\(bytes.count)\r\n\(String(decoding: bytes, as: UTF8.self))\r\n"
        case .integer(let value): ":\(value)\r\n"
        case .null: "$-1\r\n"
        case .error(let text): "-\(text)\r\n"
        case .array(let parts): "*\(parts.count)\r\n" + parts.map(wire).joined()
        case .tooLong(let count): "$\(count)\r\n"
        }
    }
}

/// What the healer of a world sees of its Redis.
final class SimulatedHistory: HistoryReader {
    private let askRedis: ([[String]]) -> [RedisReply]?
    private let fault: PlantedFault?

    init(_ askRedis: @escaping ([[String]]) -> [RedisReply]?, fault: PlantedFault?) { (self.askRedis, self.fault) = (askRedis, fault) }

    func ask(_ commands: [[String]]) -> [RedisReply]? {
        let replies = askRedis(commands)
        guard fault == .nothingStored else { return replies }
        return replies?.map {
            switch $0 {
            case .array: .array([])
            case .integer: .integer(0)
            default: $0
            }
        }
    }
}
