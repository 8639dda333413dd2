// One way to be hostile, and what must come of it; and the words in which the tables are written.

import FastFeed
import Foundation
import Glibc
import TestKit
import Testing

struct HostileCase: Sendable {
    enum Outcome: Sendable {
        /// The upgrade fails; the log's reason holds the text.
        case refused(String)
        /// We close with the code; the log's reason holds the text.
        case violation(UInt16, String)
        /// The connection ends without a violation; the log's reason holds the text.
        case lost(String)

        var isRefusal: Bool { if case .refused = self { true } else { false } }
    }

    let name: String
    let outcome: Outcome
    /// Between two attempts at least.
    var pauseMsMin: UInt64 = 0
    let script: HostileScript

    // MARK: Handshake

    /// The request is answered with these bytes, and then the server waits for the client to go.
    static func answer(
        _ name: String, _ reason: String, pauseMsMin: UInt64 = 0, _ bytes: @escaping @Sendable (HostilePeer) -> [UInt8]
    ) -> HostileCase {
        HostileCase(name: name, outcome: .refused(reason), pauseMsMin: pauseMsMin) { peer, _ in
            peer.send(bytes(peer))
            peer.awaitEnd(timeoutMs: 5_000)
        }
    }

    /// - Parameter shown: of the headers, in the log.
    static func status(_ line: String, _ headers: [String] = [], pauseMsMin: UInt64 = 0, shows shown: String? = nil) -> HostileCase {
        let reason = "upgrade refused: HTTP status \(line.prefix(3))" + (shown.map { " (\($0))" } ?? "")
        return answer(line, reason, pauseMsMin: pauseMsMin) { _ in
            HostilePeer.head(["HTTP/1.1 \(line)"] + headers + ["Content-Length: 0"])
        }
    }

    /// A refusal whose body comes in pieces.
    static func refusal(_ name: String, _ reason: String, _ line: String, body: [String]) -> HostileCase {
        HostileCase(name: name, outcome: .refused("upgrade refused: \(reason)")) { peer, _ in
            let length = body.reduce(0) { $0 + $1.utf8.count }
            peer.send(HostilePeer.head(["HTTP/1.1 \(line)", "Content-Length: \(length)"]) + Array(body[0].utf8))
            for piece in body.dropFirst() {
                usleep(20_000)
                peer.send(piece)
            }
            peer.awaitEnd(timeoutMs: 5_000)
        }
    }

    /// The right answer with its lines changed.
    static func changed(_ name: String, _ reason: String, _ change: @escaping @Sendable (inout [String]) -> Void) -> HostileCase {
        answer(name, "upgrade refused: \(reason)") { peer in
            var lines = peer.rightAnswer
            change(&lines)
            return HostilePeer.head(lines)
        }
    }

    // MARK: Frames

    /// A right upgrade and then bytes that break the protocol, with a valid closed candle behind them that must not be
    /// taken. Every other attempt sends all of it in one piece.
    static func violation(
        _ name: String, _ code: UInt16, _ reason: String, _ bytes: @escaping @Sendable (String) -> [UInt8]
    ) -> HostileCase {
        HostileCase(name: name, outcome: .violation(code, reason)) { peer, attempt in
            let attack = bytes(peer.symbol) + Frames.text(NumberedCandle.message(peer.symbol, 1))
            if attempt % 2 == 0 {
                peer.upgrade()
                peer.send(attack)
            } else {
                peer.send(HostilePeer.head(peer.rightAnswer) + attack)
            }
            peer.answerCloseAndEnd()
        }
    }

    static func violation(_ name: String, _ code: UInt16, _ reason: String, _ bytes: [UInt8]) -> HostileCase {
        violation(name, code, reason) { _ in bytes }
    }
}

/// Cases that are tried together.
struct HostileGroup: Sendable, CustomTestStringConvertible {
    let name: String
    let cases: [HostileCase]
    var handshakeTimeoutMs = Limits.handshakeTimeoutMs
    var testDescription: String { name }
}
