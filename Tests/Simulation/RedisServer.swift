// The Redis of a simulated world: takes connections, carries commands out in its own time, refuses, stalls, dies and
// comes back with what it had carried out.

import FastFeed
import Glibc

final class RedisServer {
    unowned let kernel: SimulatedKernel
    var random: SplitMix64
    var database = RedisDatabase()
    fileprivate var connections: [RedisConnection] = []
    private var nextClientID: Int64 = 1
    private var runNumber = 1
    /// Of a cluster's node, from 1 on; 0: it is no cluster's.
    let number: Int
    weak var cluster: RedisCluster?
    private var isServing = false
    /// Called for each state in a HSET and each message published, before it is carried out.
    var onNewest: (_ key: String, _ field: String, _ json: String) -> Void = { _, _, _ in }
    var onPublish: (_ channel: String, _ message: String) -> Void = { _, _ in }
    var onUnknown: ([String]) -> Void = { _ in }

    // What goes wrong now, until when.
    private var downUntilNs: UInt64 = 0
    private var stalledUntilNs: UInt64 = 0
    private var refusal = ""
    private var refusesUntilNs: UInt64 = 0
    private var refusesPublishUntilNs: UInt64 = 0
    private var isSlowUntilNs: UInt64 = 0
    private var sparedUntilNs: UInt64 = 0
    private var isCalm = false
    /// Called when it has forgotten something.
    var onForgot: () -> Void = {}
    /// Called when somebody asks how long a stream is.
    var onLooked: (_ key: String, _ isEmpty: Bool) -> Void = { _, _ in }
    /// Called around each script on a series' history.
    var onScript: (_ key: String, _ before: RedisDatabase, _ after: inout RedisDatabase) -> Void = { _, _, _ in }

    init(_ scenario: Scenario, kernel: SimulatedKernel, number: Int = 0) {
        (self.kernel, self.number) = (kernel, number)
        random = SplitMix64(seed: scenario.seed ^ 0xD ^ UInt64(number) << 32)
    }

    func accept() -> Acceptance {
        if kernel.nowNs < downUntilNs { return .refuse(ECONNREFUSED) }
        let connection = RedisConnection(self, id: nextClientID)
        nextClientID += 1
        connections.append(connection)
        return .accept(connection)
    }

    fileprivate func remove(_ connection: RedisConnection) { connections.removeAll { $0 === connection } }

    // MARK: Serving

    /// One turn of the server's event loop, soon.
    fileprivate func serveSoon() {
        guard !isServing else { return }
        isServing = true
        let pauseNs = UInt64(random.number(kernel.nowNs < isSlowUntilNs ? 1_000_000...50_000_000 : 5_000...100_000))
        kernel.events.plan(at: max(kernel.nowNs + pauseNs, stalledUntilNs)) { [unowned self] in
            isServing = false
            if kernel.nowNs < stalledUntilNs { serveSoon() } else { serve() }
        }
    }

    private func serve() {
        var more = false
        // Clients that are ready at once are served in any order.
        // What a client has left behind comes before what its successor says.
        let order = connections.shuffled(using: &random)
        for connection in order.filter(\.hasEnded) + order.filter({ !$0.hasEnded }) where connections.contains(where: { $0 === connection })
        {
            if connection.serve(commandsMax: connection.hasEnded ? 1_000 : random.pick([1, 5, 1_000])) { more = true }
        }
        if more { serveSoon() }
    }

    fileprivate func answer(_ command: [String], _ connection: RedisConnection) -> String {
        let answer = decide(command, connection)
        kernel.tell? {
            let ids = command.dropFirst(6).filter { command[0] == "EVALSHA" && $0.hasSuffix("-0") }
            // The end of a state is its event's time.
            let states = command.filter { command[0] == "HSET" && $0.hasSuffix("}") }
            let words = command.prefix(6).map { $0.prefix(40) } + ids.map { $0.prefix(40) } + states.map { $0.suffix(14) }
            let name = number > 0 ? " \(number)" : ""
            return "redis\(name) (\(connection.id)): \(words.joined(separator: " ")) → \(answer.prefix(24).dropLast(2))"
        }
        return answer
    }

