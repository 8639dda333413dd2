// A consumer's commands as Redis reads them, and Redis's replies as the consumer's machine reads them. Pure.

struct ConsumerWords: Sendable {
    let group: String
    let name: String
    let keys: [String]
    let deadLetter: DeadLetter
    let start: StreamPosition
    let claimAfterMs: Int
    let forgetAfterMs: Int
    private let places: [String: Int]

    init(group: String, name: String, keys: [String], _ options: ConsumerOptions) {
        (self.group, self.name, self.keys) = (group, name, keys)
        (deadLetter, start) = (options.deadLetter, options.start)
        (claimAfterMs, forgetAfterMs) = (options.claimAfter.milliseconds, options.forgetAfter.milliseconds)
        places = Dictionary(uniqueKeysWithValues: keys.enumerated().map { ($1, $0) })
    }

    // MARK: Commands

    func command(_ command: ConsumerCommand) -> StreamCommand {
        switch command {
        case .ack(let key, let ids, _, _), .ackVanished(let key, let ids):
            var ack = begin(key, "XACK", keys[key], group)
            ack.append(contentsOf: ids)
            return ack
        case .fresh(let count, let blockMs): return fresh(count, blockMs)
        case .history(let key, let after, let count):
            var read = begin(key, "XREADGROUP", "GROUP", group, name, "COUNT", String(count), "STREAMS", keys[key])
            read.append(after)
            return read
        case .assigned(let key, let after, let count): return pending(key, "(\(after)", "+", count)
        case .counts(let key, let from, let through, let count): return pending(key, "\(from)", "\(through)", count)
        case .fetch(let key, let row): return begin(key, "XRANGE", keys[key], "\(row.id)", "\(row.id)")
        case .claim(let key, let from, let count):
            return begin(key, "XAUTOCLAIM", keys[key], group, name, String(claimAfterMs), "\(from)", "COUNT", String(count))
        case .hold(let hold): return self.hold(hold)
        case .bury(let key, _, let id, let deliveries, let reason):
            // Without a stream of dead letters none is buried.
            let dead = deadLetter.key(of: keys[key], group: group) ?? ""
            var bury = StreamCommand("EVAL", ConsumerScripts.bury, "2", keys[key], dead, group, name, key: dead, group: group)
            bury.append(id)
            bury.append(deliveries)
            bury.append(reason)
            bury.append(Limits.deadLettersMax)
            return bury
        case .makeGroup(let key, let seen):
            return begin(
                key, "EVAL", ConsumerScripts.makeGroup, "1", keys[key], group, seen.map(\.description) ?? "", start.word)
        case .forget(let key): return begin(key, "EVAL", StreamScripts.forget, "1", keys[key], group, name)
        case .clean(let key):
            return begin(
                key, "EVAL", ConsumerScripts.clean, "1", keys[key], group, name, String(forgetAfterMs),
                String(Limits.namesForgottenMax))
        }
    }

    private func begin(_ key: Int, _ words: String...) -> StreamCommand {
        var command = StreamCommand(key: keys[key], group: group)
        command.append(contentsOf: words)
        return command
    }

    private func fresh(_ count: Int, _ blockMs: Int?) -> StreamCommand {
        var read = begin(0, "XREADGROUP", "GROUP", group, name, "COUNT", String(count))
        // BLOCK 0 would wait for ever.
        if let blockMs { read.append(contentsOf: ["BLOCK", String(max(1, blockMs))]) }
        read.append("STREAMS")
        read.append(contentsOf: keys)
        for _ in keys { read.append(">") }
        return read
    }

    private func pending(_ key: Int, _ from: String, _ through: String, _ count: Int) -> StreamCommand {
        begin(key, "XPENDING", keys[key], group, from, through, String(count), name)
    }

    private func hold(_ hold: ConsumerHold) -> StreamCommand {
        var command =
            hold.kind == .giveBack
            ? begin(hold.key, "EVAL", ConsumerScripts.giveBack, "1", keys[hold.key], group, name, String(claimAfterMs))
            : begin(
                hold.key, "EVAL", ConsumerScripts.hold, "1", keys[hold.key], group, name, "0", hold.kind == .lease ? "0" : "1",
                hold.putsBack ? "1" : "0")
        for item in hold.items {
            command.append(item.id)
            command.append(item.deliveries)
        }
        return command
    }

    // MARK: Replies

    /// `.strange` for what is not an answer to this command.
    func answer(_ reply: ReplyNode, to command: ConsumerCommand) -> ConsumerAnswer {
        if let error = reply.error { return .failed(failure(error, of: command)) }
        switch command {
        case .ack, .ackVanished, .bury, .makeGroup, .forget, .clean:
            return StreamReplies.count(reply).map { .count($0) } ?? .strange
        case .fresh:
            guard let pages = StreamReplies.pages(reply, keys: keys) else { return .strange }
            return .pages(pages.compactMap { page in places[page.key].map { ($0, ConsumerPage(page)) } })
        case .history(let key, _, _):
            guard let pages = StreamReplies.pages(reply, keys: [keys[key]]) else { return .strange }
            return .pages(pages.map { (key, ConsumerPage($0)) })
        case .fetch(let key, _):
            return StreamReplies.page(reply, key: keys[key]).map { .pages([(key, ConsumerPage($0))]) } ?? .strange
        case .assigned, .counts:
            guard let rows = StreamReplies.pendingEntries(reply) else { return .strange }
            return .rows(rows.map { PendingRow(id: $0.id, deliveries: max(1, $0.deliveries)) })
        case .claim(let key, _, _): return claimed(reply, key)
        case .hold:
            guard reply.kind == .array else { return .strange }
            let codes = reply.children.compactMap { StreamReplies.count($0) }
            return codes.count == reply.count ? .codes(codes) : .strange
        }
    }

    /// 6.2 has null in the place of an entry that is gone, without its id.
    private func claimed(_ reply: ReplyNode, _ key: Int) -> ConsumerAnswer {
        guard let (cursor, page) = StreamReplies.claimed(reply, key: keys[key]) else { return .strange }
        let parts = reply.children
        let deleted = parts.count > 2 ? parts[2].count : 0
        return .claimed(cursor: cursor, page: ConsumerPage(page), unnamed: max(0, parts[1].count - (page.count - deleted)))
    }

    private func failure(_ error: String, of command: ConsumerCommand) -> StreamError {
        let sent = self.command(command)
        return StreamError(reply: error, key: sent.key, group: sent.group)
    }
}
