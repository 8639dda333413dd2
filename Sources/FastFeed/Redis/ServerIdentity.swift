// Which server answers: the run of it, and whether it holds all keys. Read from the reply to one script. Pure, any thread.

package struct ServerIdentity: Equatable {
    /// Another after each restart. Nil where it is not said, or may not be asked.
    package let run: String?
    /// Of a node of a cluster, its slots as CLUSTER NODES lists them. Nil for a server of its own, and where that may not be asked.
    private let slots: String?

    /// Answered with the run's id, and in a cluster with a space and the beginning of the node's slots behind it. (INFO's own reply is
    /// longer than what is kept of a reply.)
    static let question = [
        "EVAL",
        """
        local info = redis.pcall('INFO', 'server')
        if type(info) ~= 'string' then return '' end
        local run = string.match(info, 'run_id:(%x+)') or ''
        if not string.find(info, '_mode:cluster', 1, true) then return run end
        local nodes = redis.pcall('CLUSTER', 'NODES')
        if type(nodes) ~= 'string' then return run end
        return run .. ' ' .. string.sub(string.match(nodes, 'myself[^\\n]- connected ?([^\\n]*)') or '', 1, 40)
        """, "0",
    ]

    package init(reply: String) {
        let parts = reply.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        run = parts[0].isEmpty ? nil : String(parts[0])
        slots = parts.count > 1 ? String(parts[1]) : nil
    }

    /// Why this server cannot be the one we write to. A batch has keys of all slots; a node that holds them all is as good as any server.
    package var refusal: String? {
        guard let slots, slots != "0-16383" else { return nil }
        let held = slots.isEmpty ? "no slots" : "only the slots \(Ascii.printable(slots.utf8, limit: 40))"
        return "it is a node of a Redis Cluster and holds \(held); redis+cluster://… names a cluster"
    }
}
