// Text from outside the data path: the upgrade's answer, a proxy's, UTF-8 in pieces, and what a user writes into the
// configuration.

import CShims
import FastFeed

/// The answer to an upgrade: the verdict must not depend on where reads cut it.
func fuzzUpgrade(_ bytes: [UInt8]) {
    var input = FuzzInput(bytes)
    let sizes = input.pieceSizes()
    let stream = Array(input.rest)
    let whole = upgradeVerdict(stream, [stream.count])
    let cut = upgradeVerdict(stream, FuzzInput.pieces(sizes, of: stream.count))
    require(whole == cut, "whole: \(whole), cut by \(sizes): \(cut)")
    guard case .accepted(let rest) = whole else { return }
    // What no accepted answer can be without, looked for the simple way.
    let text = String(decoding: stream.dropLast(rest.count), as: UTF8.self)
    require(text.hasPrefix("HTTP/1.1 101") && text.hasSuffix("\r\n\r\n"), "the head was cut wrongly")
    require(text.contains(upgradeAccept) && text.lowercased().contains("websocket"), "accepted without an answer to the key")
}

/// The key of RFC 6455's example (section 1.3).
private let upgradeRequest = UpgradeRequest(
    endpoint: WebSocketEndpoint(isSecure: false, host: "server.example.com", port: 80, target: "/chat"),
    keyBytes: Array("the sample nonce".utf8))
private let upgradeAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

private func upgradeVerdict(_ bytes: [UInt8], _ pieces: [Int]) -> UpgradeReply.Verdict {
    var reply = UpgradeReply(to: upgradeRequest)
    var from = 0
    for piece in pieces {
        let verdict = bytes[from..<(from + piece)].withUnsafeBytes { reply.feed($0) }
        from += piece
        switch verdict {
        case .needMore: continue
        case .accepted(let rest): return .accepted(rest: rest + bytes[from...])
        case .refused: return verdict
        }
    }
    return reply.end().map { .refused($0) } ?? .needMore
}

/// A proxy's answers: the verdict must not depend on where reads cut them.
func fuzzProxy(_ bytes: [UInt8]) {
    var input = FuzzInput(bytes)
    let url = ["http://h:1", "http://u:p@h:1", "socks5h://h", "socks5h://u:p@h"][Int(input.byte() & 3)]
    let sizes = input.pieceSizes()
    let stream = Array(input.rest)
    let messages = proxyMessages(url, stream)
    let whole = proxyEnd(url, stream, messages)
    let cut = proxyEnd(url, stream, messages.flatMap { FuzzInput.pieces(sizes, of: $0) })
    // In pieces nothing is known of what comes behind the end.
    require(whole == cut || cut == .through, "whole: \(whole), cut by \(sizes): \(cut)")
    guard whole == .through else { return }
    let isHTTP = stream.starts(with: Array("HTTP/1.".utf8)) && stream.suffix(4) == [13, 10, 13, 10] && stream[9] == UInt8(ascii: "2")
    require(url.hasPrefix("http") ? isHTTP : stream[0] == 5 && stream.count >= 9, "through without a word")
}

/// How a proxy's bytes come that waits for what it has asked for.
func proxyMessages(_ url: String, _ bytes: [UInt8]) -> [Int] {
    guard url.hasPrefix("socks") else { return [bytes.count] }
    let first = min(2, bytes.count)
    let second = first == 2 && bytes[1] == 2 ? min(2, bytes.count - first) : 0
    return [first, second, bytes.count - first - second]
}

private func proxyEnd(_ url: String, _ bytes: [UInt8], _ pieces: [Int]) -> ProxyHandshake.Step {
    var handshake = ProxyHandshake(try! ProxyEndpoint(url: url), to: Authority(host: "stream.binance.com", port: 9443))
    var from = 0
    for piece in pieces {
        let step = bytes[from..<(from + piece)].withUnsafeBytes { handshake.feed($0) }
        from += piece
        guard case .pending = step else { return step }
    }
    return .pending(send: [])
}

/// Our validator in pieces, simdjson's, and the standard library's.
func fuzzUTF8(_ bytes: [UInt8]) {
    var input = FuzzInput(bytes)
    let sizes = input.pieceSizes()
    let text = Array(input.rest)
    let expected = String(validating: text, as: UTF8.self) != nil
    require(UTF8Validator.isValid(text.span) == expected, "whole: not \(expected)")
    require(withPadded(text) { ff_utf8_is_valid($0.start, $0.count) } == (expected ? 1 : 0), "simdjson: not \(expected)")
    var validator = UTF8Validator()
    var isPossible = true
    var from = 0
    for piece in FuzzInput.pieces(sizes, of: text.count) where isPossible {
        isPossible = validator.accept(text.span.extracting(from..<(from + piece)))
        from += piece
        require(isPossible == SlowText.isPossible(Array(text[..<from]), isWhole: false), "not fail-fast at \(from)")
    }
    require((isPossible && validator.isComplete) == expected, "cut by \(sizes): not \(expected)")
}

/// Fluxes, names and URLs: refused in one sentence, or the same again when written out and read back.
func fuzzConfiguration(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    do {
        let flux = try FluxDefinition(text)
        let written = flux.symbols.map(\.name).joined(separator: ",") + ":" + flux.intervals.map(\.token).joined(separator: ",")
        require((try? FluxDefinition(written)) == flux, "\(flux) is written \(written)")
        require(!flux.symbols.isEmpty && !flux.intervals.isEmpty, "an empty flux")
    } catch { requireOneLine("\(error)") }
    do {
        let endpoint = try WebSocketEndpoint(url: text)
        require((try? WebSocketEndpoint(url: endpoint.description)) == endpoint, "\(endpoint) reads differently")
        require(endpoint.target.hasPrefix("/") && endpoint.authority.port > 0 && !endpoint.authority.host.isEmpty, "\(endpoint)")
        _ = endpoint.authority.isLoopback
    } catch { requireOneLine("\(error)") }
    do {
        var endpoint = try RedisEndpoint(url: text)
        // The description leaves the credentials out.
        (endpoint.user, endpoint.password) = (nil, nil)
        require((try? RedisEndpoint(url: endpoint.description)) == endpoint, "\(endpoint) reads differently")
    } catch { requireOneLine("\(error)") }
    if let symbol = Symbol(text) {
        require(Symbol(symbol.name) == symbol && Symbol(symbol.upperCased) == symbol, "\(symbol)")
        require(symbol.name.utf8.count == bytes.count, "a symbol of another length")
    }
    if let interval = Interval(token: text) { require(interval.token == text, "\(interval)") }
    if let decimal = DecimalText(text) { require(decimal.description == text && decimal.count == bytes.count, text) }
}

/// What a user reads is one line of printable ASCII and of letters and numbers, whatever was in the text.
private func requireOneLine(_ sentence: String) {
    let isPrintable = sentence.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value < 0x7F || $0.isPlainLetterOrNumber }
    require(isPrintable, "an unprintable refusal: \(sentence)")
}
