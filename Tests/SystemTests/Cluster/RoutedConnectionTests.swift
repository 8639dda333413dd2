// Control's and clients' way through a cluster whose nodes hang, are away or refuse us. The nodes are scripted, on real sockets: one thread
// for each connection, a few commands.

import FastFeed
import Glibc
import Synchronization
import TestKit
import Testing

/// Speaks enough of a node's language. Its replies name it.
private final class ScriptedNode: Sendable {
    private struct State {
        /// Answers nothing; a connection is taken all the same.
        var hangs = false
        var refusesUs = false
        /// Owners of the lower and of the upper half of the slots.
        var owners: [UInt16] = []
        var connectionCount = 0
    }
    private let listener: LoopbackListener
    private let state = Lock(State())
    var port: UInt16 { listener.port }
    var connectionCount: Int { state.withLock { $0.connectionCount } }

    init() throws {
        listener = try LoopbackListener()
        listener.start { [self] in serve($0) }
    }

    func hang(_ hangs: Bool) { state.withLock { $0.hangs = hangs } }
    func refuse() { state.withLock { $0.refusesUs = true } }
    func name(_ owners: ScriptedNode...) { state.withLock { $0.owners = owners.map(\.port) } }
    func stop() { listener.stop() }

    private func serve(_ number: Int32) {
        defer { close(number) }
        state.withLock { $0.connectionCount += 1 }
        var (parser, bytes) = (ReplyParser(stringBytesMax: 1_024), [UInt8](repeating: 0, count: 16_384))
        while true {
            let count = read(number, &bytes, bytes.count)
            guard count > 0 else { return }
            parser.append(bytes[..<count])
            while case .reply(let command) = parser.next() {
                guard let reply = answer(command.strings) else { continue }
                guard reply.withCString({ send(number, $0, strlen($0), Int32(MSG_NOSIGNAL)) }) > 0 else { return }
            }
        }
    }

    private func answer(_ command: [String]) -> String? {
        let state = state.withLock { $0 }
        if state.hangs { return nil }
        if state.refusesUs { return "-WRONGPASS invalid username-password pair or user is disabled.\r\n" }
        switch command.prefix(2) {
        case ["PING"]: return "+PONG\r\n"
        case ["CLUSTER", "INFO"]: return "+cluster_current_epoch:1\r\n"
        case ["CLUSTER", "SLOTS"]:
            let ranges = zip([(0, 8_191), (8_192, 16_383)], state.owners).map { range, owner in
                "*3\r\n:\(range.0)\r\n:\(range.1)\r\n*2\r\n$9\r\n127.0.0.1\r\n:\(owner)\r\n"
            }
            return "*2\r\n" + ranges.joined()
        default: return "+\(port)\r\n"
        }
    }
}

@Suite("A client's connection to a cluster", .serialized)
struct RoutedConnectionTests {
    /// Keys of the lower half, whose node is the home, and of the upper one.
    private let low = ["GET", "bar"]
    private let high = ["GET", "foo"]

    private func endpoint(_ nodes: ScriptedNode...) throws -> RedisEndpoint {
        try RedisEndpoint(url: "redis+cluster://" + nodes.map { "127.0.0.1:\($0.port)" }.joined(separator: ","))
    }

    private func cluster() throws -> (home: ScriptedNode, other: ScriptedNode, connection: RoutedConnection) {
        let (home, other) = (try ScriptedNode(), try ScriptedNode())
        for node in [home, other] { node.name(home, other) }
        return (home, other, try RoutedConnection.connect(try endpoint(home, other)))
    }

    private func end(_ connection: RoutedConnection, _ nodes: ScriptedNode...) {
        connection.close()
        for node in nodes { node.stop() }
    }

    /// The reply's text; an error's first word.
    private func next(_ connection: RoutedConnection) -> String {
        switch connection.next(timeoutMs: 20_000) {
        case .reply(.error(let message)): String(message.prefix { $0 != " " })
        case .reply(let reply): reply.text ?? "\(reply)"
        case .nothing: "nothing"
        case .lost(let reason): "lost: \(reason)"
        }
    }

