// The exchange's markets. A plain value, any thread.

/// A market of the exchange; decides routes, limits and key prefixes.
public enum Market: String, CaseIterable, Sendable, Hashable {
    /// The spot market; its keys do not name it.
    case spot
    /// USDⓈ-M futures; `um:` stands in their keys.
    case um

    /// What stands before the symbol in keys, and behind the first word of other keys and of channels (`um:`); empty for spot.
    package var keyPrefix: String { self == .spot ? "" : "um:" }
}
