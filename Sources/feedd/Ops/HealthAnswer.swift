// What a probe answers. Pure.

import FastFeed

extension HealthReport {
    /// - Parameter isTerse: one word, for those who need no token.
    func answer(_ scope: Scope, asJSON: Bool, isTerse: Bool) -> HTTPAnswer {
        let isGood = isGood(scope)
        let status = isGood ? 200 : 503
        if asJSON && !isTerse {
            let list = checks(scope).map { check in
                JSONValue.members([
                    ("name", .string(check.name)), ("ok", .bool(check.verdict != .bad)), ("remark", .bool(check.verdict == .remark)),
                    ("sentence", .string(check.sentence)),
                ])
            }
            return HTTPAnswer(status, json: .members([("ok", .bool(isGood)), ("checks", .array(list))]))
        }
        if isGood { return HTTPAnswer(status, (["ok"] + remarks(scope)).joined(separator: "\n") + "\n") }
        return HTTPAnswer(status, (isTerse ? "failing" : lines(scope).joined(separator: "\n")) + "\n")
    }

    private func remarks(_ scope: Scope) -> [String] {
        scope == .healthy ? checks.filter { $0.verdict == .remark }.map { "[!]\($0.name) \($0.sentence)" } : []
    }
}
