// Drives a running FastFeed service from Swift:
//
//     swift run --package-path docs/examples/bot bot REDIS_URL SYMBOL      e.g. redis://127.0.0.1:6379

import FastFeed

@main
struct Bot {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3 else { return print("usage: bot REDIS_URL SYMBOL") }
        let client = try await FluxClient.connect(try RedisEndpoint(url: arguments[1]))
        let flux = try await client.createFlux(symbols: [arguments[2]], interval: .s1)
        for await update in try await client.updates(symbol: arguments[2], interval: .s1) {
            guard let candle = update.candles.last(where: \.isClosed) else { continue }
            print("\(update.symbol) closed at \(candle.close)")
            break
        }
        try await client.stopFlux(flux.id)
        client.close()
    }
}
