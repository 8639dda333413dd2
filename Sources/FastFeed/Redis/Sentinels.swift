// The Sentinels of one primary, and what they have said: which server it is, and at which epoch. Values, any thread; the board is
// shared by all connections of a process that were made from one endpoint, under a lock. Bound: `Limits.sentinelsMax`.
//
// A Sentinel that is cut off with an old primary names it with conviction. So what is believed never goes back to a lower epoch, which
// grows with each failover (`config-epoch`).

/// Where to ask for the primary, and who asks.
public struct Sentinels: Sendable, Equatable {
    /// Where the Sentinels are, at least one.
    public let addresses: [Authority]
    /// The name under which they watch the primary: `SENTINEL MONITOR name …`.
    public let name: String
    /// ACL user of the Sentinels; nil means `default`.
    public var user: String?
    /// Nil: none is sent, unless `passwordFile` has one.
    public var password: String?
    /// As `RedisEndpoint.passwordFile`.
    public var passwordFile: String?
    package let board = PrimaryBoard()

    init(_ addresses: [Authority], name: String) { (self.addresses, self.name) = (addresses, name) }

    /// Compares places and credentials, whatever was heard there.
    public static func == (one: Sentinels, other: Sentinels) -> Bool {
        (one.addresses, one.name) == (other.addresses, other.name)
            && (one.user, one.password, one.passwordFile) == (other.user, other.password, other.passwordFile)
    }
}

/// A primary, as a Sentinel names it.
package struct NamedPrimary: Sendable, Equatable, CustomStringConvertible {
    package let authority: Authority
    package let epoch: Int64

    package init(_ authority: Authority, epoch: Int64) { (self.authority, self.epoch) = (authority, epoch) }

    package var description: String { "\(authority) (epoch \(epoch))" }
}

/// What the Sentinels have said last.
package final class PrimaryBoard: Sendable {
    private struct Entry {
        var primary: NamedPrimary?
        /// Which Sentinel has answered last.
        var place = 0
    }

    private let entry = Lock(Entry())

    package init() {}

    /// Nil before the first answer.
    package var primary: NamedPrimary? { entry.withLock { $0.primary } }

    /// Which Sentinel is asked first.
    var firstPlace: Int { entry.withLock { $0.place } }

    /// What a Sentinel has said. False when that is of the past: it is not believed.
    /// - Parameter keepsEqual: at the epoch that is known, no other server takes the place of the known one: connections stay.
    package func take(_ said: NamedPrimary, from place: Int = 0, keepsEqual: Bool = false) -> Bool {
        entry.withLock { entry in
            if let known = entry.primary {
                guard said.epoch >= known.epoch else { return false }
                if keepsEqual && said.epoch == known.epoch && said.authority != known.authority { return false }
            }
            entry = Entry(primary: said, place: place)
            return true
        }
    }
}

// MARK: - Their words

/// What a Sentinel answers, read with suspicion. Pure.
package enum SentinelReply {
    package enum Primary: Equatable {
        case named(NamedPrimary)
        /// It watches no primary of that name.
        case unknown
        /// The reason in one sentence.
        case unusable(String)
    }

    /// The address while a failover is under way is the new one in the first answer, and the old one in the second; the epoch is in the
    /// second alone. A Sentinel carries both out at one time.
    static func question(_ name: String) -> [[String]] { [["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name], ["SENTINEL", "MASTER", name]] }

    package static func primary(_ replies: [RedisReply]) -> Primary {
        guard replies.count == 2 else { return .unusable("it has not answered everything") }
        for case .error(let message) in replies where !message.hasPrefix("ERR No such master") { return .unusable(message) }
        if replies[0] == .null || replies[0] == .array([]) { return .unknown }
        if case .error = replies[1] { return .unknown }
        guard let authority = authority(replies[0].strings) else { return .unusable("it names an address that is none") }
        let epoch = replies[1].pairs.first { $0.0 == "config-epoch" }.flatMap { Int64($0.1) }
        guard let epoch, epoch >= 0 else { return .unusable("it names no config-epoch") }
        return .named(NamedPrimary(authority, epoch: epoch))
    }

    static func replicasQuestion(_ name: String) -> [String] { ["SENTINEL", "REPLICAS", name] }

    /// Replicas that a Sentinel sees at work, `Limits.replicasMax` at most.
    package static func replicas(_ reply: RedisReply) -> [Authority] {
        let found = reply.elements.lazy.compactMap { one -> Authority? in
            let fields = Dictionary(one.pairs) { first, _ in first }
            let flags = fields["flags"]?.split(separator: ",") ?? []
            guard !flags.contains(where: { ["s_down", "o_down", "disconnected", "master"].contains($0) }) else { return nil }
            return authority([fields["ip"] ?? "", fields["port"] ?? ""])
        }
        return Array(found.prefix(Limits.replicasMax))
    }

    /// Nil for what is not an address, or a name that is not one.
    private static func authority(_ parts: [String]) -> Authority? {
        guard parts.count == 2, parts[1].utf8.count <= 5, parts[1].utf8.allSatisfy(Ascii.isDigit) else { return nil }
        let isNumeric = parts[0].contains(":")
        let authority = Authority("\(isNumeric ? "[\(parts[0])]" : parts[0]):\(parts[1])"[...], portElse: 0)
        return isNumeric && authority?.numericAddress == nil ? nil : authority
    }
}
