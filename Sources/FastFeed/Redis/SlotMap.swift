// Who owns which slots of a Redis Cluster, as one of its nodes says it. A plain value, any thread. Bounds: `Limits.clusterNodesMax`
// primaries, `Limits.replicasMax` replicas of each; what a node says is checked before it becomes an address.
//
// Read from CLUSTER SLOTS: CLUSTER SHARDS leaves a failed shard's slots out up to 7.2.5 (redis#13414).

package struct SlotMap: Sendable, Equatable {
    package struct Node: Sendable, Equatable {
        package let primary: Authority
        package internal(set) var replicas: [Authority] = []

        /// `host:port`, by which those know a node who do not connect to it themselves.
        package var name: String { primary.description }
    }

    /// The primaries that own slots, in the order of their first ones. One that has lost its last slot by MOVED stays.
    package private(set) var nodes: [Node] = []
    /// By slot: a place in `nodes`.
    private var owners: [UInt16]

    /// What a node answers, or why that is of no use; one sentence.
    package enum Reading: Equatable {
        case map(SlotMap)
        case unusable(String)
    }

    /// - Parameters:
    ///   - reply: to CLUSTER SLOTS.
    ///   - askedHost: of the node that was asked: it may leave its own host out.
    package static func read(_ reply: RedisReply, askedHost: String) -> Reading {
        if case .error(let message) = reply { return .unusable(message) }
        guard case .array(let ranges) = reply, ranges.count <= HashSlot.count else { return .unusable("it answers something else") }
        var owners = [UInt16?](repeating: nil, count: HashSlot.count)
        var map = SlotMap(nodes: [], owners: [])
        for range in ranges {
            let parts = range.elements
            guard parts.count >= 3, let first = parts[0].integer.flatMap(HashSlot.init), let last = parts[1].integer.flatMap(HashSlot.init),
                first <= last
            else { return .unusable("it names slots that are none") }
            let place: Int
            switch authority(parts[2], askedHost) {
            case .known(let authority):
                guard let known = map.addNode(authority) else { return .unusable("it names more than \(Limits.clusterNodesMax) primaries") }
                place = known
            case .nameless: return .unusable("the owner of slot \(first) announces no host name (cluster-announce-hostname)")
            case .malformed: return .unusable("it names an address that is none")
            }
            let replicas = parts.dropFirst(3).prefix(Limits.replicasMax).compactMap { part -> Authority? in
                if case .known(let authority) = authority(part, askedHost) { authority } else { nil }
            }
            if map.nodes[place].replicas.isEmpty { map.nodes[place].replicas = replicas }
            for slot in first.place...last.place {
                guard owners[slot] == nil else { return .unusable("it names two owners of slot \(slot)") }
                owners[slot] = UInt16(place)
            }
        }
        // While slots change hands some may be nobody's for a moment: what was known before is of more use.
        if let missing = owners.firstIndex(of: nil) { return .unusable("it names no owner of slot \(missing)") }
        map.owners = owners.map { $0! }
        return .map(map)
    }

    /// Its answer is long: slots in many pieces, which takes a node its time. A range has about 150 bytes and as many for each replica.
    package var isLong: Bool {
        var (pieces, last) = (0, UInt16?.none)
        for owner in owners where owner != last { (pieces, last) = (pieces + 1, owner) }
        return pieces * 300 > Limits.clusterMapSlowlyBytes
    }

    private init(nodes: [Node], owners: [UInt16]) { (self.nodes, self.owners) = (nodes, owners) }

    /// All slots at one server: a Redis that is not a cluster, and tests.
    package init(one primary: Authority) {
        self.init(nodes: [Node(primary: primary)], owners: Array(repeating: 0, count: HashSlot.count))
    }

    /// By slot: a place in `nodes`.
    package var places: [Int] { owners.map(Int.init) }
    package func owner(_ slot: HashSlot) -> Authority { nodes[Int(owners[slot.place])].primary }
    package func ownerName(_ slot: HashSlot) -> String { owner(slot).description }
    package func node(_ slot: HashSlot) -> Node { nodes[Int(owners[slot.place])] }

    /// MOVED: that one slot has another owner. False when there is no room for one more primary: then only a new map helps.
    package mutating func move(_ slot: HashSlot, to primary: Authority) -> Bool {
        guard let place = addNode(primary) else { return false }
        owners[slot.place] = UInt16(place)
        return true
    }

    /// The same for a redirect; false also when it names no node.
    package mutating func move(_ redirect: Redirect) -> Bool { redirect.node.map { move(redirect.slot, to: $0) } ?? false }

    /// Slots that another owner has here than there.
    package func changed(since old: SlotMap) -> [HashSlot] {
        (0..<Int64(HashSlot.count)).compactMap(HashSlot.init).filter { owner($0) != old.owner($0) }
    }

    /// Nodes whose primaries own slots, each once.
    package var owningNodes: [Node] {
        let owning = Set(owners)
        return nodes.indices.filter { owning.contains(UInt16($0)) }.map { nodes[$0] }
    }

    package var primaries: [Authority] { owningNodes.map(\.primary) }

    package var primaryNames: [String] { primaries.map(\.description) }

    private mutating func addNode(_ primary: Authority) -> Int? {
        if let known = nodes.firstIndex(where: { $0.primary == primary }) { return known }
        guard nodes.count < Limits.clusterNodesMax else { return nil }
        nodes.append(Node(primary: primary))
        return nodes.count - 1
    }

    private enum Address {
        case known(Authority)
        /// It is to be reached by a name, and has none.
        case nameless
        case malformed
    }

    /// `[host, port, id, …]`. Without a host it is the one that was asked.
    private static func authority(_ node: RedisReply, _ askedHost: String) -> Address {
        let parts = node.elements
        guard parts.count >= 2, let port = parts[1].integer, (1...65_535).contains(port) else { return .malformed }
        let host: String
        switch parts[0] {
        case .null: host = askedHost
        case .bytes(let bytes): host = bytes.isEmpty ? askedHost : String(decoding: bytes, as: UTF8.self)
        default: return .malformed
        }
        if host == "?" { return .nameless }
        return Authority(host: host, nodePort: UInt16(port)).map { .known($0) } ?? .malformed
    }
}

extension Authority {
    /// A host as a node of a cluster names it, an IPv6 address without brackets. Nil for what is neither a name nor an address.
    init?(host: String, nodePort: UInt16) {
        let isNumeric = host.contains(":")
        guard let authority = Authority("\(isNumeric ? "[\(host)]" : host):\(nodePort)"[...], portElse: 0) else { return nil }
        guard !isNumeric || authority.numericAddress != nil else { return nil }
        self = authority
    }
}
