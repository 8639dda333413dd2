// Asking one connection for its streams: in the URL, or by SUBSCRIBE messages in paced pieces whose answers
// are awaited. Pure: time comes in, messages come out.

package struct Subscription: Sendable {
    /// A SUBSCRIBE message that was sent and not yet answered.
    private struct Pending {
        let id: Int64
        let names: [String]
        let sentNs: UInt64
    }

    private let profile: VenueProfile
    private let combined: Bool
    /// Streams to ask for; one message never mixes two groups.
    private var waiting: [[String]]
    private var pending: [Pending] = []
    private var nextID: Int64 = 1
    private var pace: MessagePace

    /// Path and query to connect to.
    package let target: String
    /// Streams the exchange refused even when asked for alone.
    package private(set) var refused: [String] = []

    package init(streams: [String], profile: VenueProfile, form: SubscribeForm, combined: Bool) {
        self.profile = profile
        self.combined = combined
        pace = MessagePace(perSecond: profile.controlMessagesPerSecond)
        let base = profile.route + (combined ? "/stream" : "/ws")
        let joined = base + (combined ? "?streams=" : "/") + streams.joined(separator: "/")
        let fits = joined.utf8.count <= profile.targetBytesMax
        if form == .message || (form == .automatic && !fits) || streams.isEmpty {
            target = base
            waiting = streams.isEmpty ? [] : [streams]
        } else {
            target = joined
            waiting = []
        }
    }

    /// True when every stream has been asked for and answered.
    package var isComplete: Bool { waiting.isEmpty && pending.isEmpty }

    /// When `nextMessage` may have something; `.max` for never.
    package var nextDeadlineNs: UInt64 {
        let timeout = pending.first.map { $0.sentNs + UInt64(Limits.subscribeTimeoutMs) * 1_000_000 } ?? .max
        return waiting.isEmpty ? timeout : min(pace.nextNs, timeout)
    }

    /// Something else was sent on the connection (a pong, a ping): it counts against the same limit.
    package mutating func noteSent(nowNs: UInt64) { pace.take(nowNs) }

    /// The next SUBSCRIBE text, if one may be sent now.
    package mutating func nextMessage(nowNs: UInt64) -> [UInt8]? {
        guard !waiting.isEmpty, nowNs >= pace.nextNs else { return nil }
        let id = nextID
        nextID += 1
        var text = "{\"method\":\"SUBSCRIBE\",\"params\":["
        let tail = "],\"id\":\(id)}"
        var group = waiting.removeFirst()[...]
        var names: [String] = []
        while let name = group.first, text.utf8.count + name.utf8.count + 3 + tail.utf8.count <= profile.controlBytesMax {
            text += (names.isEmpty ? "\"" : ",\"") + name + "\""
            names.append(name)
            group.removeFirst()
        }
        if !group.isEmpty { waiting.insert(Array(group), at: 0) }
        pending.append(Pending(id: id, names: names, sentNs: nowNs))
        pace.take(nowNs)
        return Array((text + tail).utf8)
    }

    /// The exchange answered. An answer without id, or with one that is not ours, settles nothing.
    package mutating func onResult(id: Int64?) {
        pending.removeAll { $0.id == id }
    }

    /// The exchange refused a message: one bad name spoils all of it, so its halves are asked for again, until the
    /// bad names stand alone.
    package mutating func onError(id: Int64?) {
        for entry in pending where entry.id == id {
            let half = entry.names.count / 2
            if half == 0 {
                refused.append(contentsOf: entry.names)
            } else {
                waiting.append(Array(entry.names[..<half]))
                waiting.append(Array(entry.names[half...]))
            }
        }
        pending.removeAll { $0.id == id }
    }

    /// Messages without an answer for too long go back into the queue (asking twice is harmless). Returns how
    /// many there were.
    package mutating func requeueOverdue(nowNs: UInt64) -> Int {
        let timeoutNs = UInt64(Limits.subscribeTimeoutMs) * 1_000_000
        let overdue = pending.filter { nowNs >= $0.sentNs + timeoutNs }
        guard !overdue.isEmpty else { return 0 }
        pending.removeAll { nowNs >= $0.sentNs + timeoutNs }
        waiting.append(contentsOf: overdue.map(\.names))
        return overdue.count
    }
}

/// Messages at a steady distance. (Four at once and four a second later are within the rule where they are sent,
/// but a late first burst makes them eight in one second where they arrive.)
package struct MessagePace: Sendable {
    private let distanceNs: UInt64
    /// From when on one more may be sent.
    package private(set) var nextNs: UInt64 = 0

    package init(perSecond: Int) { distanceNs = 1_200_000_000 / UInt64(perSecond) }

    package mutating func take(_ nowNs: UInt64) { nextNs = nowNs + distanceNs }
}
