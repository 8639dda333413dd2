// What to do about each error of Redis; the texts are those of redis-server 7, and of proxies in front of one.

import FastFeed
import Testing

struct ReplyVerdictTests {
    @Test(arguments: [
        ("ERR The ID specified in XADD is equal or smaller than the target stream top item", ReplyVerdict.notNewest),
        ("ERR The ID specified in XADD must be greater than 0-0", .notNewest),
        ("OOM command not allowed when used memory > 'maxmemory'.", .later), ("LOADING Redis is loading the dataset in memory", .elsewhere),
        ("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.", .later),
        ("READONLY You can't write against a read only replica.", .elsewhere), ("NOREPLICAS Not enough good replicas to write.", .later),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", .elsewhere),
        ("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", .later),
        ("TRYAGAIN Multiple keys request during rehashing of slot", .later), ("CLUSTERDOWN The cluster is down", .later),
        ("NOPERM User default has no permissions to run the 'xadd' command", .apart), ("MOVED 3999 127.0.0.1:6381", .apart),
        ("NOAUTH Authentication required.", .reconnect), ("WRONGPASS invalid username-password pair or user is disabled.", .reconnect),
        ("ERR max number of clients reached", .reconnect),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", .never), ("ERR unknown command 'XADD'", .never),
        ("ERR syntax error", .never),
        (
            "ERR Error running script (call to f_c5b5a4bd7ef4d4b5a4bd7ef4d4b5a4bd7ef4d4b5): @user_script:7: @user_script: 7: -READONLY You can't write against a read only replica.",
            .elsewhere
        ),
        (
            "ERR Error running script (call to f_c5b5a4bd7ef4d4b5a4bd7ef4d4b5a4bd7ef4d4b5): @user_script:1: -OOM command not allowed when used memory > 'maxmemory'.",
            .later
        ),
        (
            "ERR Error running script (call to f_c5b5a4bd7ef4d4b5a4bd7ef4d4b5a4bd7ef4d4b5): @user_script:1: user_script:1: attempt to index a nil value",
            .apart
        ),
        (
            "ERR Error running script (call to f_a89ca80922f5e4619f80eeedf3f86dcda3e9d3fa): @user_script:4: WRONGTYPE Operation against a key",
            .never
        ),
        ("ERR wrong number of arguments for 'xadd' command", .never),
        ("ERR Connection refused", .later), ("ERR Host is down", .later), ("upstream failure", .later), ("no upstream host", .later),
        ("ERR Server closed the connection", .later), ("ERR max daily request limit exceeded. Limit: 10000, Usage: 10000.", .later),
        ("", .apart), ("OOMX", .apart), ("loading", .apart), ("ERR", .apart), ("ERR value is out of range", .apart),
        ("ERR max single record size exceeded. Limit: 1048576", .apart), ("ERR this command is not supported by the server", .apart),
    ])
    func table(_ text: String, _ verdict: ReplyVerdict) { #expect(ReplyVerdict(error: text) == verdict) }
}
