// Servers that break the rules, against the whole engine: the right answer on the wire, bounded memory, another
// attempt later and later, and a good connection beside them that notices nothing.

import FastFeed
import Foundation
import TestKit
import Testing

@Suite("Hostile WebSocket servers", .serialized)
struct HostileServerTests {
    static let groups = [
        HostileGroup(name: "answers", cases: HandshakeCases.answers), HostileGroup(name: "bytes", cases: HandshakeCases.streams),
        HostileGroup(name: "stalls", cases: HandshakeCases.stalls, handshakeTimeoutMs: HandshakeCases.stallMs),
        HostileGroup(name: "headers", cases: FrameCases.headers), HostileGroup(name: "messages", cases: FrameCases.messages),
    ]

    private func run(
        _ cases: [HostileCase], attempts: Int = 4, seconds: Double = 30, handshakeTimeoutMs: Int = Limits.handshakeTimeoutMs
    ) throws -> HostileRun {
        let run = try HostileRun(cases, handshakeTimeoutMs: handshakeTimeoutMs)
        try run.run(attempts: attempts, seconds: seconds)
        for index in cases.indices { try run.expectOutcome(of: index, attempts: attempts) }
        try run.expectGoodUndisturbed()
        run.expectBounds()
        return run
    }

    /// Close frames of the cases' connections, but for those of the engine's orderly end.
    private func violationCloses(_ run: HostileRun) -> Int {
        run.cases.indices.reduce(0) { sum, index in
            sum + run.server.attempts(of: HostileRun.symbol(index)).reduce(0) { $0 + $1.closeCodes.count { $0 != 1000 } }
        }
    }

    private func attempts(_ run: HostileRun) -> Int {
        run.cases.indices.reduce(0) { $0 + run.server.attempts(of: HostileRun.symbol($1)).count }
    }

    @Test("Wrong answers to the upgrade", arguments: groups.prefix(3))
    func handshakes(_ group: HostileGroup) throws {
        let cases = group.cases
        let run = try run(cases, handshakeTimeoutMs: group.handshakeTimeoutMs)
        let counters = run.counters
        #expect(counters[.connectionsOpened] == 1 && counters[.protocolViolations] == 0)
        // The last attempt of each case may have been under way at the end.
        let made = attempts(run)
        #expect(counters[.connectFailures] <= made && counters[.connectFailures] + UInt64(cases.count) >= made)
    }

    @Test("Frames that break the protocol or a limit", arguments: groups.suffix(2))
    func frames(_ group: HostileGroup) throws {
        let run = try run(group.cases)
        let counters = run.counters
        #expect(Int(counters[.protocolViolations]) == violationCloses(run), "one violation, one close frame")
        #expect(counters[.connectFailures] == 0)
        // But for the good candles nothing was taken: each closed one comes with a forming one.
        #expect(Int(counters[.recordsTaken]) == 2 * run.service.sent)
    }

    @Test("Ends that are none") func ends() throws {
        let run = try run(FrameCases.ends)
        #expect(run.counters[.protocolViolations] >= 3 * 4 && run.counters[.connectFailures] == 0)
    }

    @Test("Floods of pings and pongs") func floods() throws {
        let run = try run(FrameCases.floods, attempts: 2, seconds: 60)
        #expect(run.counters[.protocolViolations] == 0)
    }

    @Test("A right answer byte by byte is a right answer") func trickledUpgrade() throws {
        let symbol = HostileRun.symbol(0)
        let server = try HostileServer([
            symbol: { peer, _ in
                for byte in HostilePeer.head(peer.rightAnswer) {
                    guard peer.send([byte]) else { return }
                    usleep(20_000)
                }
                for byte in Frames.text("slowly, but well") { peer.send([byte]) }
                peer.answerCloseAndEnd()
            }
        ])
        let client = try WebSocketClient.connect(url: "\(server.url)/stream?streams=\(symbol)@kline_1m")
        #expect(try client.receive(timeout: .seconds(5)) == .text(Array("slowly, but well".utf8)))
        client.close()
        server.stop()
        #expect(server.attempts(of: symbol).first?.closeCodes == [1000])
    }

