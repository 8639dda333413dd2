// The consumer's machine without sockets and clock: what it sends and hands out, step by step.

import FastFeed
import Testing

/// A machine and the time, and what was handed out.
struct MachineBench {
    static let ms: UInt64 = 1_000_000

    var machine: ConsumerMachine
    var nowNs: UInt64 = 1_000 * MachineBench.ms
    var delivered: [ConsumerDelivery] = []
    var last = ConsumerTurn()

    init(_ change: (inout ConsumerMachine.Settings) -> Void = { _ in }) {
        var settings = ConsumerMachine.Settings()
        change(&settings)
        machine = ConsumerMachine(settings)
        machine.want(true, nowNs)
    }

    static func entry(_ id: UInt64) -> StreamEntry { StreamEntry(key: "s", id: StreamID(id), fields: ["n": "\(id)"]) }

    static func page(_ ids: [UInt64], vanished: [UInt64] = []) -> ConsumerPage {
        var page = ConsumerPage()
        page.entries = ids.map(entry)
        page.vanished = vanished.map { StreamID($0) }
        page.last = (ids + vanished).max().map { StreamID($0) }
        return page
    }

    /// One turn; what it sends.
    @discardableResult
    mutating func turn(after ms: UInt64 = 0, canSend: Bool = true) -> [ConsumerCommand] {
        nowNs += ms * MachineBench.ms
        last = machine.turn(nowNs, canSend: canSend)
        delivered += last.deliveries
        return last.commands
    }

    mutating func answer(_ command: ConsumerCommand?, _ answer: ConsumerAnswer) {
        guard let command else { return }
        machine.answered(command, answer, nowNs)
    }

    /// The look for messages that nobody holds, with which it begins, finds nothing.
    mutating func begin() {
        answer(turn().first, .claimed(cursor: .min, page: MachineBench.page([]), unnamed: 0))
    }

    mutating func read(_ ids: [UInt64]) {
        let command = turn().first { if case .fresh = $0 { true } else { false } } ?? last.read
        answer(command, .pages(ids.isEmpty ? [] : [(0, MachineBench.page(ids))]))
    }

    mutating func ack(_ deliveries: some Sequence<ConsumerDelivery>) {
        machine.acknowledge(deliveries.map { Int32($0.slot) }, nowNs)
    }
}

struct ConsumerMachineTests {
    private static func ids(_ range: ClosedRange<UInt64>) -> [StreamID] { range.map { StreamID($0) } }

