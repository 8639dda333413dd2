// A Redis Cluster on a kernel of its own: nodes that own slots, redirect, hang, die and lose what they have acknowledged last, when the
// test says so. What is stored is stored once: a node's part of it is what it owns. One thread.

import FastFeed
import Glibc
import TestKit

final class ClusterStage: VirtualKernel {
    struct Entry: Equatable {
        let openMs: Int64
        /// Which command of all has made it.
        var number: Int
    }
    private struct Socket {
        let port: UInt16
        var sent: [UInt8] = []
        var received: [UInt8] = []
        var isAsking = false
        var isEnded = false
        var token: PollToken?
        let client: Int
    }

    var nowNs: UInt64 = 1_000_000_000
    /// Whose turn it is: who connects is this one.
    var client = 0
    private var sockets: [Int32: Socket] = [:]
    private var lastNumber: Int32 = 0
    private var random: SplitMix64
    /// By slot.
    private(set) var owners: [UInt16]
    /// Keys that have gone to another node, which does not own their slot yet.
    private(set) var moved: [String: UInt16] = [:]
    private(set) var dead: Set<UInt16> = []
    var hung: Set<UInt16> = []
    /// All nodes refuse what is about a key.
    var isLoading = false
    private var commandNumber = 0

    private(set) var histories: [String: [Entry]] = [:]
    private(set) var latest: [String: [String: Int64]] = [:]
    private(set) var messageCount = 0
    /// By channel of a sharded message: the newest event that was told.
    private(set) var told: [String: Int64] = [:]
    private(set) var redirectCount = 0
    /// What no cluster of these rules may see.
    private(set) var complaints: [String] = []

    init(ports: [UInt16], seed: UInt64) {
        random = SplitMix64(seed: seed)
        owners = (0..<HashSlot.count).map { ports[$0 * ports.count / HashSlot.count] }
    }

    // MARK: What happens

    var map: SlotMap {
        var ranges: [RedisReply] = []
        var first = 0
        for slot in owners.indices where slot == owners.count - 1 || owners[slot + 1] != owners[slot] {
            let node = RedisReply.array([.bytes(Array("127.0.0.1".utf8)), .integer(Int64(owners[slot]))])
            ranges.append(.array([.integer(Int64(first)), .integer(Int64(slot)), node]))
            first = slot + 1
        }
        guard case .map(let map) = SlotMap.read(.array(ranges), askedHost: "127.0.0.1") else { preconditionFailure("a map that is none") }
        return map
    }

    func owner(_ key: String) -> UInt16 { owners[HashSlot(key: key).place] }

    /// One that hangs hands nothing over and takes nothing.
    func moveSlot(of key: String, to port: UInt16) {
        guard hung.isDisjoint(with: [port, owner(key)]) else { return }
        let slot = HashSlot(key: key)
        owners[slot.place] = port
        moved = moved.filter { HashSlot(key: $0.key) != slot }
    }

    /// Both have carried out what had come before.
    func moveKey(_ key: String, to port: UInt16) {
        guard port != owner(key), hung.isDisjoint(with: [port, owner(key)]) else { return }
        serve()
        moved[key] = port
    }

    /// Who moves gives up: all goes back.
    func giveUpMoves() { moved = [:] }

    /// A primary dies, or hangs on; the one that takes its place lacks its last commands. One that hangs takes no place.
    func failOver(_ port: UInt16, to successor: UInt16, losing count: Int) {
        guard !hung.contains(successor) else { return }
        if !hung.contains(port) {
            dead.insert(port)
            for (number, socket) in sockets where socket.port == port { sockets[number]!.isEnded = true }
        }
        for key in histories.keys where owner(key) == port && moved[key] == nil {
            histories[key]!.removeAll { $0.number > commandNumber - count }
        }
        for key in latest.keys where owner(key) == port && moved[key] == nil { latest[key] = [:] }
        for slot in owners.indices where owners[slot] == port { owners[slot] = successor }
        // Keys that were on their way there or from there are at the successor.
        moved = moved.filter { $0.value != port && owner($0.key) != successor }
    }

