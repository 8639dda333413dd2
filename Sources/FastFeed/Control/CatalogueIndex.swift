// The catalogue in Redis: a hash for each instrument, sets by quote asset and by status, and a sorted set by volume, each exactly what the
// newest lists say. Pure: rows and what Redis has come in, commands come out. The control thread's alone. Bounds: a command has
// `Limits.catalogueChunkMax` members, one that replaces an index at most all symbols; a copy of what was written is kept, so that only
// what has changed is written again. Where Redis refuses a command nothing is known of what it has: all is written again.
//
// Three sets are its books: every instrument, and the names of all other sets. They name a key before it is made and until it is gone.
// So whoever takes over reads them and knows what there may be, also after a process that was killed while it wrote. The other indexes
// are each replaced by one script: readers see the old one or the new one, and two services that write at the same time do not mix theirs.

package struct CatalogueIndex {
    /// What somebody else has deleted or changed is written again after this.
    private static let renewNs: UInt64 = 3_600_000_000_000
    /// Not sooner, also where Redis is seen to lose keys: one that evicts them would only have more to do.
    private static let doubtNs: UInt64 = 60_000_000_000
    /// Before the books are asked for again of a Redis that did not answer, or did not let them be read.
    private static let retryNs: UInt64 = 10_000_000_000

    private let schema: KeySchema
    /// The newest rows, and whether they have been put into commands.
    private var rows: [ListedSymbol] = []
    private var updatedAt: Int64 = 0
    private var isPlanned = true
    private var pending: ArraySlice<Step> = []

    /// A command, made when its turn comes: thousands at once would hold up everything else.
    private enum Step {
        case command([String])
        case hash(ListedSymbol)
    }

    // What Redis has once `pending` is carried out.
    /// The names in each index; nil while that is not known and has to be read.
    private var books: [ListIndex: Set<String>]?
    private var hashes: [Symbol: ListedSymbol] = [:]
    /// Of each set its members; of the sorted set its members and scores.
    private var members: [ListIndex: [String]] = [:]
    private var writtenUpdatedAt: Int64?
    /// Books whose key is of another type.
    private var spoilt: [ListIndex] = []
    private var (readNs, questionDueNs): (UInt64, UInt64) = (0, 0)
    private var (isDoubtful, isRefused) = (false, false)

    package init(schema: KeySchema) { self.schema = schema }

    /// - Parameter updatedAt: when the exchange said the figures, Unix ms; 0 when it has not yet.
    package mutating func want(_ rows: [ListedSymbol], updatedAt: Int64) {
        (self.rows, self.updatedAt, isPlanned) = (rows, updatedAt, false)
    }

    /// Redis may have lost what was written, or another has written.
    package mutating func forget() {
        (books, hashes, members, writtenUpdatedAt, pending) = (nil, [:], [:], nil, [])
        (isDoubtful, isRefused, isPlanned, questionDueNs) = (false, false, rows.isEmpty, 0)
    }

    /// Redis is seen to have lost something.
    package mutating func doubt() { isDoubtful = true }

    /// When there is something to ask or to write.
    package var dueNs: UInt64 {
        if isRefused { return .max }
        if books == nil { return isPlanned ? .max : questionDueNs }
        if !pending.isEmpty || !isPlanned { return 0 }
        return isDoubtful ? readNs + CatalogueIndex.doubtNs : .max
    }

    // MARK: The books

    private static let bookIndexes: [ListIndex] = [.all, .quotes, .statuses]

    /// What Redis must be asked before anything is written.
    package mutating func question(nowNs: UInt64) -> [[String]]? {
        guard pending.isEmpty, !isRefused else { return nil }
        if books != nil {
            let patienceNs = isDoubtful ? CatalogueIndex.doubtNs : isPlanned ? .max : CatalogueIndex.renewNs
            guard nowNs &- readNs >= patienceNs else { return nil }
            forget()
        }
        guard !isPlanned, nowNs >= questionDueNs else { return nil }
        questionDueNs = nowNs + CatalogueIndex.retryNs
        return CatalogueIndex.bookIndexes.map { ["SMEMBERS", schema.listIndexKey($0)] }
    }

    /// - Returns: Redis's words when it refuses. Where they speak of rights nothing is asked or written until `forget`.
    package mutating func learn(_ replies: [RedisReply], nowNs: UInt64) -> String? {
        spoilt = []
        for (index, reply) in zip(CatalogueIndex.bookIndexes, replies) {
            guard case .error(let message) = reply else { continue }
            guard message.hasPrefix("WRONGTYPE") else {
                isRefused = RedisReply.isForbidden(message)
                return message
            }
            spoilt.append(index)
        }
        books = Dictionary(uniqueKeysWithValues: zip(CatalogueIndex.bookIndexes, replies).map { ($0, Set($1.strings)) })
        readNs = nowNs
        return nil
    }

    // MARK: Writing

    /// The next commands, in order.
    package mutating func take(nowMs: Int64, max: Int) -> [[String]] {
        guard !isRefused, books != nil else { return [] }
        if pending.isEmpty && !isPlanned { plan() }
        let steps = pending.prefix(max)
        pending.removeFirst(steps.count)
        return steps.map { step in
            switch step {
            case .command(let command): return command
            case .hash(let row):
                let pairs = row.hash + [(Field.updatedAt, String(nowMs))]
                return ["HSET", schema.listedKey(row.symbol)] + pairs.flatMap { [$0.0, $0.1] }
            }
        }
    }

    /// What became of the commands that were taken last.
    /// - Parameter replies: nil when they did not come in time.
    /// - Returns: Redis's words when it refuses one of them.
    package mutating func settle(_ commands: [[String]], _ replies: [RedisReply]?, nowNs: UInt64) -> String? {
        guard let replies else {
            forget()
            questionDueNs = nowNs + CatalogueIndex.retryNs
            return nil
        }
        for (command, reply) in zip(commands, replies) {
            guard case .error(let message) = reply else { continue }
            if command[0] == "HSET" && message.hasPrefix("WRONGTYPE") {
                pending = [.command(["DEL", command[1]]), .command(command)] + pending
                continue
            }
            forget()
            (isRefused, questionDueNs) = (RedisReply.isForbidden(message), nowNs + CatalogueIndex.doubtNs)
            return message
        }
        return nil
    }

    private mutating func plan() {
        guard let known = books else { return }
        var wanted: [ListIndex: [String]] = [:]
        for row in rows {
            wanted[.status(row.status.lowercased()), default: []].append(row.symbol.name)
            if let quote = Symbol(row.quote) { wanted[.quote(quote.name), default: []].append(row.symbol.name) }
        }
        // Their order changes with volumes, and says nothing.
        wanted = wanted.mapValues { $0.sorted() }
        var new: [ListIndex: Set<String>] = [.all: Set(rows.map(\.symbol.name)), .quotes: [], .statuses: []]
        for index in wanted.keys {
            if case .quote(let name) = index { new[.quotes]!.insert(name) }
            if case .status(let name) = index { new[.statuses]!.insert(name) }
        }
        let before = hashes
        hashes = Dictionary(rows.map { ($0.symbol, $0) }) { first, _ in first }
        let first = bookChanges("SADD") { new[$0]!.subtracting(known[$0] ?? []) }
        var commands: [[String]] = []
        for (index, names) in wanted.sorted(by: { $0.key.name < $1.key.name }) where members[index] != names {
            commands.append(replacement(index, "SADD", names))
        }
        let volumes = rows.flatMap { [$0.quoteVolume?.description ?? "0", $0.symbol.name] }
        if members[.byVolume] != volumes { commands.append(replacement(.byVolume, "ZADD", volumes)) }
        if writtenUpdatedAt != updatedAt { commands.append(["SET", schema.listIndexKey(.updatedAt), String(updatedAt)]) }
        let gone = known.mapValues(Array.init).flatMap { index, names in names.filter { !new[index]!.contains($0) }.map { (index, $0) } }
        commands += chunks(gone.compactMap { key(of: $1, in: $0) }.sorted()).map { ["DEL"] + $0 }
        commands += bookChanges("SREM") { (known[$0] ?? []).subtracting(new[$0]!) }
        wanted[.byVolume] = volumes
        let changed = rows.filter { before[$0.symbol] != $0 }
        let mended = spoilt.map { ["DEL", schema.listIndexKey($0)] } + first
        pending = ArraySlice(mended.map(Step.command) + changed.map(Step.hash) + commands.map(Step.command))
        (books, members, writtenUpdatedAt, spoilt, isPlanned) = (new, wanted, updatedAt, [], true)
    }

    private func bookChanges(_ command: String, _ names: (ListIndex) -> Set<String>) -> [[String]] {
        CatalogueIndex.bookIndexes.flatMap { index in
            chunks(names(index).sorted()).map { [command, schema.listIndexKey(index)] + $0 }
        }
    }

    /// A chunk that is refused (Redis is out of memory) leaves the old index as it was. Scores and members go in pairs.
    private static let replace = """
        redis.call('DEL', KEYS[2])
        for i = 2, #ARGV, \(2 * Limits.catalogueChunkMax) do
          local reply = redis.pcall(ARGV[1], KEYS[2], unpack(ARGV, i, math.min(i + \(2 * Limits.catalogueChunkMax - 1), #ARGV)))
          if type(reply) == 'table' and reply.err then redis.call('DEL', KEYS[2]) return reply end
        end
        return redis.call('RENAME', KEYS[2], KEYS[1])
        """

    private func replacement(_ index: ListIndex, _ command: String, _ values: [String]) -> [String] {
        ["EVAL", CatalogueIndex.replace, "2", schema.listIndexKey(index), schema.listIndexKey(.next), command] + values
    }

    /// The key that a book's entry stands for; nil for what cannot be one of ours.
    private func key(of name: String, in book: ListIndex) -> String? {
        guard let word = Symbol(name), word.name == name else { return nil }
        return switch book {
        case .all: schema.listedKey(word)
        case .quotes: schema.listIndexKey(.quote(name))
        default: schema.listIndexKey(.status(name))
        }
    }

    private func chunks<Part>(_ parts: [Part]) -> [[Part]] {
        stride(from: 0, to: parts.count, by: Limits.catalogueChunkMax).map {
            Array(parts[$0..<min(parts.count, $0 + Limits.catalogueChunkMax)])
        }
    }
}
