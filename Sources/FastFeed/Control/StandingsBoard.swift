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

package final class StandingsBoard: Sendable {
    private struct State {
        var service = ServiceState.starting
        /// By id.
        var fluxes: [String: FluxOnBoard] = [:]
        var judgedNs: UInt64 = 0
    }

    private let state = Lock(State())

    package init() {}

    package var service: ServiceState { state.withLock { $0.service } }
    /// When the service was last judged (monotonic), 0 for never: long ago means that control hangs.
    package var judgedNs: UInt64 { state.withLock { $0.judgedNs } }
    /// By their ids.
    package var fluxes: [FluxOnBoard] { state.withLock { Array($0.fluxes.values) }.sorted { $0.flux.id < $1.flux.id } }
    package subscript(id: String) -> FluxOnBoard? { state.withLock { $0.fluxes[id] } }

    // MARK: Control

    func show(_ flux: FluxOnBoard) { state.withLock { $0.fluxes[flux.flux.id] = flux } }
    func remove(_ id: String) { state.withLock { $0.fluxes[id] = nil } }
    func show(_ service: ServiceState, nowNs: UInt64) { state.withLock { ($0.service, $0.judgedNs) = (service, nowNs) } }
}
