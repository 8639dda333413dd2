// The real program with its ops server, a local exchange and a Redis of its own; and requests by raw sockets, because what is asked
// here no client library would send.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

final class OpsRig {
    let venue: VenueSimulator
    let redis: RedisServerProcess
    let program: ProgramRun
    let port: UInt16

    init(
        symbols: Int = 3, intervals: String = "1s,1m", speed: Double = 1, clockOffsetMs: Int64 = 0, arguments: [String] = [],
        environment: [String: String] = [:],
        prepare: (RedisClient) throws -> Void = { _ in }
    ) throws {
        var simulator = SimulatorConfiguration()
        simulator.symbolCount = symbols
        simulator.pace = .realTime(speed: speed)
        simulator.illiquidEvery = 0
        simulator.clockOffsetMs = clockOffsetMs
        venue = try VenueSimulator(configuration: simulator)
        try venue.start()
        redis = try RedisServerProcess()
        try prepare(try RedisClient.connect(redis.endpoint))
        let names = venue.symbols.map(\.symbol.name).joined(separator: ",")
        program = try ProgramRun(
            [
                "run", "--flux", "\(names):\(intervals)", "--venue-ws", venue.webSocketBase, "--venue-rest", venue.restBase, "--redis",
                "unix://\(redis.socketPath)", "--ops", "127.0.0.1:0",
            ] + arguments, environment: environment)
        port = try OpsRig.port(of: program)
    }

    deinit {
        program.signal(SIGTERM)
        _ = program.end()
        venue.stop()
    }

    /// As its log says it.
    static func port(of program: ProgramRun) throws -> UInt16 {
        var found: UInt16?
        try eventually(20, "the ops server's address: \(program.errorText)") {
            found = program.errorText.firstMatch(of: /url=http:\/\/[^ ]*:([0-9]+)\//).flatMap { UInt16($0.1) }
            return found != nil
        }
        return found!
    }

    /// Connected, subscribed, written.
    func waitUntilReady() throws { try eventually(30, "ready: \(program.errorText)") { try get("/readyz").status == 200 } }

    struct Response {
        var status = 0
        var head = ""
        var body = ""

        func header(_ name: String) -> String? {
            head.split(separator: "\r\n").first { $0.lowercased().hasPrefix(name.lowercased() + ":") }.map {
                $0.drop { $0 != ":" }.dropFirst().trimmingCharacters(in: .whitespaces)
            }
        }

        var json: JSONValue { (try? JSONValue(parsing: Array(body.utf8))) ?? .null }
    }

    func get(_ path: String, _ headers: [String] = []) throws -> Response { try OpsRig.get(port, path, headers) }

    static func get(_ port: UInt16, _ path: String, _ headers: [String] = []) throws -> Response {
        let head = ["GET \(path) HTTP/1.1", "Host: 127.0.0.1:\(port)", "Connection: close"] + headers
        return try send(head.joined(separator: "\r\n") + "\r\n\r\n", to: port)
    }

    func post(_ path: String, _ body: String, _ headers: [String] = ["Content-Type: application/json"]) throws -> Response {
        let head =
            ["POST \(path) HTTP/1.1", "Host: 127.0.0.1:\(port)", "Connection: close", "Content-Length: \(body.utf8.count)"] + headers
        return try send(head.joined(separator: "\r\n") + "\r\n\r\n" + body)
    }

    /// Sends the text as it is, and reads until the server ends the connection.
    func send(_ text: String) throws -> Response { try OpsRig.send(text, to: port) }

    static func send(_ text: String, to port: UInt16, seconds: Double = 10) throws -> Response {
        let socket = try RawConnection(port: port)
        socket.write(text)
        return parse(socket.readToEnd(seconds: seconds))
    }

    private static func parse(_ bytes: [UInt8]) -> Response {
        var response = Response()
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.firstRange(of: "\r\n\r\n") else { return response }
        response.head = String(text[..<end.lowerBound])
        response.body = String(text[end.upperBound...])
        response.status = Int(response.head.dropFirst("HTTP/1.1 ".count).prefix(3)) ?? 0
        return response
    }
}

/// A socket that says what it is told.
final class RawConnection {
    let number: Int32

    init(port: UInt16) throws {
        number = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(number, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard code == 0 else { throw SystemError("connect") }
    }

    deinit { close(number) }

    /// False once the server has ended the connection.
    @discardableResult
    func write(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.send(number, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL)) }
            if count <= 0 { return false }
            sent += count
        }
        return true
    }

    /// What comes within the time, at most a megabyte; `isEnded` tells whether the server has ended it.
    func read(seconds: Double, until isEnough: (String) -> Bool = { _ in false }) -> (bytes: [UInt8], isEnded: Bool) {
        let untilNs = MonotonicClock.nowNs() + UInt64(seconds * 1e9)
        var (bytes, chunk) = ([UInt8](), [UInt8](repeating: 0, count: 65_536))
        while bytes.count < 8 << 20, !isEnough(String(decoding: bytes, as: UTF8.self)) {
            let nowNs = MonotonicClock.nowNs()
            var entry = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
            guard nowNs < untilNs, poll(&entry, 1, Int32((untilNs - nowNs) / 1_000_000 + 1)) > 0 else { return (bytes, false) }
            let count = recv(number, &chunk, chunk.count, 0)
            guard count > 0 else { return (bytes, true) }
            bytes += chunk.prefix(count)
        }
        return (bytes, false)
    }

    func readToEnd(seconds: Double) -> [UInt8] { read(seconds: seconds).bytes }
}
