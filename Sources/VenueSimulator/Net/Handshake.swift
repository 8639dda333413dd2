// What a request is answered with before it becomes a WebSocket. Pure.

import FastFeed

/// A WebSocket that may be opened.
package struct StreamOpening: Equatable {
    package let isCombined: Bool
    package let streams: [String]
    package let unit: TimeUnit
    package let route: Route

    package init(isCombined: Bool, streams: [String], unit: TimeUnit, route: Route) {
        (self.isCombined, self.streams, self.unit, self.route) = (isCombined, streams, unit, route)
    }
}

/// An HTTP response, complete but for what every response of the server carries.
package struct HTTPResponse: Equatable {
    package var status: Int
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]

    package init(_ status: Int, contentType: String = "application/json;charset=UTF-8", body: String = "") {
        self.status = status
        headers = body.isEmpty ? [] : [("content-type", contentType)]
        self.body = Array(body.utf8)
    }

    package static func == (a: HTTPResponse, b: HTTPResponse) -> Bool {
        a.status == b.status && a.body == b.body && a.headers.elementsEqual(b.headers) { $0 == $1 }
    }

    /// On the wire.
    /// - Parameter lengthError: added to the true Content-Length; a fault.
    package func serialized(keepsAlive: Bool, lengthError: Int = 0) -> [UInt8] {
        var head = "HTTP/1.1 \(status) \(HTTPResponse.reason(status))\r\n"
        for header in headers { head += "\(header.name): \(header.value)\r\n" }
        head += "content-length: \(body.count + lengthError)\r\n"
        head += "connection: \(keepsAlive ? "keep-alive" : "close")\r\n\r\n"
        return Array(head.utf8) + body
    }

    package static func reason(_ status: Int) -> String {
        switch status {
        case 101: "Switching Protocols"
        case 200: "OK"
        case 400: "Bad Request"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 414: "URI Too Long"
        case 418: "I'm a teapot"
        case 426: "Upgrade Required"
        case 429: "Too Many Requests"
        case 451: "Unavailable For Legal Reasons"
        case 500: "Internal Server Error"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        default: "Status"
        }
    }

    /// The answers in use for a refused connection or request.
    package static func refusal(_ status: Int, retryAfterSeconds: Int = 35) -> HTTPResponse {
        var response: HTTPResponse
        switch status {
        case 403:
            response = HTTPResponse(
                403, contentType: "text/html",
                body: "<html><head><title>403 Forbidden</title></head><body><h1>Request blocked</h1></body></html>")
        case 404: response = HTTPResponse(404)
        case 418:
            response = HTTPResponse(418, body: "{\"code\":-1003,\"msg\":\"Way too many requests; IP banned.\"}")
        case 429: response = HTTPResponse(429, body: "{\"code\":-1003,\"msg\":\"Too many requests.\"}")
        case 451:
            response = HTTPResponse(
                451,
                body: "{\"code\":0,\"msg\":\"Service unavailable from a restricted location according to the terms.\"}")
        case 502, 504:
            response = HTTPResponse(
                status, contentType: "text/html", body: "<html><body><h1>\(status) \(reason(status))</h1></body></html>")
        case 500...: response = HTTPResponse(status)
        default: response = HTTPResponse(status, body: "{\"code\":-1000,\"msg\":\"An unknown error occurred.\"}")
        }
        if status == 418 || status == 429 { response.headers.append(("retry-after", String(retryAfterSeconds))) }
        return response
    }
}

package enum Handshake {
    /// A path of the stream hosts, judged; or the status to refuse it with.
    package enum Decision: Equatable {
        case open(StreamOpening)
        case refuse(Int)
    }

    /// True when the request asks for a WebSocket.
    package static func isUpgrade(_ head: RequestHead) -> Bool { head.headers["upgrade"]?.lowercased() == "websocket" }

    package static func decide(_ head: RequestHead, configuration: SimulatorConfiguration) -> Decision {
        guard head.target.utf8.count <= configuration.urlBytesMax else { return .refuse(414) }
        guard head.method == "GET", head.headers["sec-websocket-version"] == "13",
            let key = head.headers["sec-websocket-key"], key.utf8.count == 24,
            let target = RequestTarget(head.target)
        else { return .refuse(400) }
        var parts = target.path.split(separator: "/", omittingEmptySubsequences: true).map(String.init)[...]
        var route = Route.all
        if configuration.market == .um {
            // Since the split of the futures hosts a connection without a route is on the book's side.
            route = parts.first == "market" ? .market : .book
            if let first = parts.first, ["market", "public"].contains(first) { parts.removeFirst() }
        }
        let unit: TimeUnit
        switch target.value("timeUnit") {
        case "MICROSECOND", "microsecond": unit = .microsecond
        default: unit = .millisecond
        }
        switch parts.popFirst() {
        case "ws":
            return .open(StreamOpening(isCombined: false, streams: Array(parts), unit: unit, route: route))
        case "stream" where parts.isEmpty:
            let names = target.value("streams")?.split(separator: "/").map(String.init) ?? []
            return .open(StreamOpening(isCombined: true, streams: names, unit: unit, route: route))
        default: return .refuse(404)
        }
    }
}

/// New connections of each client address within the last five minutes.
package struct ConnectLedger {
    private let perWindowMax: Int
    private var times: [String: [Int64]] = [:]
    private static let windowMs: Int64 = 300_000
    private static let addressesMax = 4_096

    package init(perWindowMax: Int) { self.perWindowMax = perWindowMax }

    /// Counts an attempt; false when it is one too many.
    package mutating func admit(_ address: String, nowMs: Int64) -> Bool {
        if times.count > ConnectLedger.addressesMax { times.removeAll() }
        var recent = (times[address] ?? []).filter { $0 > nowMs - ConnectLedger.windowMs }
        let isAllowed = recent.count < perWindowMax
        if isAllowed { recent.append(nowMs) }
        times[address] = recent
        return isAllowed
    }
}