    /// The client that other programs use shares the code below the reader, not the reader.
    @Test("WebSocketClient refuses the same", arguments: groups)
    func client(_ group: HostileGroup) throws {
        let cases = group.cases
        let server = try HostileServer(HostileRun.scripts(cases))
        DispatchQueue.concurrentPerform(iterations: cases.count) { index in
            let hostile = cases[index]
            var options = WebSocketClient.Options()
            options.handshakeTimeout = .milliseconds(group.handshakeTimeoutMs)
            options.messageBytesMax = Limits.venueMessageBytesMax
            options.fragmentCountMax = Limits.fragmentCountMax
            let url = "\(server.url)/stream?streams=\(HostileRun.symbol(index))@kline_1m"
            do {
                let client = try WebSocketClient.connect(url: url, options: options)
                guard case .violation(let code, let text) = hostile.outcome else {
                    Issue.record("\(hostile.name): accepted")
                    return
                }
                guard case .closed(code, let reason)? = try client.receive(timeout: .seconds(8)) else {
                    Issue.record("\(hostile.name): not closed with \(code)")
                    return
                }
                #expect(reason.contains(text), "\(hostile.name): \(reason)")
            } catch {
                guard case .refused(let text) = hostile.outcome else {
                    Issue.record("\(hostile.name): \(error)")
                    return
                }
                #expect("\(error)".contains(text), "\(hostile.name): \(error)")
            }
        }
        server.stop()
        for (index, hostile) in cases.enumerated() {
            guard case .violation(let code, _) = hostile.outcome else { continue }
            #expect(server.attempts(of: HostileRun.symbol(index)).map(\.closeCodes) == [[code]], "\(hostile.name)")
        }
    }

    @Test("Mask keys cannot be predicted") func maskKeys() throws {
        let count = 10_000
        let symbol = HostileRun.symbol(0)
        let collected = Collected()
        let server = try HostileServer([
            symbol: { peer, _ in
                peer.upgrade()
                while let frame = peer.nextFrame(timeoutMs: 5_000), frame.opcode != 8 { collected.add(frame.maskKey) }
                peer.send(Frames.close(1000))
            }
        ])
        let client = try WebSocketClient.connect(url: "\(server.url)/stream?streams=\(symbol)@kline_1m")
        for _ in 0..<count { try client.ping([1, 2, 3, 4]) }
        client.close()
        server.stop()
        let keys = collected.keys
        #expect(keys.count == count, "every frame was masked")
        let words = keys.map { $0.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } }
        // Two of 10,000 random keys are equal in one run of a hundred; three pairs in one of some millions.
        #expect(Set(words).count >= count - 2)
        let steps = zip(words, words.dropFirst()).map { $0 ^ $1 }
        let differences = zip(words, words.dropFirst()).map { $1 &- $0 }
        for (name, values) in [("keys", words), ("one key and the next", steps), ("their difference", differences)] {
            for shift in stride(from: 0, to: 32, by: 8) {
                let square = chiSquare(values.map { UInt8(truncatingIfNeeded: $0 >> UInt32(shift)) })
                // 255 degrees of freedom: 255 ± 23. Neither lumpy nor smoother than chance.
                #expect((150...400).contains(square), "\(name), byte \(shift / 8): \(square)")
            }
        }
    }

    private func chiSquare(_ bytes: [UInt8]) -> Double {
        var counts = Array(repeating: 0.0, count: 256)
        for byte in bytes { counts[Int(byte)] += 1 }
        let expected = Double(bytes.count) / 256
        return counts.reduce(0) { $0 + ($1 - expected) * ($1 - expected) / expected }
    }
}

/// Mask keys on their way from the server's thread to the test.
private final class Collected: @unchecked Sendable {
    private let lock = NSLock()
    private var list: [[UInt8]] = []
    var keys: [[UInt8]] { lock.withLock { list } }
    func add(_ key: [UInt8]?) { lock.withLock { if let key { list.append(key) } } }
}
