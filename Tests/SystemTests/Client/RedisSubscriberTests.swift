// The listening connection against a real redis-server.

import FastFeed
import Foundation
import RedisServer
import Testing

@Suite("Redis subscriber", .serialized)
struct RedisSubscriberTests {
    @Test("Confirmed channels and patterns deliver; other channels and ended ones do not")
    func delivery() throws {
        let server = try RedisServerProcess()
        let subscriber = try RedisSubscriber.connect(server.endpoint)
        subscriber.subscribe(["a", "b"])
        subscriber.psubscribe(["commands:*"])
        #expect(subscriber.next(timeoutMs: 2_000) == .subscribed("a"))
        #expect(subscriber.next(timeoutMs: 2_000) == .subscribed("b"))
        #expect(subscriber.next(timeoutMs: 2_000) == .subscribed("commands:*"))
        #expect(subscriber.next() == .nothing)
        let publisher = try RedisClient.connect(server.endpoint)
        #expect(try publisher.command("PUBLISH", "a", "1\r\n2").integer == 1)
        #expect(try publisher.command("PUBLISH", "c", "x").integer == 0)
        #expect(try publisher.command("PUBLISH", "commands:flux:list", "{}").integer == 1)
        #expect(subscriber.next(timeoutMs: 2_000) == .message(channel: "a", payload: Array("1\r\n2".utf8)))
        #expect(subscriber.next(timeoutMs: 2_000) == .message(channel: "commands:flux:list", payload: Array("{}".utf8)))
        subscriber.unsubscribe(["a"])
        #expect(subscriber.next(timeoutMs: 2_000) == .unsubscribed("a"))
        #expect(try publisher.command("PUBLISH", "a", "3").integer == 0)
        subscriber.ping()
        #expect(subscriber.next(timeoutMs: 2_000) == .pong)
        #expect(subscriber.next(timeoutMs: 20) == .nothing)
    }

    @Test("An overlong message is skipped and reported; what follows it comes")
    func tooLong() throws {
        let server = try RedisServerProcess()
        let subscriber = try RedisSubscriber.connect(server.endpoint, messageBytesMax: 1_000)
        subscriber.subscribe(["a"])
        #expect(subscriber.next(timeoutMs: 2_000) == .subscribed("a"))
        let publisher = try RedisClient.connect(server.endpoint)
        for count in [1_000, 3_000_000, 1_001, 0] {
            _ = try publisher.command("PUBLISH", "a", String(repeating: "x", count: count))
        }
        #expect(subscriber.next(timeoutMs: 2_000) == .message(channel: "a", payload: [UInt8](repeating: 0x78, count: 1_000)))
        #expect(subscriber.next(timeoutMs: 2_000) == .tooLong(channel: "a", bytes: 3_000_000))
        #expect(subscriber.next(timeoutMs: 2_000) == .tooLong(channel: "a", bytes: 1_001))
        #expect(subscriber.next(timeoutMs: 2_000) == .message(channel: "a", payload: []))
    }

    @Test("A server that goes is reported, again and again")
    func lost() throws {
        let server = try RedisServerProcess()
        let subscriber = try RedisSubscriber.connect(server.endpoint)
        server.kill9()
        for _ in 0..<3 {
            guard case .lost = subscriber.next(timeoutMs: 2_000) else {
                Issue.record("not lost")
                return
            }
        }
        #expect(throws: FeedError.self) { try RedisSubscriber.connect(server.endpoint, timeoutMs: 500) }
    }

    @Test("A channel that the ACL forbids is refused, the connection stays")
    func forbidden() throws {
        let server = try RedisServerProcess()
        let administrator = try RedisClient.connect(server.endpoint)
        #expect(try administrator.command("ACL", "SETUSER", "feed", "on", ">secret", "resetchannels", "&a", "+@all", "~*").text == "OK")
        var endpoint = server.endpoint
        (endpoint.user, endpoint.password) = ("feed", "secret")
        let subscriber = try RedisSubscriber.connect(endpoint)
        subscriber.subscribe(["b"])
        guard case .refused(let message) = subscriber.next(timeoutMs: 2_000) else {
            Issue.record("not refused")
            return
        }
        #expect(message.hasPrefix("NOPERM"))
        subscriber.subscribe(["a"])
        #expect(subscriber.next(timeoutMs: 2_000) == .subscribed("a"))
        endpoint.password = "wrong"
        let error = #expect(throws: FeedError.self) { try RedisSubscriber.connect(endpoint) }
        #expect(error?.message.contains("WRONGPASS") == true)
    }

    @Test("Silence: asked once, forgiven for an answer, dead without one")
    func silence() throws {
        let server = try RedisServerProcess()
        let subscriber = try RedisSubscriber.connect(server.endpoint)
        let silenceNs = UInt64.ns(ms: 60_000)
        let startNs = MonotonicClock.nowNs()
        func watch(afterSeconds: UInt64) -> RedisSubscriber.Watch {
            subscriber.watch(nowNs: startNs + .ns(ms: afterSeconds * 1_000), silenceNs: silenceNs)
        }
        #expect(watch(afterSeconds: 59) == .nothing)
        #expect(watch(afterSeconds: 61) == .pinged)
        #expect(watch(afterSeconds: 120) == .nothing)
        #expect(subscriber.next(timeoutMs: 2_000) == .pong)
        #expect(subscriber.watchDueNs(silenceNs: silenceNs) < startNs + .ns(ms: 120_000))
        #expect(watch(afterSeconds: 200) == .pinged)
        #expect(watch(afterSeconds: 259) == .nothing)
        #expect(watch(afterSeconds: 261) == .dead)
    }
}
