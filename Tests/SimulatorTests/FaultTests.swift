// Faults: their spelling, when they strike, and what they make of a text. Configuration checks.

import FastFeed
import Testing
import VenueSimulator

struct FaultTests {
    @Test func spelling() throws {
        #expect(try Fault(text: "reset") == Fault(.reset))
        #expect(
            try Fault(text: "lose,stream=btcusdt@kline_1m,probability=0.25,count=0,after=5000,duration=100,connection=2")
                == Fault(.lose, stream: "btcusdt@kline_1m", connection: 2, probability: 0.25, count: 0, afterMs: 5_000, durationMs: 100))
        #expect(try Fault(text: "kind=close,code=1008").value == 1008)
        for bad in ["", "nonsense", "lose,count", "lose,count=-1", "lose,probability=2", "lose,colour=red"] {
            #expect(throws: FaultSyntaxError.self) { try Fault(text: bad) }
        }
    }

    @Test func countsTimesAndTargets() {
        var plan = FaultPlan(seed: 1)
        plan.arm(Fault(.lose, stream: "a", count: 2, afterMs: 10), nowMs: 100)
        func strike(_ stream: String, _ now: Int64) -> FaultKind? {
            plan.eventStrike(stream: stream, connection: 1, isClosed: false, nowMs: now)?.kind
        }
        let early = strike("a", 105), other = strike("b", 200)
        let hits = (0..<4).map { _ in strike("a", 200) }
        #expect(early == nil && other == nil && hits == [.lose, .lose, nil, nil])
        plan.dropSpent(200)
        #expect(plan.isQuiet)
        plan.arm(Fault(.mute, durationMs: 50), nowMs: 1_000)
        let mutes = [strike("x", 1_000), strike("x", 1_049), strike("x", 1_050)]
        #expect(mutes == [.mute, .mute, nil])
        plan.arm(Fault(.missingClose), nowMs: 2_000)
        let open = strike("x", 2_000)
        let closed = plan.eventStrike(stream: "x", connection: 1, isClosed: true, nowMs: 2_000)?.kind
        #expect(open == nil && closed == .missingClose)
        for kind in [FaultKind.lateClose, .alteredClose] {
            plan.clear()
            plan.arm(Fault(kind), nowMs: 2_000)
            let strikes = [false, true].map { plan.eventStrike(stream: "x", connection: 1, isClosed: $0, nowMs: 2_000)?.kind }
            #expect(strikes == [nil, kind])
        }
    }

    /// Several in one text, as a flag has them.
    @Test func plans() throws {
        #expect(
            try Fault.plan(text: "restStatus,value=429,retry=1,count=3;restStatus,status=418,retry=2,probability=0.1,count=0;restTruncate")
                == [
                    Fault(.restStatus, count: 3, value: 429, retrySeconds: 1),
                    Fault(.restStatus, probability: 0.1, count: 0, value: 418, retrySeconds: 2), Fault(.restTruncate),
                ])
        for bad in ["", "reset;", "reset;;drop", "restStatus,retry=-1", "restStatus,retry=259201"] {
            #expect(throws: FaultSyntaxError.self) { try Fault.plan(text: bad) }
        }
    }

    @Test func aMuteStreamIsMuteWhereItWasStruck() {
        func world(_ fault: Fault) -> (FaultPlan, (inout FaultPlan, String, Int, Int64) -> FaultKind?) {
            var plan = FaultPlan(seed: 1)
            plan.arm(fault, nowMs: 1_000)
            return (plan, { $0.eventStrike(stream: $1, connection: $2, isClosed: false, nowMs: $3)?.kind })
        }
        var (plan, strike) = world(Fault(.muteOnConnection, stream: "a"))
        let first = [
            strike(&plan, "b", 1, 1_000), strike(&plan, "a", 1, 1_000), strike(&plan, "a", 2, 1_000), strike(&plan, "a", 1, 99_000),
        ]
        #expect(first == [nil, .muteOnConnection, nil, .muteOnConnection])
        plan.onSubscribe(stream: "a", connection: 1)
        plan.dropSpent(99_000)
        #expect(strike(&plan, "a", 1, 99_000) == .muteOnConnection && !plan.isQuiet, "subscribed anew it stays mute")
        plan.onEnd(connection: 1)
        #expect(plan.isQuiet)

        (plan, strike) = world(Fault(.muteSubscription, count: 2, durationMs: 500))
        let second = [
            strike(&plan, "a", 1, 1_000), strike(&plan, "b", 1, 1_001), strike(&plan, "c", 1, 1_002), strike(&plan, "a", 1, 1_003),
        ]
        #expect(second == [.muteSubscription, .muteSubscription, nil, .muteSubscription])
        plan.onSubscribe(stream: "a", connection: 2)
        #expect(strike(&plan, "a", 1, 1_004) == .muteSubscription, "another connection's word does not help this one")
        plan.onSubscribe(stream: "a", connection: 1)
        #expect(strike(&plan, "a", 1, 1_005) == nil && strike(&plan, "b", 1, 1_499) == .muteSubscription)
        #expect(strike(&plan, "b", 1, 1_500) == nil)
        plan.dropSpent(1_500)
        #expect(plan.isQuiet)
    }

    @Test func connectionStrikes() {
        var plan = FaultPlan(seed: 1)
        plan.arm(Fault(.reset, connection: 3), nowMs: 0)
        plan.arm(Fault(.drop), nowMs: 0)
        let strikes = plan.connectionStrikes(nowMs: 1, connections: [1, 3])
        #expect(strikes.map { "\($0.fault.kind.rawValue) \($0.connection)" } == ["reset 3", "drop 1"])
        plan.arm(Fault(.massDisconnect, value: 1001), nowMs: 1)
        let all = plan.connectionStrikes(nowMs: 2, connections: [4, 5, 6])
        #expect(all.map(\.connection) == [4, 5, 6] && plan.isQuiet)
    }

    @Test func chanceIsRepeatable() {
        func sequence(_ seed: UInt64) -> [Bool] {
            var plan = FaultPlan(seed: seed)
            plan.arm(Fault(.lose, probability: 0.5, count: 0), nowMs: 0)
            return (0..<200).map { _ in plan.eventStrike(stream: "a", connection: 1, isClosed: false, nowMs: 1) != nil }
        }
        #expect(sequence(1) == sequence(1) && sequence(1) != sequence(2))
        #expect((60...140).contains(sequence(1).count { $0 }))
    }

    static let sample = Array(
        #"{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":5,"s":"BTCUSDT","k":{"t":0,"s":"BTCUSDT","o":"70010.10000000","x":true,"B":"0"}}}"#
            .utf8)

    @Test func damage() throws {
        func damaged(_ kind: FaultKind, _ place: Int = 3) -> [UInt8] {
            DamagedText.apply(kind, to: FaultTests.sample) { $0 > place ? place : 0 }!
        }
        #expect(throws: JSONValue.SyntaxError.self) { try JSONValue(parsing: damaged(.corruptJSON)) }
        #expect(throws: JSONValue.SyntaxError.self) { try JSONValue(parsing: damaged(.truncateJSON, 20)) }
        let unknown = try JSONValue(parsing: damaged(.unknownEvent))
        #expect(unknown["data"]?["e"] == .string("klineSummary"))
        let more = try JSONValue(parsing: damaged(.unknownFields))
        #expect(more["data"]?["k"]?["x"] == .bool(true) && more["data"]?["zz"] != nil)
        let zeros = try JSONValue(parsing: damaged(.extraZeros))
        #expect(zeros["data"]?["k"]?["o"] == .string("70010.100000000000") && zeros["data"]?["k"]?["B"] == .string("0"))
        let long = try JSONValue(parsing: damaged(.longDecimals))
        #expect(long["data"]!["k"]!["o"]!.text.utf8.count > DecimalText.capacity)
        let foreign = try JSONValue(parsing: damaged(.nonASCIISymbol))
        #expect(foreign["data"]?["s"] == .string("币安人生USDT"))
        #expect(DamagedText.apply(.lose, to: FaultTests.sample) { _ in 0 } == nil)
    }

    @Test func configurationNamesWhatIsWrong() {
        func field(_ change: (inout SimulatorConfiguration) -> Void) -> String? {
            var configuration = SimulatorConfiguration()
            change(&configuration)
            do throws(SimulatorConfigurationError) {
                try configuration.validate()
                return nil
            } catch { return error.field }
        }
        #expect(field { _ in } == nil)
        #expect(field { $0.symbolCount = 0 } == "symbolCount")
        #expect(field { $0.pace = .realTime(speed: 0) } == "speed")
        #expect(field { $0.pushPeriodMs = 0 } == "pushPeriodMs")
        #expect(field { $0.closeDelayMs = -1...3 } == "closeDelayMs")
        #expect(field { $0.startTimeMs = 5 } == "startTimeMs")
        #expect(field { $0.truthCandlesMax = 0 } == "truthCandlesMax")
        #expect(field { $0.restLagMs = -1 } == "restLagMs")
        #expect(field { $0.banSeconds = 259_201 } == "banSeconds")
        #expect(field { $0.quietSymbols = 21 } == "quietSymbols")
    }
}
