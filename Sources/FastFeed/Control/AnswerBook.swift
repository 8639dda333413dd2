// Answers given in the last minute, so that a repeated request gets the same one and has no second effect. Bounded by
// bytes; the oldest go first. Pure; the control thread's alone.

struct AnswerBook {
    enum Entry {
        /// Asked, and still being worked on.
        case pending
        case answered(String)
    }

    private static let keptNs: UInt64 = 60_000_000_000
    private static let bytesMax = 16 * 1024 * 1024
    private static let countMax = 65_536
    /// A longer answer is not kept: it answers a question, which may be asked again.
    private static let answerBytesMax = 4_096

    private var records: [RequestKey: (entry: Entry, sinceNs: UInt64)] = [:]
    /// Keys in the order of asking.
    private var order: ArraySlice<(key: RequestKey, sinceNs: UInt64)> = []
    private var bytes = 0

    /// What is known of the request; nil for a new one, which is pending from now on.
    mutating func begin(_ key: RequestKey, nowNs: UInt64) -> Entry? {
        expire(nowNs)
        if let known = records[key] { return known.entry }
        records[key] = (.pending, nowNs)
        order.append((key, nowNs))
        bytes += AnswerBook.bytes(key)
        return nil
    }

    /// - Returns: when the request came; nil for one that was not carried out.
    mutating func end(_ key: RequestKey, _ answer: String, isKept: Bool) -> UInt64? {
        guard let record = records[key] else { return nil }
        defer { forgetOrKeep(key, answer, record.sinceNs, isKept) }
        return record.sinceNs
    }

    private mutating func forgetOrKeep(_ key: RequestKey, _ answer: String, _ sinceNs: UInt64, _ isKept: Bool) {
        if isKept && answer.utf8.count <= AnswerBook.answerBytesMax {
            bytes += answer.utf8.count
            records[key] = (.answered(answer), sinceNs)
        } else {
            records[key] = nil
        }
    }

    private static func bytes(_ key: RequestKey) -> Int { key.id.utf8.count + 64 }

    private mutating func expire(_ nowNs: UInt64) {
        while let (key, sinceNs) = order.first {
            let isFull = bytes > AnswerBook.bytesMax || order.count > AnswerBook.countMax
            guard isFull || nowNs &- sinceNs >= AnswerBook.keptNs else { return }
            order.removeFirst()
            bytes -= AnswerBook.bytes(key)
            // Asked again since: then it belongs to a later place in the order.
            guard let record = records[key], record.sinceNs == sinceNs else { continue }
            if case .answered(let answer) = record.entry { bytes -= answer.utf8.count }
            records[key] = nil
        }
    }
}