    /// One that owns nothing dies, and with it the keys that had gone there ahead of their slots. Their moves are given up.
    func die(_ port: UInt16) {
        dead.insert(port)
        for (number, socket) in sockets where socket.port == port { sockets[number]!.isEnded = true }
        for key in moved.keys where moved[key] == port { (histories[key], latest[key], moved[key]) = (nil, nil, nil) }
    }

    /// Its machine comes back, empty, and owns nothing.
    func revive(_ port: UInt16) { dead.remove(port) }

    /// The nodes carry out what has come.
    func serve() {
        for number in sockets.keys.sorted() {
            guard let socket = sockets[number], !socket.isEnded, !hung.contains(socket.port), let commands = RESPText.commands(socket.sent)
            else { continue }
            sockets[number]!.sent = []
            for command in commands { sockets[number]!.received += Array(answer(command, number).utf8) }
        }
    }

    /// Who owns slots.
    var ports: [UInt16] { Set(owners).sorted() }
    var openPorts: [UInt16] { sockets.values.filter { !$0.isEnded }.map(\.port).sorted() }

    func tokens() -> [PollToken] { sockets.keys.sorted().compactMap { sockets[$0]!.client == client ? sockets[$0]!.token : nil } }

    /// Its process has died. What it had sent is still carried out.
    func drop(clientsOf client: Int) {
        serve()
        sockets = sockets.filter { $0.value.client != client }
    }

    // MARK: A node

    private func answer(_ command: [String], _ number: Int32) -> String {
        let port = sockets[number]!.port
        let isAsking = sockets[number]!.isAsking
        sockets[number]!.isAsking = command[0] == "ASKING"
        commandNumber += 1
        switch command[0] {
        case "ASKING", "AUTH": return "+OK\r\n"
        case "PING": return "+PONG\r\n"
        case "CLIENT": return ":\(number)\r\n"
        case "SCRIPT": return "+sha\r\n"
        case "PUBLISH":
            messageCount += 1
            return ":0\r\n"
        case "SPUBLISH": return publish(command[1], command[2], port, isAsking)
        case "EVAL" where command[2] == "0": return "+run\(port)\r\n"
        case _ where isLoading: return "-LOADING Redis is loading the dataset in memory\r\n"
        case "EVAL", "EVALSHA": return redirect(command[3], port, isAsking) ?? script(command)
        default: return redirect(command[1], port, isAsking) ?? carryOut(command)
        }
    }

    /// Channels are served by the slot's owner to the end of a move, and nowhere else is anybody who listens.
    private func publish(_ channel: String, _ message: String, _ port: UInt16, _ isAsking: Bool) -> String {
        let slot = HashSlot(key: channel)
        guard port == owners[slot.place] else {
            if isAsking { complaints.append("\(channel): SPUBLISH behind ASKING") }
            redirectCount += 1
            return "-MOVED \(slot) 127.0.0.1:\(owners[slot.place])\r\n"
        }
        messageCount += 1
        let candles = (try? JSONValue(parsing: Array(message.utf8)))?["candles"]?.array ?? []
        told[channel] = max(told[channel] ?? 0, candles.compactMap { $0["event_time"]?.integer }.max() ?? -1)
        return ":0\r\n"
    }

    private func redirect(_ key: String, _ port: UInt16, _ isAsking: Bool) -> String? {
        let slot = HashSlot(key: key)
        let owner = owners[slot.place]
        if port == owner {
            guard let place = moved[key] else { return nil }
            redirectCount += 1
            return "-ASK \(slot) 127.0.0.1:\(place)\r\n"
        }
        if isAsking && moved.contains(where: { $0.value == port && HashSlot(key: $0.key) == slot }) { return nil }
        redirectCount += 1
        return "-MOVED \(slot) 127.0.0.1:\(owner)\r\n"
    }

