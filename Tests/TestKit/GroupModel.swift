// What `GroupScripts.beat` does in Redis, said once more in Swift: for worlds without a Redis, and to compare the script with. Pure.

package import FastFeed

package struct GroupModel {
    /// Fields of the hash, and the epoch.
    package var members: [String: String] = [:]
    package var epoch: Int64 = 0

    package init() {}

    /// - Parameter command: as `Membership.question` has it.
    /// - Returns: the script's reply, and the epoch where it is published.
    package mutating func beat(_ command: [String]) -> (reply: RedisReply, published: Int64?) {
        let (name, said, done, json) = (command[5], command[6], command[7], command[8])
        let (floor, stands) = (Int64(command[9])!, command[11] == "1")
        var state = said
        var hasChanged = false
        for place in stride(from: 12, to: command.count - 1, by: 2) {
            guard let entry = entry(command[place]), "\(entry.beat) \(entry.state)" == command[place + 1] else { continue }
            if entry.state == "gone" || entry.state == "left" {
                members[command[place]] = nil
            } else {
                members[command[place]] = "\(entry.beat) gone \(entry.rest)"
                hasChanged = true
            }
        }
        let (known, text) = (entry(name), members[name] ?? "")
        let was = known?.state ?? "none"
        if was == "gone" && state == "leaving" {
            state = "left"
        } else if was == "gone" || was == "none" && !stands, state != "left" {
            state = "joining"
        }
        if was != state { hasChanged = true }
        members[name] = "\(GroupModel.number(known?.beat) + 1) \(state) \(done) \(json)"
        if epoch < floor { (epoch, hasChanged) = (floor, true) }
        if hasChanged { epoch += 1 }
        let list = members.sorted { $0.key < $1.key }.flatMap { [RedisReply.bytes(Array($0.utf8)), .bytes(Array($1.utf8))] }
        return (.array([.integer(epoch), .bytes(Array(was.utf8)), .array(list), .bytes(Array(text.utf8))]), hasChanged ? epoch : nil)
    }

    /// What does not count any more begins again.
    private static func number(_ text: String?) -> UInt64 {
        text.flatMap { UInt64($0) }.flatMap { $0 < 1 << 53 ? $0 : nil } ?? 0
    }

    private func entry(_ name: String) -> (beat: String, state: String, rest: String)? {
        guard let words = members[name]?.split(separator: " ", maxSplits: 2).map(String.init), words.count == 3 else { return nil }
        return (words[0], words[1], words[2])
    }
}
