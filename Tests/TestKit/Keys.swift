// Keys and channels as a service without a prefix has them, for tests that look into Redis. Pure. They are the contract's own
// (KeySchema); a few tests spell them out instead, so that no name can change unseen: EnvelopeTests, BatchBuilderTests,
// TruthCheckTests, and the callers that know nothing but the documented protocol.

package import FastFeed

package enum Keys {
    package static let schema = KeySchema(prefix: "")
    package static let service = schema.serviceStatusKey
    package static let fluxes = schema.fluxesKey

    package static func history(_ symbol: String, _ interval: Interval) -> String { schema.historyKey(series(symbol, interval)) }
    package static func updates(_ symbol: String, _ interval: Interval) -> String { schema.updatesChannel(series(symbol, interval)) }
    package static func latest(_ interval: Interval, _ market: Market = .spot) -> String { schema.latestKey(market, interval) }
    package static func flux(_ id: String) -> String { schema.fluxStatusKey(id) }

    private static func series(_ symbol: String, _ interval: Interval) -> Series { Series(symbol: Symbol(symbol)!, interval: interval) }
}