    private func carryOut(_ command: [String]) -> String {
        switch command[0] {
        case "XADD":
            let openMs = ClusterStage.openMs(command[5])
            if let last = histories[command[1]]?.last, last.openMs >= openMs {
                return "-ERR The ID specified in XADD is equal or smaller than the target stream top item\r\n"
            }
            histories[command[1], default: []].append(Entry(openMs: openMs, number: commandNumber))
            return "$\(command[5].utf8.count)\r\n\(command[5])\r\n"
        case "HSET":
            for place in stride(from: 2, to: command.count, by: 2) {
                let event = (try? JSONValue(parsing: Array(command[place + 1].utf8)))?["event_time"]?.integer ?? -1
                let field = command[place]
                if let before = latest[command[1]]?[field], before > event {
                    complaints.append("\(command[1]) \(field): \(event) over \(before)")
                }
                latest[command[1], default: [:]][field] = event
            }
            return ":1\r\n"
        case "HDEL":
            latest[command[1]]?[command[2]] = nil
            return ":1\r\n"
        default:
            complaints.append("\(command[0]) was not expected")
            return "-ERR unknown command\r\n"
        }
    }

    /// The merge script: what is missing comes in its place. (Lists of holes are taken and forgotten.)
    private func script(_ command: [String]) -> String {
        guard command[2] == "2" else { return ":1\r\n" }
        var changes = 0
        let count = command.last == "NX" ? command.count - 1 : command.count
        for place in stride(from: 7, to: count, by: 1 + CandleField.allCases.count) {
            let openMs = ClusterStage.openMs(command[place])
            var list = histories[command[3]] ?? []
            guard !list.contains(where: { $0.openMs == openMs }) else { continue }
            list.insert(Entry(openMs: openMs, number: commandNumber), at: list.firstIndex { $0.openMs > openMs } ?? list.count)
            histories[command[3]] = list
            changes += 1
        }
        return ":\(changes)\r\n"
    }

    private static func openMs(_ id: String) -> Int64 { Int64(id.prefix { $0 != "-" }) ?? -1 }

    // MARK: The kernel

    func connect(to address: SocketAddress) throws(SystemError) -> Int32 {
        lastNumber += 1
        let port = (7_001...7_010).first { SocketAddress(numericHost: "127.0.0.1", port: $0) == address } ?? 0
        sockets[lastNumber] = Socket(port: port, client: client)
        return lastNumber
    }

    func connectError(_ number: Int32) -> Int32 { sockets[number].map { dead.contains($0.port) } ?? true ? ECONNREFUSED : 0 }
    func isWritable(_ number: Int32) -> Bool { true }

    func read(_ number: Int32, into bytes: UnsafeMutableRawPointer, count: Int) -> IOResult {
        guard let socket = sockets[number] else { return .endOfStream }
        let waiting = socket.received
        guard !waiting.isEmpty else { return socket.isEnded ? .endOfStream : .wouldBlock }
        let taken = min(count, 1 + random.below(waiting.count))
        waiting.withUnsafeBytes { bytes.copyMemory(from: $0.baseAddress!, byteCount: taken) }
        sockets[number]!.received = Array(waiting.dropFirst(taken))
        return .bytes(taken)
    }

    /// Now and then it takes a part alone.
    func write(_ number: Int32, _ bytes: UnsafeRawPointer, count: Int) -> IOResult {
        guard let socket = sockets[number], !socket.isEnded else { return .failed(EPIPE) }
        let taken = random.chance(20) ? random.below(count + 1) : count
        guard taken > 0 else { return .wouldBlock }
        sockets[number]!.sent += UnsafeRawBufferPointer(start: bytes, count: taken)
        return .bytes(taken)
    }

    func shutDown(_ number: Int32) {}
    func close(_ number: Int32) { sockets[number] = nil }
    func add(_ number: Int32, _ interest: Readiness, token: PollToken) { sockets[number]?.token = token }
    func change(_ number: Int32, _ interest: Readiness, token: PollToken) { sockets[number]?.token = token }
    func remove(_ number: Int32) { sockets[number]?.token = nil }
}
