// A connection to Redis for batches of any size and replies of any shape that never waits, not even while it connects: find the primary where
// Sentinels know it, connect, TLS, AUTH, SELECT, CLIENT ID, and then bytes both ways. Its owner's thread, which polls and turns it. Replies
// come in the order of the commands; each batch's as one block. Bounds: `outboxBytesMax` unsent; those of `ReplyScanner`.
//
// It does not come back by itself: after a loss its owner says when it is to try again.

import Glibc

package final class RedisPipeline {
    package enum Event {
        /// Authenticated and selected: commands may go.
        case opened
        /// The replies to the batch that was sent first of those not answered: an array with one element a command; or the one reply to
        /// a command that was sent alone.
        case reply(ReplyBlock)
        /// The connection is of no more use; one sentence. `isLasting`: until somebody changes a setting.
        case lost(String, isLasting: Bool)
        /// Nothing (more) has come.
        case nothing
    }

    private enum Phase { case closed, finding, dialing, greeting, ready }
    private enum GreetingReply { case mustSucceed, clientID, streams, role }

    private let settings: RedisLinkSettings
    private var phase = Phase.closed
    private var query: PrimaryQuery?
    /// While it opens: when to look at what nobody tells (a search, a name's address).
    private var lookNs: UInt64 = 0
    private var primary: NamedPrimary?
    private var dial: Dial?
    private var transport: Transport?
    private var scanner: ReplyScanner
    private var outbox: Outbox
    private var greetingReplies: ArraySlice<GreetingReply> = []
    private var attempts = 0
    private var openUntilNs: UInt64 = .max
    /// How many replies each unanswered batch has; nil: one command, whose reply comes as it is.
    private var owed = PipelineQueue<Int?>()
    /// The last read has left room: nothing more is there now.
    private var isDrained = true
    /// The server has said that it takes no writes.
    private var isDemoted = false
    /// The server's id of this connection; nil where we may not ask.
    package private(set) var clientID: Int64?
    /// The last byte, or the first command after everything was answered.
    package private(set) var heardNs: UInt64 = 0

    package init(_ settings: RedisLinkSettings, outboxBytesMax: Int) {
        self.settings = settings
        scanner = ReplyScanner()
        outbox = Outbox(bytesMax: outboxBytesMax)
    }

    package var isReady: Bool { phase == .ready }
    package var isClosed: Bool { phase == .closed }
    /// Batches without an answer.
    package var owedCount: Int { owed.count }

    // MARK: Opening

    /// Begins to connect, where it is closed.
    package func open(nowNs: UInt64) {
        guard phase == .closed else { return }
        scanner = ReplyScanner()
        (clientID, isDrained, isDemoted) = (nil, true, false)
        outbox.removeAll()
        (openUntilNs, lookNs) = (nowNs + .ns(ms: settings.connectTimeoutMs), nowNs)
        guard settings.endpoint.sentinels != nil else { return beginDial() }
        query = PrimaryQuery(settings.endpoint, timeoutMs: settings.connectTimeoutMs)
        phase = .finding
    }

    private func beginDial() {
        dial = Dial(
            settings.endpoint.server(primary),
            Dial.Options(
                tls: settings.tls, attempt: attempts, patienceNs: .ns(ms: min(settings.connectTimeoutMs / 3, Limits.addressPatienceMs))),
            port: nil)
        attempts += 1
        phase = .dialing
    }

    private func turnOpening(_ nowNs: UInt64) -> Event {
        if phase == .finding {
            switch query!.answer {
            case nil: lookNs = nowNs + .ns(ms: 5)
            case .failure(let error): return lose(error.message, isLasting: error.stage == .configuration)
            case .success(let found):
                (primary, query) = (settings.endpoint.sentinels?.board.primary ?? found, nil)
                beginDial()
            }
        }
        if phase == .dialing {
            switch dial!.turn(nowNs: nowNs) {
            case .pending: lookNs = dial!.nextTurnNs(nowNs: nowNs)
            case .connected(let made):
                transport = RedisPipeline.transport(of: made)
                dial = nil
                greet(nowNs)
            case .failed(let reason): return lose("cannot connect to \(settings.endpoint.name(primary)): \(reason)")
            }
        }
        if phase == .greeting { return turnGreeting(nowNs) }
        return late(nowNs) ?? .nothing
    }

    private static func transport(of socket: consuming PolledTransport) -> Transport { socket.transport }

    private func late(_ nowNs: UInt64) -> Event? {
        guard nowNs >= openUntilNs else { return nil }
        let step =
            switch dial {
            case .some(let dial): "\(dial.phase)"
            case .none: "\(phase)"
            }
        return lose("cannot connect to \(settings.endpoint.name(primary)): no answer within \(settings.connectTimeoutMs) ms (\(step))")
    }

    private func greet(_ nowNs: UInt64) {
        let first = settings.endpoint.authentication + settings.endpoint.selection
        // A server before 6.2 does not know the command; one that does complains of missing arguments, or that we may not.
        let commands = first + [["CLIENT", "ID"], ["XAUTOCLAIM"]] + (primary == nil ? [] : [["ROLE"]]) + [["PING"]]
        greetingReplies =
            first.map { _ in .mustSucceed } + [.clientID, .streams] + (primary == nil ? [] : [.role]) + [.mustSucceed]
        _ = outbox.append(commands.flatMap(RESP.command))
        phase = .greeting
        heardNs = nowNs
    }

    private func turnGreeting(_ nowNs: UInt64) -> Event {
        while let wanted = greetingReplies.first {
            let reply: ReplyNode
            switch receive(nil, nowNs) {
            case .reply(let block): reply = block.root
            case .nothing: return late(nowNs) ?? .nothing
            case let lost: return lost
            }
            greetingReplies.removeFirst()
            let error = reply.error.map { Ascii.printable($0.utf8) }
            switch wanted {
            case .mustSucceed:
                guard let error else { continue }
                let refusal = settings.endpoint.refusal(error, of: primary)
                return lose(refusal.message, isLasting: refusal.stage == .configuration)
            case .clientID: clientID = error == nil ? reply.integer : nil
            case .streams:
                guard let error, error.lowercased().hasPrefix("err unknown command") else { continue }
                return lose("\(settings.endpoint.name(primary)): streams need Redis 6.2 or newer", isLasting: true)
            case .role:
                // Who may not ask believes it: a replica refuses what is written.
                guard error == nil, reply.children.first?.text != "master" else { continue }
                return lose("\(settings.endpoint.name(primary)) is not the primary")
            }
        }
        if isOutdated { return lose("another server is Redis's primary now") }
        phase = .ready
        attempts = 0
        return .opened
    }

    /// The Sentinels name another server now: what is written here is lost.
    private var isOutdated: Bool { primary != nil && settings.endpoint.sentinels?.board.primary != primary }

    // MARK: Ready

    /// What may be appended without passing the bound: a batch goes when nothing else waits, however long it is.
    package func hasRoom(for byteCount: Int) -> Bool { phase == .ready && (outbox.isEmpty || outbox.hasRoom(for: byteCount)) }

    /// Puts commands behind what waits to go out; `flush` sends it. Only where `hasRoom` says so.
    /// - Parameter count: of replies, which come as one block; nil for one command whose reply comes as it is.
    package func send(_ bytes: [UInt8], replies count: Int?, nowNs: UInt64) {
        precondition(phase == .ready, "the connection does not stand")
        if owed.isEmpty { heardNs = nowNs }
        owed.append(count)
        outbox.push(bytes)
    }

    /// Sends what the socket takes now.
    package func flush() {
        guard transport != nil, !outbox.isEmpty else { return }
        switch outbox.flush(to: &transport!) {
        case .bytes, .wouldBlock: break
        // What Redis said before it went is read first.
        case .endOfStream, .failed: outbox.removeAll()
        }
    }

    /// What has come. Call it until it says `.nothing`.
    package func next(nowNs: UInt64) -> Event {
        switch phase {
        case .closed: return .nothing
        case .finding, .dialing, .greeting: return turnOpening(nowNs)
        case .ready: break
        }
        if isOutdated || isDemoted { return lose("another server is Redis's primary now") }
        guard let count = owed.first else {
            // Nothing is owed; a byte would be a reply that nobody asked for, and an end is seen.
            return unasked(nowNs)
        }
        let event = receive(count, nowNs)
        guard case .reply(let block) = event else { return event }
        owed.removeFirst()
        // Where Sentinels say which server takes writes, one that takes none is left, once this reply was handed on.
        if primary != nil, block.saysReadOnly { isDemoted = true }
        return event
    }

    private func unasked(_ nowNs: UInt64) -> Event {
        switch receive(nil, nowNs) {
        // What it says before it closes: shutting down, too many clients, ...
        case .reply(let block): lose(block.root.error.map { Ascii.printable($0.utf8) } ?? "Redis answers what was not asked")
        case let other: other
        }
    }

    private func receive(_ count: Int?, _ nowNs: UInt64) -> Event {
        while true {
            switch scanner.next(gathering: count) {
            case .reply(let block): return .reply(block)
            case .broken(let what): return lose("not the Redis protocol: \(what)")
            case .needsMore: break
            }
            if isDrained {
                isDrained = false
                return .nothing
            }
            flush()
            let result = unsafe scanner.fill { room in unsafe transport!.read(into: room.baseAddress!, count: room.count) }
            switch result {
            case .bytes:
                heardNs = nowNs
                // Less than there was room for: the socket is empty, and another call to the kernel would only say so.
                isDrained = scanner.hasRoomLeft && !line { $0.hasPending }
            case .wouldBlock: return .nothing
            case .endOfStream: return lose("Redis has closed the connection")
            case .failed(let code): return lose("the connection to Redis is lost: \(line { $0.describe(code) })")
            }
        }
    }

    /// The transport in place: it cannot be copied out of its optional.
    private func line<Result>(_ body: (inout Transport) -> Result) -> Result { body(&transport!) }

    // MARK: Its owner's poll

    /// What to poll for, after `next` has said `.nothing`. Its descriptor is -1 where there is nothing to poll.
    var pollEntry: pollfd {
        switch phase {
        case .closed, .finding: return pollfd(fd: -1, events: 0, revents: 0)
        case .dialing:
            let interest = dial!.interest
            let events = (interest.contains(.readable) ? POLLIN : 0) | (interest.contains(.writable) ? POLLOUT : 0)
            return pollfd(fd: dial!.number, events: Int16(events), revents: 0)
        case .greeting, .ready:
            let wantsWrite = !outbox.isEmpty || line { $0.readWantsWrite }
            return pollfd(fd: line { $0.number }, events: Int16(wantsWrite ? POLLIN | POLLOUT : POLLIN), revents: 0)
        }
    }

    /// When to call `next` though nothing is ready.
    package var dueNs: UInt64 {
        switch phase {
        case .closed, .ready: .max
        case .finding, .dialing: min(openUntilNs, lookNs)
        case .greeting: openUntilNs
        }
    }

    // MARK: The end

    /// Gives the connection up, as when it is lost.
    package func lose(_ reason: String, isLasting: Bool = false) -> Event {
        close()
        return .lost(reason, isLasting: isLasting)
    }

    /// Ends our side; what is under way is lost. `open` begins anew.
    package func close() {
        if transport != nil { transport!.shutDown() }
        (query, primary) = (nil, nil)
        dial = nil
        transport = nil
        outbox.removeAll()
        owed.removeAll()
        greetingReplies = []
        phase = .closed
    }
}

extension ReplyBlock {
    /// The reply, or the first one of a batch, is a replica's refusal.
    fileprivate var saysReadOnly: Bool {
        let place = self[0].kind == .array && self[0].length > 0 ? 1 : 0
        return self[place].kind == .error && text(place).hasPrefix("READONLY")
    }
}

/// First in, first out, without moving what is in it for each that goes. Its owner's thread.
package struct PipelineQueue<Element> {
    private var elements: [Element?] = []
    private var head = 0

    package init() {}
    package var isEmpty: Bool { head == elements.count }
    package var count: Int { elements.count - head }
    package var first: Element? { isEmpty ? nil : elements[head] }

    package mutating func append(_ element: Element) { elements.append(element) }

    @discardableResult
    package mutating func removeFirst() -> Element {
        let element = elements[head]!
        elements[head] = nil
        head += 1
        if head == elements.count {
            removeAll()
        } else if head > 1_024 && head > elements.count / 2 {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }

    /// All that are in it, in order; then it is empty.
    package mutating func takeAll() -> [Element] {
        defer { removeAll() }
        return elements[head...].map { $0! }
    }

    package mutating func removeAll() {
        elements.removeAll(keepingCapacity: elements.count <= 4_096)
        head = 0
    }
}
