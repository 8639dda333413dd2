// Commands of the page, given to the service over Redis like anybody's: what they mean is decided in one place. Any thread asks; tasks
// wait. Bounded by who asks: `OpsLimits.lookUpsMax` at a time.

import FastFeed

final class CommandBridge: Sendable {
    private let endpoint: RedisEndpoint
    private let keyPrefix: String
    private let market: Market
    private let client = Lock<FluxClient?>(nil)
    let answers = Mailbox<(number: UInt64, answer: HTTPAnswer)>(capacity: 2 * OpsLimits.lookUpsMax)

    init(_ endpoint: RedisEndpoint, keyPrefix: String, market: Market) {
        (self.endpoint, self.keyPrefix, self.market) = (endpoint, keyPrefix, market)
    }

    func close() { client.withLock { $0.take() }?.close() }

    /// Asks without a bound: whoever calls this keeps it.
    func ask<Answer>(_ number: UInt64, _ request: ClientRequest<Answer>) {
        Task {
            let answer: HTTPAnswer
            do throws(FluxError) {
                let content = try await connected().ask(request).content
                answer = HTTPAnswer(json: content)
            } catch {
                answer = CommandBridge.refusal(error)
            }
            _ = answers.offer((number, answer))
        }
    }

    private func connected() async throws(FluxError) -> FluxClient {
        if let known = client.withLock({ $0 }) { return known }
        let made = try await FluxClient.connect(endpoint, keyPrefix: keyPrefix, market: market)
        return client.withLock { kept in
            if let other = kept {
                made.close()
                return other
            }
            kept = made
            return made
        }
    }

    private static func refusal(_ error: FluxError) -> HTTPAnswer {
        let status =
            switch error {
            case .refused(.unknownFlux?, _): 404
            case .refused(.busy?, _): 503
            case .refused(.internal?, _): 502
            case .refused, .badArgument, .noUpdates: 400
            case .timeout: 504
            case .serviceNotRunning, .disconnected, .badAnswer, .cancelled: 503
            }
        return HTTPAnswer(status, json: .members([error.member("\(error)")]))
    }
}
