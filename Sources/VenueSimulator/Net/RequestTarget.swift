// An HTTP request's head and its target, taken apart. Pure; used by handshake and REST alike.

/// Method, target and headers of a request. Header names in lower case.
package struct RequestHead: Equatable {
    package var method: String
    package var target: String
    package var headers: [String: String]
    /// Bytes of the head, including the empty line.
    package var byteCount: Int = 0

    package static let bytesMax = 32 << 10

    package init(method: String, target: String, headers: [String: String] = [:]) {
        (self.method, self.target, self.headers) = (method, target, headers)
    }

    package enum Parse: Equatable {
        case needsMore
        case malformed
        case complete(RequestHead)
    }

    /// Reads a head from the front of what was received.
    package static func parse(_ bytes: some RandomAccessCollection<UInt8>) -> Parse {
        let received = Array(bytes.prefix(bytesMax))
        guard let end = endOfHead(received) else { return received.count == bytesMax ? .malformed : .needsMore }
        let text = String(decoding: received[..<(end - 4)], as: UTF8.self)
        var lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)[...]
        let request = lines.removeFirst().split(separator: " ")
        guard request.count == 3, request[2].hasPrefix("HTTP/1."), request[1].hasPrefix("/") else { return .malformed }
        var headers: [String: String] = [:]
        for line in lines {
            guard let colon = line.firstIndex(of: ":") else { return .malformed }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            headers[line[..<colon].lowercased()] = String(value.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
        }
        var head = RequestHead(method: String(request[0]), target: String(request[1]), headers: headers)
        head.byteCount = end
        return .complete(head)
    }

    private static func endOfHead(_ bytes: [UInt8]) -> Int? {
        var index = 3
        while index < bytes.count {
            if bytes[index] == 0x0A, bytes[index - 1] == 0x0D, bytes[index - 2] == 0x0A, bytes[index - 3] == 0x0D {
                return index + 1
            }
            index += 1
        }
        return nil
    }
}

/// Path and query of a target, percent-decoded.
package struct RequestTarget: Equatable {
    package let path: String
    /// In order; a key may come twice.
    package let query: [(key: String, value: String)]

    /// Nil when an escape is broken.
    package init?(_ target: String) {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let path = RequestTarget.decoded(parts[0]) else { return nil }
        self.path = path
        guard parts.count == 2, !parts[1].isEmpty else {
            query = []
            return
        }
        var pairs: [(key: String, value: String)] = []
        for pair in parts[1].split(separator: "&") {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let key = RequestTarget.decoded(sides[0]),
                let value = sides.count == 2 ? RequestTarget.decoded(sides[1]) : ""
            else { return nil }
            pairs.append((key, value))
        }
        query = pairs
    }

    package func value(_ key: String) -> String? { query.first { $0.key == key }?.value }

    /// A literal `+` stays a plus: time zones in stream names are written with it.
    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst(), let low = rest.popFirst(),
                let highDigit = Character(Unicode.Scalar(high)).hexDigitValue,
                let lowDigit = Character(Unicode.Scalar(low)).hexDigitValue
            else { return nil }
            bytes.append(UInt8(highDigit << 4 | lowDigit))
        }
        return String(validating: bytes, as: UTF8.self)
    }

    package static func == (a: RequestTarget, b: RequestTarget) -> Bool {
        a.path == b.path && a.query.elementsEqual(b.query) { $0 == $1 }
    }
}
