// The C server (Sources/COps), owned, and one request at a time out of it. The ops thread's alone.

import COps
import FastFeed
import Glibc

/// What of a request decides whether it is let in. Pure.
struct RequestHead: Sendable {
    var method = "GET"
    /// As it was sent, without the query.
    var path = "/"
    var host: String?
    /// How many Host headers there are: one is right.
    var hostCount = 1
    var origin: String?
    var fetchSite: String?
    var authorization: String?
    var cookie: String?
    var contentType: String?
    var accept: String?
    /// Addresses of both ends, as numbers.
    var peer = "127.0.0.1"
    var local = "127.0.0.1"
}

struct HTTPAnswer: Sendable {
    var status: Int
    var contentType = "text/plain; charset=utf-8"
    var headers: [(String, String)] = []
    var body: [UInt8]

    init(_ status: Int, _ text: String) { (self.status, body) = (status, Array(text.utf8)) }

    init(_ status: Int = 200, json: JSONValue) {
        (self.status, body) = (status, Array((json.text + "\n").utf8))
        contentType = "application/json"
    }

    static func refusal(_ status: Int, _ sentence: String) -> HTTPAnswer { HTTPAnswer(status, sentence + "\n") }
}

@safe final class HTTPServer {
    private let server: OpaquePointer

    /// What every answer says: nothing of it is kept, framed, guessed or lent to another origin.
    private static let headers: [(String, String)] = [
        ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Opener-Policy", "same-origin"), ("Cross-Origin-Resource-Policy", "same-origin"),
        (
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
                + "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
        ),
    ]

    /// The address is somebody else's already, the library is not there.
    struct StartError: Error {
        let sentence: String
    }

    init(address: String, port: UInt16) throws(StartError) {
        var error = [CChar](repeating: 0, count: 256)
        var code: Int32 = 0
        let made = unsafe address.withCString { address in
            var options = unsafe ops_http_options()
            unsafe options.address = unsafe address
            unsafe options.port = port
            unsafe options.head_bytes_max = OpsLimits.headBytesMax
            unsafe options.body_bytes_max = OpsLimits.bodyBytesMax
            unsafe options.connections_max = Int32(OpsLimits.connectionsMax)
            unsafe options.head_ms = OpsLimits.headMs
            unsafe options.idle_ms = OpsLimits.idleMs
            unsafe options.send_ms = OpsLimits.sendMs
            unsafe options.stream_stall_ms = OpsLimits.streamStallMs
            unsafe options.stream_life_ms = OpsLimits.streamLifeMs
            return unsafe ops_http_start(&options, &code, &error, error.count)
        }
        guard let made = unsafe made else {
            throw StartError(sentence: Ascii.printable(error.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }))
        }
        unsafe server = unsafe made
    }

    deinit { unsafe ops_http_stop(server) }

    var port: UInt16 { unsafe ops_http_port(server) }
    var descriptor: Int32 { unsafe ops_http_descriptor(server) }
    var connectionCount: Int { unsafe Int(ops_http_connections(server)) }
    /// Answers that the server has given by itself (431, 413 and the like), by status.
    var ownAnswers: [(status: Int, count: UInt64)] {
        var (statuses, counts) = ([Int32](repeating: 0, count: 16), [UInt64](repeating: 0, count: 16))
        let count = unsafe ops_http_own_answers(server, &statuses, &counts, 16)
        return (0..<Int(count)).map { (Int(statuses[$0]), counts[$0]) }
    }

    var evictedCount: UInt64 { unsafe ops_http_evicted(server) }

    func turn(nowNs: UInt64) { unsafe ops_http_turn(server, Int64(nowNs / 1_000_000)) }

    /// When it must be turned though nothing is ready; `.max` for never.
    func nextDeadlineNs(nowNs: UInt64) -> UInt64 {
        let ms = unsafe ops_http_timeout_ms(server, Int64(nowNs / 1_000_000))
        return ms < 0 ? .max : nowNs + .ns(ms: UInt64(ms))
    }

    /// The next request that has come whole.
    func next() -> HTTPRequest? { unsafe ops_http_next(server).map { unsafe HTTPRequest($0) } }

    /// Calls with the headers as C has them: names and values in turns, and an end.
    fileprivate static func with(_ answer: HTTPAnswer, _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Void) {
        let all = [("Content-Type", answer.contentType)] + headers + answer.headers
        let words: [String] = all.flatMap { [$0.0, $0.1] }
        var texts: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) }
        unsafe texts.append(nil)
        defer { unsafe texts.forEach { unsafe free($0) } }
        let pointers: [UnsafePointer<CChar>?] = unsafe texts.map { text in unsafe text.map { unsafe UnsafePointer($0) } }
        unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress!) }
    }
}

