// How a flux stands. A plain value, any thread.

package enum FluxState: String, Sendable {
    case starting, live, stale, healing, stopped
}
