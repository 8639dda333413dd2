// The commands: their names, the fields each may have, and the codes of a refusal. Plain values, any thread.

/// Why a request is refused.
package struct CommandError: Error, Equatable {
    package enum Code: String, Sendable {
        case badRequest = "bad_request"
        case unknownSymbol = "unknown_symbol"
        case badInterval = "bad_interval"
        case unknownFlux = "unknown_flux"
        case tooLarge = "too_large"
        case busy
        case `internal`
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}

package enum CommandKind: String, CaseIterable, Sendable {
    case createFlux = "flux:create"
    case stopFlux = "flux:stop"
    case listFluxes = "flux:list"
    case getData = "data:get"
    case getStatus = "status:get"

    /// Fields it may have besides `request_id`.
    package var fields: [String] {
        switch self {
        case .createFlux: ["symbols", "interval", "name", "history"]
        case .stopFlux: ["flux_id"]
        case .listFluxes: []
        case .getData: ["symbol", "interval", "limit", "start", "end"]
        case .getStatus: ["flux_id"]
        }
    }
}