    @Test("The next read goes out with the acknowledgements of the batch before, and before the batch is handed on")
    func backlog() {
        var bench = MachineBench { $0.prefetch = 20 }
        bench.begin()
        #expect(bench.turn() == [.fresh(count: 20, blockMs: nil)])
        bench.answer(bench.last.commands[0], .pages([(0, MachineBench.page(Array(1...20)))]))
        #expect(bench.turn().isEmpty, "full")
        #expect(bench.last.hasBacklog && bench.delivered.count == 20)
        bench.ack(bench.delivered[..<9])
        #expect(bench.turn().isEmpty, "neither enough nor late")
        bench.ack(bench.delivered[9..<10])
        let sent = bench.turn()
        #expect(sent.count == 2)
        guard case .ack(0, let ids, let slots, 0) = sent[0] else { return #expect(Bool(false), "\(sent)") }
        #expect(ids == ConsumerMachineTests.ids(1...10))
        #expect(sent[1] == .fresh(count: 10, blockMs: nil))
        #expect(slots.count == 10)
        bench.answer(sent[0], .count(10))
        bench.answer(sent[1], .pages([(0, MachineBench.page(Array(21...30)))]))
        #expect(bench.machine.counters.acked == 10 && bench.machine.counters.received == 30)
        #expect(bench.machine.hand.heldCount == 20)
    }

    @Test("An acknowledgement goes out after 10 ms while a read waits, and the read asks for no more than there is room")
    func waiting() {
        var bench = MachineBench { $0.prefetch = 10 }
        bench.begin()
        bench.read([1, 2, 3])
        bench.turn()
        #expect(!bench.last.hasBacklog)
        guard case .fresh(7, let blockMs?) = bench.last.read else {
            Issue.record("\(bench.last)")
            return
        }
        #expect((1...5_000).contains(blockMs))
        bench.ack(bench.delivered[..<1])
        #expect(bench.turn().isEmpty)
        #expect(bench.machine.dueNs(canSend: true) == bench.nowNs + 10 * MachineBench.ms)
        #expect(bench.turn(after: 10).count == 1)
    }

    /// Of many streams, that has just read nothing and waits.
    private static func waitingForMany(_ prefetch: Int) -> MachineBench {
        var bench = MachineBench { ($0.keyCount, $0.prefetch) = (300, prefetch) }
        for command in bench.turn() { bench.answer(command, .claimed(cursor: .min, page: MachineBench.page([]), unnamed: 0)) }
        bench.answer(bench.turn().first, .pages([]))
        bench.turn()
        return bench
    }

    @Test("A read of many streams that a message has ended is not followed by another at once", arguments: [100, 1_000])
    func vainReads(prefetch: Int) {
        var bench = ConsumerMachineTests.waitingForMany(prefetch)
        bench.answer(bench.last.read, .pages([(7, MachineBench.page([1]))]))
        bench.turn()
        #expect(bench.delivered.count == 1, "what has come is handed out")
        #expect(bench.last.read == nil && bench.last.commands.isEmpty)
        #expect(bench.machine.dueNs(canSend: true) == bench.nowNs + 299 * Limits.vainKeyPauseNs)
        bench.ack(bench.delivered)
        let sent = bench.turn(after: 3)
        let read = bench.last.read ?? sent.last
        guard case .fresh? = read else { return #expect(Bool(false), "\(sent)") }
        #expect(sent.contains { if case .ack = $0 { true } else { false } }, "with the read")
        bench.answer(read, .pages((0..<280).map { ($0, MachineBench.page([2])) }))
        bench.turn()
        let isReading = bench.last.read != nil
        bench.ack(bench.delivered.dropFirst())
        #expect(isReading || bench.turn().contains { if case .fresh = $0 { true } else { false } }, "few were asked in vain")
    }

    @Test("A backlog in a few of many streams is read without pauses after the first")
    func backlogOfFew() {
        var bench = ConsumerMachineTests.waitingForMany(1_000)
        var pauses = 0
        var read = bench.last.read
        for round in 0..<20 as Range<UInt64> {
            guard case .fresh(let count, _)? = read else { return #expect(Bool(false), "\(bench.last)") }
            bench.answer(read, .pages([(7, MachineBench.page((1...UInt64(count)).map { round * UInt64(count) + $0 }))]))
            if bench.turn().isEmpty {
                pauses += 1
                bench.turn(after: 3)
            }
            read = bench.last.commands.last
        }
        #expect(pauses == 1)
    }

    @Test("In the pause acknowledgements go out in their time, and a stop does not wait for its end")
    func inThePause() {
        var bench = ConsumerMachineTests.waitingForMany(1_000)
        bench.answer(bench.last.read, .pages([(7, MachineBench.page([1, 2]))]))
        bench.turn()
        bench.machine.stop(bench.nowNs + 1_000 * MachineBench.ms, bench.nowNs)
        bench.ack(bench.delivered)
        let acks = bench.turn()
        #expect(acks.count == 1 && bench.last.withdrawsAll)
        bench.answer(acks[0], .count(2))
        #expect(bench.turn().count == 300, "the name is given up in all of them")
    }

    @Test("Two streams are read again at once")
    func fewStreams() {
        var bench = MachineBench { ($0.keyCount, $0.prefetch) = (2, 100) }
        for command in bench.turn() { bench.answer(command, .claimed(cursor: .min, page: MachineBench.page([]), unnamed: 0)) }
        bench.answer(bench.turn().first, .pages([]))
        bench.turn()
        bench.answer(bench.last.read, .pages([(1, MachineBench.page([1]))]))
        bench.turn()
        #expect(bench.last.read != nil)
    }

    @Test("With room for one, each message is acknowledged in the write that asks for the next")
    func one() {
        var bench = MachineBench { $0.prefetch = 1 }
        bench.begin()
        bench.read([1])
        #expect(bench.turn().isEmpty)
        bench.ack(bench.delivered)
        let sent = bench.turn()
        #expect(sent.count == 2 && sent.last == .fresh(count: 1, blockMs: nil))
    }

    @Test("A given name: its history first, with its counts; trimmed entries are acknowledged and not handed out")
    func history() {
        var bench = MachineBench { $0.isNamed = true }
        var sent = bench.turn()
        #expect(sent == [.history(key: 0, after: .min, count: 100), .counts(key: 0, from: StreamID(0, 1), through: .max, count: 100)])
        bench.answer(sent[0], .pages([(0, MachineBench.page([3, 5], vanished: [4]))]))
        bench.answer(sent[1], .rows([PendingRow(id: StreamID(3), deliveries: 2), PendingRow(id: StreamID(5), deliveries: 7)]))
        sent = bench.turn()
        #expect(bench.delivered.map(\.deliveries) == [2])
        #expect(sent.contains(.ackVanished(key: 0, ids: [StreamID(4)])))
        guard case .bury(0, _, StreamID(5), 6, _) = sent[1] else { return #expect(Bool(false), "\(sent)") }
        #expect(sent.contains(.history(key: 0, after: StreamID(5), count: 98)))
        #expect(!sent.contains { if case .fresh = $0 { true } else { false } })
        bench.answer(sent[0], .count(1))
        bench.answer(sent[1], .count(1))
        bench.answer(sent[2], .pages([(0, MachineBench.page([]))]))
        bench.answer(sent[3], .rows([]))
        #expect(bench.turn() == [.claim(key: 0, from: .min, count: 99)])
        #expect(bench.machine.counters.vanished == 1 && bench.machine.counters.buried == 1)
    }

    @Test("After a loss: what was assigned and never arrived is fetched, what is in hand is not handed out again")
    func loss() {
        var bench = MachineBench { $0.prefetch = 10 }
        bench.begin()
        bench.read([1, 2])
        bench.turn()
        bench.answer(bench.last.read, .lost)
        bench.machine.lost(bench.nowNs)
        var sent = bench.turn()
        #expect(sent == [.assigned(key: 0, after: .min, count: 8)], "no more than there is room")
        bench.answer(sent[0], .rows([1, 2, 3, 4].map { PendingRow(id: StreamID($0), deliveries: 1) }))
        sent = bench.turn()
        #expect(sent == [3, 4].map { .fetch(key: 0, row: PendingRow(id: StreamID($0), deliveries: 1)) })
        bench.answer(sent[0], .pages([(0, MachineBench.page([3]))]))
        bench.answer(sent[1], .pages([(0, MachineBench.page([]))]))
        sent = bench.turn()
        #expect(sent.contains(.ackVanished(key: 0, ids: [StreamID(4)])))
        #expect(bench.delivered.map(\.entry.id) == ConsumerMachineTests.ids(1...3))
        #expect(bench.delivered.allSatisfy { $0.deliveries == 1 })
        #expect(bench.machine.counters.interruptions == 1)
    }

    @Test("Acknowledgements are kept until they are answered; one that was carried out unheard is not a miss")
    func acksKept() {
        var bench = MachineBench { $0.prefetch = 4 }
        bench.begin()
        bench.read([1, 2, 3, 4])
        bench.turn()
        bench.ack(bench.delivered)
        let sent = bench.turn()
        for command in sent { bench.answer(command, .lost) }
        #expect(bench.turn(canSend: false).isEmpty)
        let again = bench.turn(after: 10)
        guard case .ack(0, let ids, _, 4) = again.last else { return #expect(Bool(false), "\(again)") }
        #expect(ids == ConsumerMachineTests.ids(1...4))
        bench.answer(again.last, .count(1))
        #expect(bench.machine.counters.acked == 4 && bench.machine.counters.ackMisses == 0)
        #expect(bench.machine.hand.isEmpty)
    }

    @Test("A failed message comes again after its time, recorded first; after five deliveries it is buried")
    func retries() {
        var bench = MachineBench { $0.prefetch = 1 }
        bench.begin()
        bench.read([7])
        for attempt in 1...5 {
            bench.turn()
            let delivery = bench.delivered.last!
            #expect(delivery.deliveries == attempt && bench.delivered.count == attempt)
            bench.machine.settle(delivery.slot, .retry(afterNs: 1_000 * MachineBench.ms, reason: "no", delivery.entry), bench.nowNs)
            if attempt == 5 { break }
            #expect(bench.turn(after: 999).allSatisfy { if case .hold(let hold) = $0 { hold.kind != .again } else { true } })
            let sent = bench.turn(after: 1)
            guard case .hold(let hold) = sent.first(where: { if case .hold(let hold) = $0 { hold.kind == .again } else { false } }) else {
                return #expect(Bool(false), "\(sent)")
            }
            #expect(hold.items == [.init(slot: delivery.slot, id: StreamID(7), deliveries: attempt + 1)] && hold.putsBack)
            bench.answer(.hold(hold), .codes([ConsumerScripts.HoldCode.ours]))
        }
        let sent = bench.turn()
        guard case .bury(0, let slot, StreamID(7), 5, let reason) = sent[0] else { return #expect(Bool(false), "\(sent)") }
        #expect(reason.contains("no"))
        // Unanswered, it is sent again, and found done.
        bench.answer(sent[0], .lost)
        #expect(bench.turn()[0] == .bury(key: 0, slot: slot, id: StreamID(7), deliveries: 5, reason: reason))
        bench.answer(sent[0], .count(ConsumerScripts.HoldCode.missing))
        #expect(bench.machine.counters.buried == 1 && bench.machine.counters.retried == 4 && bench.machine.hand.isEmpty)
    }

    @Test("Dead letters that stay pending are marked, and not delivered again")
    func stay() {
        var bench = MachineBench { ($0.staysPending, $0.prefetch) = (true, 2) }
        bench.begin()
        bench.read([1])
        bench.turn()
        bench.machine.settle(bench.delivered[0].slot, .reject(reason: "bad"), bench.nowNs)
        let sent = bench.turn()
        guard case .hold(let hold) = sent[0] else { return #expect(Bool(false), "\(sent)") }
        #expect(hold.kind == .stay && hold.items[0].deliveries == 6)
        bench.answer(sent[0], .codes([ConsumerScripts.HoldCode.ours]))
        #expect(bench.machine.counters.buried == 1 && bench.machine.hand.isEmpty)
        bench.machine.search(0)
        bench.answer(bench.last.read, .pages([]))
        let search = bench.turn()
        #expect(bench.last.gone == [GoneMessage(key: 0, id: StreamID(1))], "nobody need wait for it")
        bench.answer(search.last, .rows([PendingRow(id: StreamID(1), deliveries: 6)]))
        #expect(!bench.turn().contains { if case .fetch = $0 { true } else { false } })
        #expect(bench.delivered.count == 1)
    }

    @Test("A group that is gone is made anew behind the last id that has come, and what is in hand is put back")
    func groupGone() {
        var bench = MachineBench { $0.prefetch = 10 }
        var sent = bench.turn()
        bench.answer(sent[0], .failed(.noSuchGroup(key: "s", group: "g")))
        sent = bench.turn()
        #expect(sent == [.makeGroup(key: 0, seen: nil)])
        bench.answer(sent[0], .count(1))
        #expect(bench.machine.counters.groupsMade == 0, "it was not there before")
        bench.read([4, 5])
        bench.turn()
        bench.answer(bench.last.read, .failed(.noSuchGroup(key: "s", group: "g")))
        sent = bench.turn(after: 2_000)
        #expect(sent.count == 2 && sent[0] == .makeGroup(key: 0, seen: StreamID(5)))
        guard case .hold(let hold) = sent[1] else { return #expect(Bool(false), "\(sent)") }
        #expect(hold.putsBack && hold.items.map(\.id) == ConsumerMachineTests.ids(4...5))
        bench.answer(sent[0], .count(1))
        bench.answer(sent[1], .codes([1, ConsumerScripts.HoldCode.missing]))
        #expect(bench.machine.counters.groupsMade == 1)
        bench.read([5, 6])
        bench.turn()
        #expect(bench.delivered.map(\.entry.id) == ConsumerMachineTests.ids(4...6))
    }

    @Test("The lease of all in hand goes on; what somebody else has is withdrawn")
    func lease() {
        var bench = MachineBench { $0.prefetch = 10 }
        bench.begin()
        bench.read([1, 2])
        bench.turn()
        bench.answer(bench.last.read, .pages([]))
        let sent = bench.turn(after: 20_000)
        guard case .hold(let hold) = sent.first else { return #expect(Bool(false), "\(sent)") }
        #expect(hold.kind == .lease && hold.items.count == 2 && hold.putsBack)
        bench.answer(sent[0], .codes([ConsumerScripts.HoldCode.ours, ConsumerScripts.HoldCode.other]))
        bench.turn()
        #expect(bench.last.withdrawn == [bench.delivered[1].slot])
        bench.machine.withdrawn(bench.delivered[1].slot)
        #expect(bench.machine.counters.ackMisses == 1 && bench.machine.hand.heldCount == 1)
    }

    @Test("Messages that nobody holds are taken over with their counts; one's own in hand are not")
    func claim() {
        var bench = MachineBench { $0.prefetch = 10 }
        bench.begin()
        bench.read([8])
        bench.turn()
        bench.answer(bench.last.read, .pages([]))
        var sent = bench.turn(after: 5_000)
        #expect(sent == [.claim(key: 0, from: .min, count: 9)])
        bench.answer(sent[0], .claimed(cursor: StreamID(9), page: MachineBench.page([2, 8], vanished: [3]), unnamed: 0))
        sent = bench.turn()
        #expect(sent.first == .counts(key: 0, from: StreamID(2), through: StreamID(2), count: 2))
        let read = bench.last.read
        bench.answer(sent[0], .rows([PendingRow(id: StreamID(2), deliveries: 3)]))
        bench.turn()
        #expect(bench.delivered.map(\.entry.id) == [StreamID(8), StreamID(2)] && bench.delivered[1].deliveries == 3)
        #expect(bench.machine.counters.claimed == 1 && bench.machine.counters.vanished == 1)
        bench.answer(read, .pages([]))
        #expect(bench.turn(after: 5_000).contains(.claim(key: 0, from: StreamID(9), count: 8)))
    }

    @Test("Stop: the read is ended and its messages go back, with what waits; what a task has may end; the name is given up")
    func stop() {
        var bench = MachineBench { $0.prefetch = 10 }
        bench.begin()
        bench.read([1, 2, 3])
        bench.turn()
        let read = bench.last.read
        bench.machine.stop(bench.nowNs + 1_000 * MachineBench.ms, bench.nowNs)
        bench.turn()
        #expect(bench.last.unblocks && bench.last.withdrawsAll)
        for delivery in bench.delivered[1...] { bench.machine.settle(delivery.slot, .returned, bench.nowNs) }
        bench.answer(read, .pages([(0, MachineBench.page([4]))]))
        var sent = bench.turn()
        guard case .hold(let hold) = sent[0] else { return #expect(Bool(false), "\(sent)") }
        #expect(hold.kind == .giveBack && Set(hold.items.map(\.id)) == Set(ConsumerMachineTests.ids(2...4)))
        #expect(hold.items.allSatisfy { $0.deliveries == 0 })
        bench.answer(sent[0], .codes([1, 1, 1]))
        bench.ack(bench.delivered[..<1])
        sent = bench.turn()
        #expect(sent.count == 1)
        bench.answer(sent[0], .count(1))
        #expect(bench.turn() == [.forget(key: 0)])
        bench.answer(.forget(key: 0), .count(1))
        bench.turn()
        #expect(bench.last.isOver && bench.last.error == nil && bench.machine.stage == .over)
    }

    @Test("Errors that pass are waited for; others end it with the error")
    func errors() {
        var bench = MachineBench()
        bench.begin()
        var sent = bench.turn()
        bench.answer(sent[0], .failed(.unavailable("LOADING")))
        #expect(bench.turn().isEmpty)
        #expect(bench.machine.dueNs(canSend: true) > bench.nowNs)
        sent = bench.turn(after: 100)
        #expect(sent == [.fresh(count: 100, blockMs: nil)])
        bench.answer(sent[0], .failed(.notAStream(key: "s")))
        bench.answer(bench.turn().first, .failed(.notAStream(key: "s")))
        bench.turn()
        bench.turn(after: 2_000)
        #expect(bench.machine.stage == .over && bench.machine.error == .notAStream(key: "s"))
    }

    @Test("Any answer to any command does no harm")
    func nonsense() {
        let page = MachineBench.page([1])
        let answers: [ConsumerAnswer] = [
            .count(-1), .count(.max), .codes([]), .codes([9, -1]), .pages([(5, page)]), .pages([(0, page)]), .rows([]),
            .rows([PendingRow(id: .max, deliveries: .max)]), .claimed(cursor: .max, page: page, unnamed: .max), .lost,
            .failed(.unavailable("")), .failed(.noSuchGroup(key: "", group: "")),
        ]
        for seed in 0..<300 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            var bench = MachineBench { ($0.prefetch, $0.isNamed, $0.keyCount) = (5, seed % 2 == 0, [1, 2, 3, 60][Int(seed % 4)]) }
            var waiting: ConsumerCommand?
            for _ in 0..<200 {
                let sent = bench.turn(after: .random(in: 0...2_000, using: &random))
                waiting = bench.last.read ?? waiting
                for command in sent { bench.answer(command, answers.randomElement(using: &random)!) }
                if let read = waiting, Bool.random(using: &random) {
                    waiting = nil
                    bench.answer(read, answers.randomElement(using: &random)!)
                }
                for delivery in bench.delivered where Bool.random(using: &random) { bench.ack([delivery]) }
                bench.delivered.removeAll()
            }
            // Eight in a row to the same question are too many.
            let isEnough = if case .refused(let words) = bench.machine.error { words.hasPrefix("the answer to ") } else { false }
            #expect(bench.machine.stage == .working || isEnough, "seed \(seed)")
        }
    }

    @Test("Deliveries of 0, negative and huge ones")
    func oddCounts() {
        var bench = MachineBench { ($0.isNamed, $0.maxDeliveries) = (true, .max) }
        let sent = bench.turn()
        bench.answer(sent[0], .pages([(0, MachineBench.page([1, 2, 3]))]))
        bench.answer(
            sent[1],
            .rows([
                PendingRow(id: StreamID(1), deliveries: 0), PendingRow(id: StreamID(2), deliveries: -5),
                PendingRow(id: StreamID(3), deliveries: .max),
            ]))
        bench.turn()
        #expect(bench.delivered.count == 3)
        for delivery in bench.delivered {
            bench.machine.settle(delivery.slot, .retry(afterNs: .max, reason: "", delivery.entry), bench.nowNs)
        }
        bench.turn()
        bench.machine.stop(bench.nowNs, bench.nowNs)
        bench.turn()
    }

    @Test(
        "Dead letters stand in the stream's slot",
        arguments: [
            ("orders", "dead:{orders}:payment"), ("candles:{btcusdt}:1m", "dead:candles:{btcusdt}:1m:payment"),
            ("a{}b", "dead:{a{}b}:payment"), ("a{b", "dead:{a{b}:payment"),
        ])
    func deadLetters(key: String, dead: String) {
        #expect(DeadLetter.standard.key(of: key, group: "payment") == dead)
        #expect(DeadLetter.to("x").key(of: key, group: "payment") == "x")
        #expect(DeadLetter.stayPending.key(of: key, group: "payment") == nil)
    }
}
