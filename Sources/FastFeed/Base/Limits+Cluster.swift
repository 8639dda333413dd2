// The bounds of a Redis Cluster as the sink. Constants.

extension Limits {
    /// Nodes of one URL.
    package static let clusterSeedsMax = 64
    /// Primaries of a map, and connections of the sink. A map with more is not believed.
    package static let clusterNodesMax = 64
    /// How often the map is asked for; and at once after news of it, but not sooner than the second.
    package static let clusterMapMs = 1_000
    package static let clusterMapAgainMs = 100
    /// Where its answer has more bytes than that, about, it is asked for so often.
    package static let clusterMapSlowlyBytes = 64 * 1024
    package static let clusterMapSlowlyMs = 10_000
    /// A node has so long to say who owns what, connecting included.
    package static let clusterTimeoutMs = 300
    /// Of a client's connection: a node other than the home that owes replies and says nothing is given up; a bit sooner than control's
    /// question is. And one that was given up, or cannot be connected to, is let alone for so long.
    package static let clusterSilenceMs = 900
    package static let clusterAwayMs: ClosedRange<UInt64> = 500...2_000
    /// Rounds, a second apart, after which an earlier epoch is believed that all nodes know.
    package static let clusterPastRounds = 10
    /// Redirects that one command of a client follows.
    package static let redirectsMax = 5
    /// Newest states wait so long for others of their node, or until so many of them wait: `latest:*` is behind `updates:*` by that.
    package static let latestPaceNs: UInt64 = 5_000_000
    package static let latestFieldsMax = 500
    /// Merges, holes and removals that are other nodes' are looked through again after this.
    package static let asidesAgainNs: UInt64 = 10_000_000
    /// Classic messages of the sink, from which on the log warns, and over how long that is looked at.
    package static let classicMessagesPerSecond = 5_000
    package static let messageRateNs: UInt64 = 10_000_000_000
    /// Who listens asks so often how the service publishes.
    package static let updateModeMs = 5_000
    /// Entries of a history, from which on the log warns: a stream moves as one key, and both nodes stand still meanwhile.
    package static let historyOfClusterMax = 100_000
    /// A slot that has two owners in turn within this time is let alone for a moment.
    package static let slotUnrestNs: UInt64 = 50_000_000
}
