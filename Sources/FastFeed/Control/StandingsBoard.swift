// How the service, each flux and each series stands, for whoever wants to know. Written by control every two seconds and when a
// flux ends; read by any thread. Without control it stays empty.

/// One flux as it was last judged.
package struct FluxOnBoard: Sendable {
    package let flux: Flux
    package let standing: FluxStanding
    /// Each series, judged as a flux of its own.
    package let series: [(symbol: Symbol, standing: FluxStanding)]

    package init(flux: Flux, standing: FluxStanding, series: [(symbol: Symbol, standing: FluxStanding)]) {
        (self.flux, self.standing, self.series) = (flux, standing, series)
    }
}

/// The service as it was last judged.
package struct ServiceOnBoard: Sendable {
    package var state = ServiceState.starting
    /// When (monotonic), 0 for never: long ago means that control hangs.
    package var judgedNs: UInt64 = 0
    package var connectionsWanted = 0
    /// Control's own connection to Redis.
    package var isRedisConnected = false
    /// The fluxes of the registry are taken up.
    package var isRegistryRead = false

    package init(
        state: ServiceState = .starting, judgedNs: UInt64 = 0, connectionsWanted: Int = 0, isRedisConnected: Bool = false,
        isRegistryRead: Bool = false
    ) {
        (self.state, self.judgedNs, self.connectionsWanted) = (state, judgedNs, connectionsWanted)
        (self.isRedisConnected, self.isRegistryRead) = (isRedisConnected, isRegistryRead)
    }
}

package final class StandingsBoard: Sendable {
    private struct State {
        var service = ServiceOnBoard()
        /// By flux id.
        var fluxes: [String: FluxOnBoard] = [:]
    }

    private let state = Lock(State())

    package init() {}

    package var service: ServiceOnBoard { state.withLock { $0.service } }
    /// Ascending by flux id.
    package var fluxes: [FluxOnBoard] { state.withLock { Array($0.fluxes.values) }.sorted { $0.flux.id < $1.flux.id } }
    package subscript(id: String) -> FluxOnBoard? { state.withLock { $0.fluxes[id] } }

    // MARK: Control

    func show(_ flux: FluxOnBoard) { state.withLock { $0.fluxes[flux.flux.id] = flux } }
    func remove(_ id: String) { state.withLock { $0.fluxes[id] = nil } }
    func show(_ service: ServiceOnBoard) { state.withLock { $0.service = service } }
}
