// What Redis's error replies mean.

import FastFeed
import Testing

@Suite("Stream errors")
struct StreamErrorTests {
    @Test(
        "By their first word or their words",
        arguments: [
            ("WRONGTYPE Operation against a key holding the wrong kind of value", StreamError.notAStream(key: "k")),
            ("NOGROUP No such key 'k' or consumer group 'g' in XREADGROUP with GROUP option", .noSuchGroup(key: "k", group: "g")),
            ("ERR no such key", .noSuchStream(key: "k")),
            ("ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to ...", .noSuchStream(key: "k")),
            ("ERR The ID specified in XADD is equal or smaller than the target stream top item", .idNotNewer(StreamID(5, 1))),
            ("ERR The ID specified in XADD must be greater than 0-0", .idNotNewer(StreamID(5, 1))),
            (
                "WRONGTYPE Operation against a key holding the wrong kind of value script: 1f98, on @user_script:24.",
                .notAStream(key: "k")
            ),
            (
                "ERR Error running script (call to f_12): @user_script:4: WRONGTYPE Operation against a key holding the wrong kind of value",
                .notAStream(key: "k")
            ),
            ("ERR Error running script (call to f_12): @user_script:1: -NOGROUP No such key", .noSuchGroup(key: "k", group: "g")),
        ])
    func cases(reply: String, expected: StreamError) {
        #expect(StreamError(reply: reply, key: "k", group: "g", id: StreamID(5, 1)) == expected)
    }

    @Test(
        "What passes",
        arguments: [
            "OOM command not allowed when used memory > 'maxmemory'.", "LOADING Redis is loading the dataset in memory",
            "READONLY You can't write against a read only replica.", "MISCONF Redis is configured to save RDB snapshots",
            "UNBLOCKED the stream key no longer exists", "UNBLOCKED force unblock from blocking operation, instance state changed",
            "MASTERDOWN Link with MASTER is down", "BUSY Redis is busy running a script.",
            "TRYAGAIN Multiple keys request during rehashing",
            "CLUSTERDOWN The cluster is down", "NOREPLICAS Not enough good replicas to write.", "ERR max number of clients reached",
            "ERR upstream failure", "ERR Error running script (call to f_1): @user_script:3: -OOM command not allowed",
        ])
    func passing(reply: String) {
        guard case .unavailable = StreamError(reply: reply) else {
            Issue.record("\(reply): \(StreamError(reply: reply))")
            return
        }
    }

    @Test(
        "What stays",
        arguments: [
            "NOPERM User feed-worker has no permissions to run the 'xadd' command",
            "ERR unknown command 'XADD', with args beginning with: ",
            "ERR wrong number of arguments for 'xadd' command", "ERR syntax error", "NOAUTH Authentication required.",
            "MOVED 3999 127.0.0.1:6381",
            "BUSYGROUP Consumer Group name already exists", "", "E", "ERR", "-", "ERR The ID specified in XADD is odd",
        ])
    func staying(reply: String) {
        guard case .refused = StreamError(reply: reply) else {
            Issue.record("\(reply): \(StreamError(reply: reply))")
            return
        }
    }

    @Test("One sentence, foreign bytes escaped")
    func sentences() {
        let hostile = "a\u{1B}[31m\r\n\u{0}" + String(repeating: "x", count: 70_000)
        let errors: [StreamError] = [
            .noSuchStream(key: hostile), .noSuchGroup(key: hostile, group: hostile), .notAStream(key: hostile),
            StreamError(reply: "ERR " + hostile), StreamError(reply: "OOM " + hostile),
            .partly(ids: [nil, StreamID(1)], first: .notAStream(key: hostile)),
        ]
        for error in errors {
            #expect(error.description.utf8.count < 1_000)
            #expect(error.description.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }, "\(error.description)")
        }
        let partly = StreamError.partly(ids: [StreamID(1), nil, StreamID(3)], first: .closed)
        #expect(partly.description == "2 of 3 entries were added; the first of the others: the connection to Redis is closed")
        #expect(StreamError.noSuchGroup(key: "orders", group: "mail").description == "there is no group 'mail' on a stream 'orders'")
        #expect(StreamError.timeout(after: .seconds(5)).description == "Redis did not answer within 5000 ms")
    }
}
