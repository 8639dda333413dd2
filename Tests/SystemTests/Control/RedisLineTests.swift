// Control's line to a Redis that is slow, refuses, takes little or goes away: a reply belongs to its question, and what is posted
// waits for nobody.

import FastFeed
import Glibc
import RedisServer
import TestKit
import Testing

@Suite("Control: the line to Redis", .serialized)
final class RedisLineTests {
    private let redis: RedisServerProcess
    private let journal = Journal()
    private var line: RedisLine

    init() throws {
        redis = try RedisServerProcess()
        line = RedisLine(redis.endpoint, channels: ["c"], journal: journal, seed: 1)
        let stands = line.connectIfDue(0) && line.listen()
        #expect(stands)
        line.confirm()
    }

    private func bytes(_ text: String) -> RedisReply { .bytes(Array(text.utf8)) }

    @Test func aLateReplyIsNobodysAnswer() throws {
        #expect(line.ask([["SET", "a", "1"], ["GET", "a"], ["INCR", "c"]]) == [bytes("OK"), bytes("1"), .integer(1)])
        let pid = try #require(redis.pid)
        kill(pid, SIGSTOP)
        line.post([["SET", "b", "2"]])
        line.flush()
        #expect(line.isReady, "what is posted waits for nobody")
        #expect(line.ask([["GET", "a"]]) == nil)
        #expect(!line.isReady, "the next question waits until this one is answered")
        kill(pid, SIGCONT)
        try eventually(20, "the late replies") {
            line.takeReplies()
            return line.isReady
        }
        #expect(line.takeLateReply() == bytes("1"), "for who has use for it")
        #expect(line.takeLateReply() == nil)
        #expect(line.ask([["GET", "b"], ["INCR", "c"]]) == [bytes("2"), .integer(2)])
        #expect(journal.drain().lines.map(\.message) == ["Redis is slow: a question is given up, requests wait"])
    }

    @Test func whatIsRefusedIsLogged() throws {
        line.post([["HSET", "a"], ["SET", "b", "2"]])
        line.flush()
        #expect(line.ask([["HSET", "a"], ["GET", "b"]])?.last == bytes("2"), "an error is a reply, too")
        #expect(journal.drain().lines.map(\.message) == ["Redis refuses what control writes"])
    }

    @Test func moreThanTheSocketTakes() throws {
        let long = String(repeating: "x", count: 1 << 20)
        line.post((0..<100).map { ["SET", "k\($0)", long] })
        line.flush()
        #expect(!line.isReady, "requests wait while the socket is full")
        try eventually(20, "the socket to take all of it") {
            line.takeReplies()
            line.flush()
            return line.isReady
        }
        #expect(line.ask([["STRLEN", "k99"], ["DBSIZE"]]) == [.integer(1 << 20), .integer(100)])
    }

    @Test func whatIsPostedOutlivesAConnection() throws {
        redis.kill9()
        try eventually(20, "the loss to show") {
            line.takeReplies()
            return !line.isReady
        }
        #expect(line.ask([["GET", "a"]]) == nil)
        line.post([["SET", "a", "1"]])
        line.flush()
        try redis.restart()
        try eventually(20, "another connection") { line.connectIfDue(.max) }
        line.confirm()
        #expect(line.ask([["GET", "a"]]) == [bytes("1")], "posted before, so done before")
        line.post([["SET", "b", "2"]])
        line.finish()
        #expect(try RedisClient.connect(redis.endpoint).command("GET", "b").text == "2", "the end waits until all is written")
    }
}
