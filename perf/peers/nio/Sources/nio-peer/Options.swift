// The flags of perf/reference, as far as this program needs them.

struct Options {
    var venueHost = ""
    var venuePort = 0
    /// A path, or ADDRESS:PORT.
    var redis = ""
    var symbols: [String] = []
    var interval = ""
    var history = 1500
    /// End when that process does.
    var parent: Int32?

    struct Wrong: Error { let text: String }

    init(_ arguments: [String]) throws {
        var rest = arguments.makeIterator()
        while let name = rest.next() {
            guard let value = rest.next() else { throw Wrong(text: "\(name) needs a value") }
            switch name {
            case "--venue":
                let parts = value.split(separator: ":")
                guard parts.count == 3, parts[0] == "ws", let port = Int(parts[2]) else { throw Wrong(text: "--venue ws://ADDRESS:PORT") }
                (venueHost, venuePort) = (String(parts[1].dropFirst(2)), port)
            case "--redis": redis = value
            case "--flux":
                let parts = value.split(separator: ":").map(String.init)
                guard parts.count == 2 else { throw Wrong(text: "--flux SYMBOL,SYMBOL:INTERVAL") }
                (symbols, interval) = (parts[0].split(separator: ",").map(String.init), parts[1])
            case "--history":
                guard let count = Int(value) else { throw Wrong(text: "--history N") }
                history = count
            case "--end-with-parent": parent = Int32(value)
            default: throw Wrong(text: "unknown: \(name)")
            }
        }
        guard venuePort > 0, !redis.isEmpty, !symbols.isEmpty else { throw Wrong(text: "--venue, --redis and --flux are needed") }
    }

    var streams: [String] { symbols.map { "\($0)@kline_\(interval)" } }
}