    private func ask(_ connection: RoutedConnection, _ commands: [String]...) -> [String] {
        guard connection.send(commands) else { return ["not sent"] }
        return commands.map { _ in next(connection) }
    }

    @Test("A node that takes commands and never answers: its replies are errors, those of the others come, and each is its command's")
    func hung() throws {
        let (home, other, connection) = try cluster()
        defer { end(connection, home, other) }
        #expect(ask(connection, high, low) == ["\(other.port)", "\(home.port)"])
        other.hang(true)
        #expect(ask(connection, high, low, high, low) == ["CLUSTERDOWN", "\(home.port)", "CLUSTERDOWN", "\(home.port)"])
        #expect(ask(connection, low, high) == ["\(home.port)", "CLUSTERDOWN"])
        other.hang(false)
        try eventually(30, "the node to be asked again") { ask(connection, high) == ["\(other.port)"] }
        #expect(ask(connection, low, high) == ["\(home.port)", "\(other.port)"])
    }

    @Test("A node that cannot be connected to is not waited for with each command")
    func away() throws {
        let (home, other, connection) = try cluster()
        defer { end(connection, home, other) }
        other.hang(true)
        // Some are questions for the map.
        for _ in 0..<50 { #expect(ask(connection, high, low) == ["CLUSTERDOWN", "\(home.port)"]) }
        #expect((1..<25).contains(other.connectionCount), "\(other.connectionCount) for 50 commands")
    }

    @Test("Where no engine runs the connection itself asks who has a dead node's slots")
    func asksItself() throws {
        let (home, other, connection) = try cluster()
        let heir = try ScriptedNode()
        defer { end(connection, home, other, heir) }
        #expect(ask(connection, high) == ["\(other.port)"])
        other.hang(true)
        for node in [home, heir] { node.name(home, heir) }
        try eventually(30, "the new owner to be found") { ask(connection, high) == ["\(heir.port)"] }
        #expect(ask(connection, low) == ["\(home.port)"])
    }

    @Test("A transaction is refused, in its place among the replies", arguments: ["MULTI", "exec", "DISCARD", "WATCH", "UNWATCH"])
    func transactions(_ word: String) throws {
        let (home, other, connection) = try cluster()
        defer { end(connection, home, other) }
        #expect(ask(connection, high, [word, "foo"], low) == ["\(other.port)", "ERR", "\(home.port)"])
        #expect(ask(connection, [word]) == ["ERR"])
    }

    @Test("A node that refuses us does not end the question for the map; where all do it is a setting")
    func refused() throws {
        let (good, bad) = (try ScriptedNode(), try ScriptedNode())
        defer { for node in [good, bad] { node.stop() } }
        good.name(good, good)
        bad.refuse()
        let untilNs = MonotonicClock.nowNs() + 60_000_000_000
        // Which of them is asked first is the board's to say.
        for place in [try endpoint(good, bad), try endpoint(bad, good)] {
            #expect(try place.findMap(untilNs: untilNs)?.primaries.map(\.port) == [good.port])
        }
        let error = #expect(throws: FeedError.self) { try endpoint(bad).findMap(untilNs: untilNs) }
        #expect(error?.stage == .configuration && error?.message.contains("WRONGPASS") == true, "\(String(describing: error))")
        #expect(bad.connectionCount >= 2)
    }

    @Test("The watch tells the same map again after MOVED has changed it on the board")
    func toldAgain() throws {
        let home = try ScriptedNode()
        home.name(home, home)
        let place = try endpoint(home)
        let seeds = try #require(place.cluster)
        let told = Lock<[SlotMap]>([])
        let watch = try ClusterWatch(place, seeds, journal: Journal()) { map in
            told.withLock { $0.append(map) }
            return true
        }
        try watch.start()
        defer {
            watch.stop()
            home.stop()
        }
        try eventually(30, "the first map") { told.withLock { $0.count } == 1 }
        seeds.board.take(try #require(Redirect(error: "MOVED 12182 127.0.0.1:1")))
        try eventually(30, "the map again") { told.withLock { $0.count } >= 2 }
        #expect(told.withLock { Set($0.flatMap { $0.primaries.map(\.port) }) } == [home.port])
    }
}
