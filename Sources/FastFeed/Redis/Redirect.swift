// A node of a Redis Cluster says that a key is another node's. Pure, any thread.

/// `MOVED 3999 127.0.0.1:6381`: that node owns the slot from now on. `ASK …`: this one command goes there, behind `ASKING`.
package struct Redirect: Equatable, Sendable {
    package enum Kind: Sendable { case moved, ask }

    package let kind: Kind
    package let slot: HashSlot
    /// Nil where that is not said in a way to be believed, or was longer than what is kept of an error: then the map must be asked for.
    package let node: Authority?
    package var nodeName: String? { node?.description }

    /// - Parameters:
    ///   - error: the reply's text after `-`. Nil for other errors.
    ///   - bytesKept: of a longer text that much has come; a port might be cut.
    package init?(error: some StringProtocol, bytesKept: Int = .max) {
        let parts = error.split(separator: " ", omittingEmptySubsequences: false)
        switch parts.first {
        case "MOVED": kind = .moved
        case "ASK": kind = .ask
        default: return nil
        }
        guard parts.count >= 3, parts[1].utf8.count <= 5, parts[1].utf8.allSatisfy(Ascii.isDigit),
            let slot = Int64(parts[1]).flatMap(HashSlot.init)
        else { return nil }
        self.slot = slot
        // The host may be an IPv6 address without brackets: the port stands behind the last colon. Without a host it is the same one, and
        // who that was only the map says in full.
        guard parts.count == 3, error.utf8.count < bytesKept, let colon = parts[2].lastIndex(of: ":") else {
            node = nil
            return
        }
        let port = parts[2][parts[2].index(after: colon)...]
        guard port.utf8.count <= 5, port.utf8.allSatisfy(Ascii.isDigit), let number = UInt16(port), number > 0 else {
            node = nil
            return
        }
        node = Authority(host: String(parts[2][..<colon]), nodePort: number)
    }
}