/// One request. It is answered once, or becomes a stream.
@safe final class HTTPRequest {
    private let request: OpaquePointer
    private(set) var isStream = false
    /// What has been answered, to be counted.
    private(set) var status: Int?

    fileprivate init(_ request: OpaquePointer) { unsafe self.request = unsafe request }

    var head: RequestHead {
        var head = RequestHead()
        head.method = unsafe String(cString: ops_request_method(request))
        head.path = unsafe String(cString: ops_request_path(request))
        var count: Int32 = 0
        head.host = unsafe ops_request_header(request, "Host", &count).map { unsafe String(cString: $0) }
        head.hostCount = Int(count)
        head.origin = header("Origin")
        head.fetchSite = header("Sec-Fetch-Site")
        head.authorization = header("Authorization")
        head.cookie = header("Cookie")
        head.contentType = header("Content-Type")
        head.accept = header("Accept")
        head.peer = unsafe String(cString: ops_request_peer(request))
        head.local = unsafe String(cString: ops_request_local(request))
        return head
    }

    private func header(_ name: String) -> String? {
        var count: Int32 = 0
        return unsafe ops_request_header(request, name, &count).map { unsafe String(cString: $0) }
    }

    /// Decoded; nil when it is not there, or more than once.
    func query(_ name: String) -> String? {
        var count: Int32 = 0
        let value = unsafe ops_request_query(request, name, &count)
        return unsafe count == 1 ? value.map { unsafe String(cString: $0) } : nil
    }

    var body: [UInt8] {
        var length = 0
        guard let bytes = unsafe ops_request_body(request, &length) else { return [] }
        return unsafe Array(UnsafeBufferPointer(start: bytes, count: length))
    }

    func answer(_ answer: HTTPAnswer) {
        status = answer.status
        unsafe HTTPServer.with(answer) { headers in
            unsafe ops_request_answer(request, Int32(answer.status), headers, answer.body, answer.body.count)
        }
    }

    // MARK: Streams

    func beginStream() {
        (isStream, status) = (true, 200)
        var answer = HTTPAnswer(200, "")
        answer.contentType = "text/event-stream"
        answer.headers = [("X-Accel-Buffering", "no")]
        unsafe HTTPServer.with(answer) { headers in unsafe ops_request_stream(request, headers) }
    }

    enum Wish { case more, nothingYet, gone }

    var wish: Wish {
        switch unsafe ops_stream_wants(request) {
        case 1: .more
        case 0: .nothingYet
        default: .gone
        }
    }

    /// Nothing was put yet.
    private(set) var isFirst = true

    func put(_ text: String) {
        isFirst = false
        let bytes = Array(text.utf8)
        unsafe ops_stream_put(request, bytes, bytes.count)
    }

    func endStream() { unsafe ops_stream_release(request) }
}

/// What the ops server bears.
enum OpsLimits {
    static let headBytesMax = 16 << 10
    static let bodyBytesMax = 64 << 10
    static let connectionsMax = 128
    static let streamsMax = 32
    static let (headMs, idleMs, sendMs): (Int64, Int64, Int64) = (5_000, 30_000, 30_000)
    static let (streamStallMs, streamLifeMs): (Int64, Int64) = (30_000, 3_600_000)
    /// Questions to Redis that wait.
    static let lookUpsMax = 16
    static let (fluxesExported, fluxesExportedMax) = (150, 250)
    static let pointsMax = 600
    /// Symbols of one question; series and ended holes in one answer.
    static let symbolsMax = 200
    static let (foundMax, endedMax) = (200, 200)
    static let warningsMax = 50
    static let sessionsMax = 32
}
