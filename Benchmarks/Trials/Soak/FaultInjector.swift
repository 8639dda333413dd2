// Carries faults out, and takes back those that last for a while. Main thread; nothing here waits for long.

import FastFeed
import Foundation

final class FaultInjector {
    private let exchange: ExchangeProcess
    private let redis: RedisServerProcess
    /// What ends a fault: true when that is done, and otherwise it is tried again.
    private typealias Repair = () -> Bool
    private var repairs: [(dueNs: UInt64, repair: Repair)] = []
    private static let retryNs: UInt64 = 300_000_000

    init(_ exchange: ExchangeProcess, _ redis: RedisServerProcess) {
        self.exchange = exchange
        self.redis = redis
    }

    var hasRepairs: Bool { !repairs.isEmpty }

    /// - Returns: why it could not be done, if so: Redis may still be loading after the fault before.
    func begin(_ fault: SoakFault) -> String? {
        do {
            switch fault {
            case .exchange(let query): try exchange.ask("POST", "/sim/fault?kind=\(query)")
            case .redisKilled(let awayMs):
                redis.kill9()
                repair(afterMs: awayMs) { [redis] in (try? redis.restart(waitsForAnswer: false)) != nil }
            case .redisStopped(let ms):
                guard let pid = redis.pid else { return "Redis does not run" }
                kill(pid, SIGSTOP)
                repair(afterMs: ms) { [redis] in redis.pid != pid || kill(pid, SIGCONT) == 0 }
            case .redisCommand(let text): try command(text)
            case .redisRefuses(let setting, let ms):
                try command("CONFIG SET \(setting) 1")
                repair(afterMs: ms) { [weak self] in (try? self?.command("CONFIG SET \(setting) 0")) != nil }
            }
            return nil
        } catch {
            return "\(error)"
        }
    }

    private func repair(afterMs: Int, _ repair: @escaping Repair) {
        repairs.append((MonotonicClock.nowNs() + UInt64(afterMs) * 1_000_000, repair))
    }

    /// Takes back what has lasted long enough.
    func tick() {
        let nowNs = MonotonicClock.nowNs()
        for index in repairs.indices.reversed() where repairs[index].dueNs <= nowNs {
            if repairs[index].repair() { repairs.remove(at: index) } else { repairs[index].dueNs = nowNs + FaultInjector.retryNs }
        }
    }

    /// Nothing the exchange was told to do is done any more.
    func clearExchange() throws { try exchange.ask("POST", "/sim/clear") }

    private func command(_ text: String) throws {
        let client = try RedisClient.connect(redis.endpoint, timeout: .seconds(1))
        defer { client.close() }
        if case .error(let text) = try client.command(text.split(separator: " ").map(String.init)) { throw FeedError(.redis, text) }
    }
}
