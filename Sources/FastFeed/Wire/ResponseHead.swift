// The head of an HTTP/1 answer, of a server or of a proxy: collected in pieces, checked, and cut into lines. Pure; bounded by `Limits`.

struct ResponseHead {
    let status: Int
    /// What stands behind the status: ASCII without control characters, often empty.
    let phrase: String
    /// Names in lower case; ASCII without control characters.
    let headers: [(name: String, value: String)]

    func values(_ name: String) -> [String] { headers.filter { $0.name == name }.map(\.value) }
}

struct ResponseHeadDecoder {
    enum Verdict {
        case needMore
        /// Not HTTP, or not in these versions.
        case otherProtocol
        case malformed(String)
        /// `rest`: the bytes that have come behind the head.
        case complete(ResponseHead, rest: [UInt8])
    }

    private var bytes: [UInt8] = []
    private let openings: [[UInt8]]

    init(versions: [String]) { openings = versions.map { Array("\($0) ".utf8) } }

    mutating func feed(_ chunk: some Collection<UInt8>) -> Verdict {
        let searchFrom = max(0, bytes.count - 3)
        bytes.append(contentsOf: chunk)
        // Something else altogether (HTTP/2, another protocol's greeting) may never send the end of a head.
        guard openings.contains(where: { bytes.prefix($0.count).elementsEqual($0.prefix(bytes.count)) }) else { return .otherProtocol }
        let end = bytes[searchFrom...].firstRange(of: Array("\r\n\r\n".utf8))?.lowerBound
        // An end inside the limit may still have three of its four bytes to come.
        guard end ?? (bytes.count - 3) <= Limits.handshakeBytesMax else {
            return .malformed("the answer's head is longer than \(Limits.handshakeBytesMax) bytes")
        }
        guard let end else { return .needMore }
        return ResponseHeadDecoder.read(bytes[..<end], rest: Array(bytes[(end + 4)...]))
    }

    private static func read(_ head: ArraySlice<UInt8>, rest: [UInt8]) -> Verdict {
        // Compared as text later, so nothing may look like a letter that it is not.
        guard head.allSatisfy({ $0 < 0x80 }) else { return .malformed("a byte in the answer's head that is not ASCII") }
        let text = String(decoding: head, as: UTF8.self)
        var lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)[...]
        guard lines.allSatisfy({ $0.utf8.count <= Limits.handshakeLineBytesMax }) else {
            return .malformed("a header line is longer than \(Limits.handshakeLineBytesMax) bytes")
        }
        guard lines.count <= Limits.handshakeHeaderCountMax + 1 else {
            return .malformed("more than \(Limits.handshakeHeaderCountMax) headers")
        }
        let opening = lines.removeFirst()
        let words = opening.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count >= 2, words[1].utf8.count == 3, words[1].utf8.allSatisfy(Ascii.isDigit), let status = Int(words[1]),
            !opening.utf8.contains(where: isControl)
        else { return .otherProtocol }
        var headers: [(name: String, value: String)] = []
        for line in lines {
            guard let colon = line.firstIndex(of: ":"), colon != line.startIndex,
                !line[..<colon].contains(where: { $0 == " " || $0 == "\t" }),
                !line.utf8.contains(where: isControl)
            else { return .malformed("a malformed header line") }
            headers.append((line[..<colon].lowercased(), Ascii.trimmed(line[line.index(after: colon)...])))
        }
        let phrase = words.count > 2 ? Ascii.trimmed(words[2]) : ""
        return .complete(ResponseHead(status: status, phrase: phrase, headers: headers), rest: rest)
    }

    /// A tab is the only control character that a header may hold.
    private static func isControl(_ byte: UInt8) -> Bool { byte < 0x20 && byte != 0x09 || byte == 0x7F }
}
