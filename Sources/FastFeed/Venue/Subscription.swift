// Asking one connection for its streams: in the URL, or by SUBSCRIBE messages in paced pieces whose answers
// are awaited; and changing one's mind later, by SUBSCRIBE and UNSUBSCRIBE on the living connection.
// Pure: time comes in, messages come out.

/// How streams are asked for.
public enum SubscribeForm: String, CaseIterable, Sendable {
    /// In the URL when the names fit, else by messages.
    case automatic = "auto"
    /// In the connection's URL; only what changes later goes by messages.
    case url
    /// By SUBSCRIBE messages after connecting.
    case message
}

package struct Subscription: Sendable {
    /// Streams to ask for, or to give up; one message never mixes two of these.
    struct Request {
        let method: ControlMethod
        var names: [String]
        /// Gives up what is asked for anew right behind it.
        var isRenewal = false
        /// Id of the message that asks for it.
        var id: Int64 = 0
        var sentNs: UInt64 = 0
    }

    private let dialect: any VenueDialect
    private let subscribeForm: SubscribeForm
    private let usesCombinedStreams: Bool
    private(set) var waiting: [Request] = []
    /// Sent and not yet answered.
    private(set) var pending: [Request] = []
    private(set) var nextID: Int64 = 1
    /// From when on one more message may be sent: they go at a steady distance. (Four at once and four a second later are within
    /// the rule where they are sent, but a late first burst makes them eight in one second where they arrive.)
    private var nextSendNs: UInt64 = 0

    /// What the connection is to carry in the end, in the order it was asked for. A request that was overtaken by a later wish
    /// is not sent.
    package private(set) var streams: [String]
    /// Path and query to connect to.
    package let target: String
    /// A SUBSCRIBE message without an answer for this long is sent again.
    package var answerTimeoutMs = Limits.subscribeTimeoutMs
    /// Streams the exchange refused even when asked for alone.
    package private(set) var refused: [String] = []

    package init(streams: [String], dialect: any VenueDialect, subscribeForm: SubscribeForm, usesCombinedStreams: Bool) {
        (self.dialect, self.subscribeForm, self.usesCombinedStreams) = (dialect, subscribeForm, usesCombinedStreams)
        self.streams = streams
        let joined = dialect.target(of: streams, isCombined: usesCombinedStreams)
        let fits = joined.utf8.count <= dialect.targetBytesMax
        if subscribeForm == .message || (subscribeForm == .automatic && !fits) || streams.isEmpty {
            target = dialect.target(isCombined: usesCombinedStreams)
            if !streams.isEmpty { waiting = [Request(method: .subscribe, names: streams)] }
        } else {
            target = joined
        }
    }

    /// The same streams, to be asked for on a new connection.
    package var renewed: Subscription {
        var fresh = Subscription(streams: streams, dialect: dialect, subscribeForm: subscribeForm, usesCombinedStreams: usesCombinedStreams)
        fresh.answerTimeoutMs = answerTimeoutMs
        return fresh
    }

    /// From now on the connection is to carry these, too, or is not to carry them.
    package mutating func change(_ names: [String], isWanted: Bool) {
        let changed = Set(names)
        streams.removeAll { changed.contains($0) }
        if isWanted { streams += names }
        waiting.append(Request(method: isWanted ? .subscribe : .unsubscribe, names: names))
    }

    /// What the connection carries of these is given up and asked for anew: the exchange may take no notice of a second SUBSCRIBE.
    package mutating func renew(_ names: [String]) {
        let carried = Set(streams)
        let names = names.filter(carried.contains)
        guard !names.isEmpty else { return }
        waiting += [Request(method: .unsubscribe, names: names, isRenewal: true), Request(method: .subscribe, names: names)]
    }

    /// There is a stream of 1m or 1s.
    package var endsBarsEachMinute: Bool { streams.contains(where: dialect.endsBarsEachMinute) }

    /// True when every stream has been asked for and answered.
    package var isComplete: Bool { waiting.isEmpty && pending.isEmpty }

    /// When `nextMessage` may have something; `.max` for never.
    package var nextDeadlineNs: UInt64 {
        let timeout = pending.first.map { $0.sentNs + .ns(ms: answerTimeoutMs) } ?? .max
        return waiting.isEmpty ? timeout : min(nextSendNs, timeout)
    }

    /// Something else was sent on the connection (a pong, a ping): it counts against the same limit.
    package mutating func noteSent(nowNs: UInt64) { nextSendNs = nowNs + 1_200_000_000 / dialect.controlMessagesPerSecond }

    /// The next message, if one may be sent now.
    package mutating func nextMessage(nowNs: UInt64) -> [UInt8]? {
        guard nowNs >= nextSendNs else { return nil }
        dropOvertaken()
        guard var request = waiting.first else { return nil }
        let id = nextID
        nextID += 1
        var (text, tail) = dialect.controlMessage(request.method, id: id)
        var names: [String] = []
        for name in request.names {
            guard text.utf8.count + name.utf8.count + 3 + tail.utf8.count <= dialect.controlBytesMax else { break }
            text += (names.isEmpty ? "\"" : ",\"") + name + "\""
            names.append(name)
        }
        request.names.removeFirst(names.count)
        if request.names.isEmpty { waiting.removeFirst() } else { waiting[0] = request }
        pending.append(Request(method: request.method, names: names, id: id, sentNs: nowNs))
        noteSent(nowNs: nowNs)
        return Array((text + tail).utf8)
    }

    /// Takes out of the first request what is no longer wished, and requests of which nothing is left.
    private mutating func dropOvertaken() {
        guard !waiting.isEmpty else { return }
        let wanted = Set(streams)
        while let request = waiting.first {
            let names = request.names.filter { wanted.contains($0) == (request.method == .subscribe || request.isRenewal) }
            guard names.isEmpty else {
                waiting[0].names = names
                return
            }
            waiting.removeFirst()
        }
    }

    /// The exchange answered. An answer without id, or with one that is not ours, settles nothing.
    package mutating func onResult(id: Int64?) { pending.removeAll { $0.id == id } }

    /// The exchange refused a message: one bad name spoils all of it, so its halves are asked for again, until the
    /// bad names stand alone.
    package mutating func onError(id: Int64?) {
        for entry in pending where entry.id == id {
            let half = entry.names.count / 2
            if half > 0 {
                waiting.append(Request(method: entry.method, names: Array(entry.names[..<half])))
                waiting.append(Request(method: entry.method, names: Array(entry.names[half...])))
            } else if entry.method == .subscribe {
                refused += entry.names
            }
        }
        pending.removeAll { $0.id == id }
    }

    /// Messages without an answer for too long go back into the queue (asking twice is harmless; giving up behind what was asked for anew
    /// would not be, and is dropped). Returns how many there were.
    package mutating func requeueOverdue(nowNs: UInt64) -> Int {
        // They were sent one after the other.
        let overdue = pending.prefix { nowNs >= $0.sentNs + .ns(ms: answerTimeoutMs) }
        pending.removeFirst(overdue.count)
        waiting += overdue.map { Request(method: $0.method, names: $0.names) }
        return overdue.count
    }
}
