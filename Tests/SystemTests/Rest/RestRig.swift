// What the REST tests share: a local exchange with a client, calls that wait, and a server that answers by script.

import FastFeed
import Foundation
import Glibc
import Synchronization
import Testing
import VenueSimulator

typealias Klines = Result<[CandleRecord], RestFailure>

/// A result on its way from the client's thread to the test.
final class Promise<Value: Sendable>: Sendable {
    private let value = Lock<[Value]>([])
    private let ready = DispatchSemaphore(value: 0)

    var completion: @Sendable (Value) -> Void {
        { [self] in
            value.withLock { [new = $0] in $0.append(new) }
            ready.signal()
        }
    }

    /// How often it was fulfilled; once is right.
    var count: Int { value.withLock { $0.count } }

    func wait(seconds: Double = 15) throws -> Value {
        try #require(ready.wait(timeout: .now() + seconds) == .success, "no completion")
        ready.signal()
        return value.withLock { $0[0] }
    }
}

extension RestClient {
    func get(
        _ series: Series, startMs: Int64? = nil, endMs: Int64? = nil, limit: Int = 500, patienceMs: Int64? = nil
    ) throws -> Klines {
        let promise = Promise<Klines>()
        klines(series, startMs: startMs, endMs: endMs, limit: limit, patienceMs: patienceMs, completion: promise.completion)
        return try promise.wait()
    }

    func tickers(patienceMs: Int64? = nil) throws -> Result<DayTickers, RestFailure> {
        let promise = Promise<Result<DayTickers, RestFailure>>()
        dayTickers(patienceMs: patienceMs, completion: promise.completion)
        return try promise.wait()
    }
}

/// Impatient: what takes seconds in earnest takes milliseconds here.
var quickSettings: RestSettings {
    var settings = RestSettings()
    settings.backoffMs = 10...40
    settings.totalTimeoutMs = 1_000
    settings.patienceMs = 10_000
    return settings
}

struct RestRig: ~Copyable {
    let venue: VenueSimulator
    let client: RestClient
    let series: Series

    init(_ settings: RestSettings = quickSettings, _ change: (inout SimulatorConfiguration) -> Void = { _ in }) throws {
        var configuration = SimulatorConfiguration()
        configuration.symbolCount = 4
        change(&configuration)
        let venue = try VenueSimulator(configuration: configuration)
        try venue.start()
        let client = try RestClient(
            base: RestEndpoint(url: venue.restBase), market: configuration.market, authorityFile: venue.certificateAuthorityFile,
            settings: settings)
        self.venue = venue
        self.client = client
        series = Series(market: configuration.market, symbol: venue.symbols[0].symbol, interval: .m1)
    }

    deinit {
        client.stop()
        venue.stop()
    }
}

/// An HTTP server that gives every request the same bytes.
final class ScriptedServer: Sendable {
    private let listener: LoopbackListener
    private let requests = Lock<[String]>([])
    private let open = Atomic<Int>(0)

    /// - Parameters:
    ///   - chunks: sent one after another until the peer is gone.
    ///   - first: what the first request gets instead.
    ///   - lingers: leaves the connection open until the peer closes it.
    init(_ chunks: [[UInt8]], first: [UInt8]? = nil, lingers: Bool = false) throws {
        listener = try LoopbackListener()
        listener.start { [self] number in
            open.add(1, ordering: .sequentiallyConsistent)
            defer {
                close(number)
                open.subtract(1, ordering: .sequentiallyConsistent)
            }
            var text = ""
            var buffer = [UInt8](repeating: 0, count: 4_096)
            while !text.contains("\r\n\r\n") {
                let got = recv(number, &buffer, buffer.count, 0)
                guard got > 0 else { return }
                text += String(decoding: buffer.prefix(got), as: UTF8.self)
            }
            let count = requests.withLock { [text] in
                $0.append(text)
                return $0.count
            }
            for chunk in count == 1 && first != nil ? [first!] : chunks {
                var sent = 0
                while sent < chunk.count {
                    let count = chunk[sent...].withUnsafeBytes { send(number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                    guard count > 0 else { return }
                    sent += count
                }
            }
            if lingers { while recv(number, &buffer, buffer.count, 0) > 0 {} }
        }
    }

    convenience init(_ text: String, lingers: Bool = false) throws { try self.init([Array(text.utf8)], lingers: lingers) }

    deinit { stop() }

    func stop() { listener.stop() }

    var base: RestEndpoint { RestEndpoint(isSecure: false, host: "127.0.0.1", port: listener.port) }
    var received: [String] { requests.withLock { $0 } }
    /// Connections that the peer has not closed yet.
    var openConnections: Int { open.load(ordering: .sequentiallyConsistent) }
}

/// gzip made by the program of that name.
func gzip(_ bytes: [UInt8]) throws -> [UInt8] {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["gzip", "-9"]
    let (input, output) = (Pipe(), Pipe())
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    Thread.detachNewThread {
        try? input.fileHandleForWriting.write(contentsOf: Data(bytes))
        try? input.fileHandleForWriting.close()
    }
    let packed = [UInt8](output.fileHandleForReading.readDataToEndOfFile())
    process.waitUntilExit()
    return packed
}

/// A body fetched with a bare socket, without any of the client's code.
func plainGet(port: UInt16, _ target: String) throws -> [UInt8] {
    let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    defer { close(number) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    address.sin_port = port.bigEndian
    let code = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(number, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    try #require(code == 0)
    let request = Array("GET \(target) HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".utf8)
    try #require(send(number, request, request.count, Int32(MSG_NOSIGNAL)) == request.count)
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while case let got = recv(number, &buffer, buffer.count, 0), got > 0 { answer += buffer.prefix(got) }
    let end = try #require(answer.firstRange(of: Array("\r\n\r\n".utf8)))
    return Array(answer[end.upperBound...])
}
