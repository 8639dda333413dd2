// The local exchange as a child process, so that its CPU time is not the engine's. Main thread.

import FastFeed
import Foundation

final class ExchangeProcess: Program {
    /// `ws://127.0.0.1:PORT`, or `wss://` with `--tls`.
    private(set) var webSocketBase = ""
    /// The same port over HTTP: REST, truth and faults (docs/simulator.md).
    private(set) var restBase = ""
    /// With `--tls`: the authority to trust, a PEM file.
    private(set) var authorityFile: String?

    /// `stop` ends it; the truth file is written when that returns.
    /// - Parameter arguments: further flags of `feedd simulate`.
    init(_ arguments: [String]) throws {
        let output = Pipe()
        try super.init(Program.feedd(), ["simulate", "--port", "0", "--status-seconds", "0"] + arguments, output: output)
        var text = ""
        while !text.contains("\n") {
            let chunk = output.fileHandleForReading.availableData
            guard !chunk.isEmpty else { throw FeedError(.system, "the exchange process ended: \(text)") }
            text += String(decoding: chunk, as: UTF8.self)
        }
        guard let match = text.firstMatch(of: /(wss?:\/\/\S+)\s+rest (\S+)/) else {
            throw FeedError(.system, "the exchange process does not say where it is: \(text)")
        }
        (webSocketBase, restBase) = (String(match.1), String(match.2))
        authorityFile = text.firstMatch(of: /ca-file (\S+)/).map { String($0.1) }
    }

    /// A request to its REST side.
    /// - Returns: the body of the answer.
    @discardableResult func ask(_ method: String, _ target: String) throws -> String {
        let place = try WebSocketEndpoint(url: webSocketBase).authority
        var connection = try RawConnection.open(SocketAddress(numericHost: place.host, port: place.port), authorityFile: authorityFile)
        try connection.write(Array("\(method) \(target) HTTP/1.1\r\nHost: \(place.host)\r\nConnection: close\r\n\r\n".utf8))
        let answer = String(decoding: connection.readAll(), as: UTF8.self)
        guard answer.hasPrefix("HTTP/1.1 200 "), let head = answer.firstRange(of: "\r\n\r\n") else {
            throw FeedError(.venue, "the exchange's answer to \(method) \(target): \(answer.prefix(80))")
        }
        return String(answer[head.upperBound...])
    }

    /// Events that it has sent until now, by its own account.
    func klineFrames() throws -> UInt64 { UInt64(try statistic("klineFrames")) }

    /// Its own clock, Unix ms.
    func timeMs() throws -> Int64 { try statistic("virtualTimeMs") }

    /// Weight of the REST calls for klines until now.
    func klineWeight() throws -> Int64 { try statistic("klines", "weight") }

    /// A number of its statistics, by its path.
    private func statistic(_ path: String...) throws -> Int64 {
        let whole = try JSONValue(parsing: Array(ask("GET", "/truth/stats").utf8))
        let part: JSONValue? = path.count == 1 ? whole : whole["rest"]
        guard let number = path.reduce(part, { $0?[$1] })?.integer else {
            throw FeedError(.venue, "the exchange does not say \(path.joined(separator: " "))")
        }
        return number
    }
}