    private func decide(_ command: [String], _ connection: RedisConnection) -> String {
        let now = kernel.nowNs
        let refuses = now < refusesUntilNs
        let isAsking = connection.takeAsking()
        if refuses && refusal.hasPrefix("LOADING") { return "-\(refusal)\r\n" }
        switch command[0] {
        case "PING": return "+PONG\r\n"
        case "SELECT", "AUTH": return "+OK\r\n"
        // The one script without keys asks which run of the server this is.
        case "EVAL" where command[2] == "0":
            let run = number > 0 ? "run\(number).\(runNumber)" : "run\(runNumber)"
            return "$\(run.utf8.count)\r\n\(run)\r\n"
        case "CLIENT" where command[1] == "ID": return ":\(connection.id)\r\n"
        case "CLIENT" where command[1] == "KILL":
            let victims = connections.filter { $0.id == Int64(command[3]) }
            for victim in victims { victim.kill() }
            return ":\(victims.count)\r\n"
        case "PUBLISH":
            if now < refusesPublishUntilNs { return "-NOPERM this user has no permissions to access one of the channels used\r\n" }
            onPublish(command[1], command[2])
            return ":0\r\n"
        case "SCRIPT": return database.run(command)
        case "ASKING" where number > 0:
            connection.isAsking = true
            return "+OK\r\n"
        default:
            if let redirect = cluster?.refusal(command, at: self, isAsking: isAsking) { return redirect }
            if refuses { return "-\(refusal)\r\n" }
            // What the past of a cluster takes counts for nothing.
            guard cluster?.isHeard(self, command) ?? true else { return database.run(command) }
            let answer = carryOut(command)
            if let late = cluster?.takeLate(behind: command, at: self) { _ = carryOut(late) }
            return answer
        }
    }

    private func carryOut(_ command: [String]) -> String {
        if command[0] == "HSET" && !database.foreignKeys.contains(command[1]) {
            for index in stride(from: 2, to: command.count, by: 2) { onNewest(command[1], command[index], command[index + 1]) }
        }
        // (A copy costs something; only scripts change what is stored already.)
        let before = command[0].hasPrefix("EVAL") ? database : nil
        let answer = database.run(command)
        if answer.hasPrefix("-ERR unknown command") { onUnknown(command) }
        if let before { onScript(command[3], before, &database) }
        return answer
    }

    // MARK: Trouble

    private func untilNs(_ milliseconds: ClosedRange<Int>) -> UInt64 { kernel.nowNs + UInt64(random.number(milliseconds)) * 1_000_000 }

    /// Questions of somebody who waits for the answers; nil: there are none in time.
    func ask(_ commands: [[String]]) -> [RedisReply]? {
        let now = kernel.nowNs
        guard now >= downUntilNs, now >= stalledUntilNs, !random.chance(now < isSlowUntilNs ? 0.3 : 0) else { return nil }
        kernel.tell? { "redis is asked: \(commands.map { $0.prefix(6).joined(separator: " ") }.joined(separator: "; "))" }
        if now < refusesUntilNs { return commands.map { _ in .error(refusal) } }
        return commands.map { command in
            let reply = database.reply(command)
            if command[0] == "XLEN", let length = reply.integer { onLooked(command[1], length == 0) }
            if case .error(let text) = reply, text.hasPrefix("ERR unknown command") { onUnknown(command) }
            kernel.tell? { "redis answers: \(reply)".prefix(200).description }
            return reply
        }
    }

    /// Started again, or replaced by a replica: with nothing, or without what came last.
    func forget() {
        kernel.note(7)
        let memory = random.chance(0.5) ? database : RedisDatabase()
        kernel.plan(afterNs: UInt64(random.number(1...3_000)) * 1_000_000) { [unowned self] in
            guard !isCalm, cluster?.isBusy(self) != true else { return }
            kernel.tell? { "redis: forgets" }
            database = memory
            restart(downUntilNs: untilNs(1...5_000))
            onForgot()
        }
    }

    private func restart(downUntilNs: UInt64) {
        self.downUntilNs = downUntilNs
        for connection in connections { connection.kill() }
        nextClientID = 1
        runNumber += 1
        database.scripts = []
    }

    func misbehave(_ historyKeys: [String]) {
        let kind = random.number(0...9)
        kernel.note(UInt64(kind) << 8 | 5)
        kernel.tell? { "redis: fault \(kind)" }
        switch kind {
        case 0:
            // Killed: nothing that was not carried out is answered; what is on the way back is lost.
            restart(downUntilNs: untilNs(1...20_000))
        case 1: stalledUntilNs = untilNs(10...25_000)
        case 2:
            refusal = random.pick([
                "OOM command not allowed when used memory > 'maxmemory'.", "NOREPLICAS Not enough good replicas to write.",
                "READONLY You can't write against a read only replica.", "LOADING Redis is loading the dataset in memory",
                "MISCONF Redis is configured to save RDB snapshots", "NOPERM this user has no permissions to run the 'xadd' command",
            ])
            refusesUntilNs = untilNs(1...10_000)
        case 3: refusesPublishUntilNs = untilNs(1...10_000)
        case 4: isSlowUntilNs = untilNs(10...10_000)
        case 5: for connection in connections { connection.kill() }
        case 6: for connection in connections { connection.finish() }
        case 7: for connection in connections { connection.sayRubbish() }
        case 8: for connection in connections { connection.stopReading(untilNs: untilNs(10...10_000)) }
        default: if random.chance(0.2) && !historyKeys.isEmpty { database.foreignKeys.insert(random.pick(historyKeys)) }
        }
    }

    // MARK: In a cluster

    var isThere: Bool { kernel.nowNs >= downUntilNs && kernel.nowNs >= stalledUntilNs }
    /// It must bear nothing more until all is there again that was lost with the one before.
    var isSpared: Bool { kernel.nowNs < sparedUntilNs }

    func spare(ns: UInt64) { sparedUntilNs = kernel.nowNs + ns }
    func hang(ns: UInt64) { stalledUntilNs = max(stalledUntilNs, kernel.nowNs + ns) }
    func die(ns: UInt64) { restart(downUntilNs: kernel.nowNs + ns) }

    func heal() {
        isCalm = true
        (downUntilNs, stalledUntilNs, refusesUntilNs, refusesPublishUntilNs, isSlowUntilNs) = (0, 0, 0, 0, 0)
    }
}

private final class RedisConnection: LinkHandler {
    private unowned let server: RedisServer
    let id: Int64
    private var link: Link?
    private var input: [UInt8] = []
    private var head = 0
    private(set) var hasEnded = false
    /// The next command is behind ASKING.
    var isAsking = false

    init(_ server: RedisServer, id: Int64) {
        self.server = server
        self.id = id
    }

    func takeAsking() -> Bool {
        defer { isAsking = false }
        return isAsking
    }

    func onOpen(_ link: Link) { self.link = link }
    func onRead(total: Int) {}

    func onBytes(_ bytes: [UInt8]) {
        input.append(contentsOf: bytes)
        server.serveSoon()
    }

    func onEnd() {
        // What it has sent before is carried out all the same.
        hasEnded = true
        server.serveSoon()
    }

    func onAbort() {
        (input, head) = ([], 0)
        onEnd()
    }

    /// Carries out what has come. True when there is more.
    func serve(commandsMax: Int) -> Bool {
        var out: [UInt8] = []
        var done = 0
        while done < commandsMax, link != nil, let command = takeCommand() {
            out.append(contentsOf: server.answer(command, self).utf8)
            done += 1
        }
        if !out.isEmpty { link?.send(out) }
        if done == commandsMax { return true }
        if hasEnded { server.remove(self) }
        return false
    }

    private func takeCommand() -> [String]? {
        var place = head
        guard let count = number(after: "*", &place) else { return nil }
        var words: [String] = []
        words.reserveCapacity(count)
        for _ in 0..<count {
            guard let length = number(after: "$", &place), place + length + 2 <= input.count else { return nil }
            words.append(String(decoding: input[place..<place + length], as: UTF8.self))
            place += length + 2
        }
        head = place
        if head == input.count {
            input.removeAll(keepingCapacity: true)
            head = 0
        }
        return words
    }

    private func number(after mark: Character, _ place: inout Int) -> Int? {
        guard let end = input[place...].firstIndex(of: 13), end + 1 < input.count else { return nil }
        precondition(input[place] == mark.asciiValue!, "not RESP: \(String(decoding: input[place..<end], as: UTF8.self))")
        var value = 0
        for byte in input[(place + 1)..<end] { value = value * 10 + Int(byte - 48) }
        place = end + 2
        return value
    }

    func kill() {
        link?.reset()
        link = nil
        server.remove(self)
    }

    func finish() {
        link?.finish()
        link = nil
        server.remove(self)
    }

    func sayRubbish() { link?.send(Array("?what\r\n".utf8)) }

    func stopReading(untilNs: UInt64) {
        guard let link else { return }
        link.isServerReading = false
        server.kernel.events.plan(at: untilNs) { link.isServerReading = true }
    }
}
