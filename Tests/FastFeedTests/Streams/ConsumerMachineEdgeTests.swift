// The consumer's machine where things come late, twice, too long, or not at all.

import FastFeed
import Glibc
import Testing

struct ConsumerMachineEdgeTests {
    private static func rows(_ ids: some Sequence<UInt64>, deliveries: Int = 1) -> [PendingRow] {
        ids.map { PendingRow(id: StreamID($0), deliveries: deliveries) }
    }

    private static func leftOut(_ ids: UInt64...) -> ConsumerPage {
        var page = ConsumerPage()
        page.leftOut = ids.map { StreamID($0) }
        page.last = page.leftOut.last
        return page
    }

    private static func fetched(_ commands: [ConsumerCommand]) -> [UInt64] {
        commands.compactMap { if case .fetch(_, let row) = $0 { row.id.milliseconds } else { nil } }
    }

    private static func givenBack(_ commands: [ConsumerCommand]) -> [ConsumerHold.Item] {
        commands.flatMap { command -> [ConsumerHold.Item] in
            if case .hold(let hold) = command, hold.kind == .giveBack { hold.items } else { [] }
        }
    }

    private static func acked(_ commands: [ConsumerCommand]) -> [UInt64] {
        commands.flatMap { command -> [UInt64] in
            if case .ack(_, let ids, _, _) = command { ids.map(\.milliseconds) } else { [] }
        }
    }

    private static func isRead(_ command: ConsumerCommand) -> Bool { if case .fresh = command { true } else { false } }
    private static func isBurial(_ command: ConsumerCommand) -> Bool { if case .bury = command { true } else { false } }

    @Test("Entries that do not fit one reply together come one by one; one that does not fit by itself is buried")
    func tooLong() {
        var bench = MachineBench { $0.prefetch = 10 }
        bench.begin()
        bench.answer(bench.turn().first, .pages([(0, ConsumerMachineEdgeTests.leftOut(1, 2))]))
        var sent = bench.turn()
        #expect(sent == [.assigned(key: 0, after: .min, count: 10)])
        bench.answer(sent[0], .rows(ConsumerMachineEdgeTests.rows(1...2)))
        sent = bench.turn()
        #expect(ConsumerMachineEdgeTests.fetched(sent) == [1, 2])
        bench.answer(sent[0], .pages([(0, ConsumerMachineEdgeTests.leftOut(1))]))
        bench.answer(sent[1], .pages([(0, ConsumerMachineEdgeTests.leftOut(2))]))
        sent = bench.turn()
        #expect(ConsumerMachineEdgeTests.fetched(sent) == [1])
        bench.answer(sent[0], .pages([(0, MachineBench.page([1]))]))
        sent = bench.turn()
        #expect(ConsumerMachineEdgeTests.fetched(sent) == [2] && bench.delivered.count == 1)
        bench.answer(sent[0], .pages([(0, ConsumerMachineEdgeTests.leftOut(2))]))
        sent = bench.turn()
        guard case .bury(0, _, StreamID(2), 1, let reason) = sent.first else { return #expect(Bool(false), "\(sent)") }
        #expect(reason.contains("in all") && ConsumerMachineEdgeTests.fetched(sent).isEmpty)
    }

    @Test("What is fetched once more keeps its place")
    func order() {
        var bench = MachineBench { $0.prefetch = 40 }
        bench.begin()
        bench.answer(bench.turn().first, .lost)
        bench.answer(bench.turn().first, .rows(ConsumerMachineEdgeTests.rows(1...20)))
        let sent = bench.turn()
        #expect(ConsumerMachineEdgeTests.fetched(sent) == Array(1...16))
        for command in sent { bench.answer(command, .lost) }
        #expect(ConsumerMachineEdgeTests.fetched(bench.turn()) == Array(1...16))
    }

    @Test("Without its count nothing is handed out that was taken over: it is looked for among one's own", arguments: [false, true])
    func countsMissing(staysPending: Bool) {
        var bench = MachineBench { ($0.prefetch, $0.staysPending) = (10, staysPending) }
        bench.answer(bench.turn().first, .claimed(cursor: .min, page: MachineBench.page([2, 4]), unnamed: 0))
        bench.answer(bench.turn().first, .rows(ConsumerMachineEdgeTests.rows([2], deliveries: 3)))
        var sent = bench.turn()
        #expect(bench.delivered.map(\.entry.id) == [StreamID(2)])
        #expect(sent == [.assigned(key: 0, after: .min, count: 9)])
        bench.answer(sent.first, .rows([PendingRow(id: StreamID(2), deliveries: 3), PendingRow(id: StreamID(4), deliveries: 6)]))
        sent = bench.turn()
        #expect(ConsumerMachineEdgeTests.fetched(sent) == (staysPending ? [] : [4]))
    }

    @Test("When nobody iterates any more, what was taken over goes back even if its count was not asked yet")
    func arrivedGoesBack() {
        var bench = MachineBench { $0.prefetch = 10 }
        bench.answer(bench.turn().first, .claimed(cursor: .min, page: MachineBench.page([2, 4]), unnamed: 0))
        bench.machine.want(false, bench.nowNs)
        let sent = bench.turn()
        #expect(ConsumerMachineEdgeTests.givenBack(sent).map(\.id) == [StreamID(2), StreamID(4)])
        bench.machine.want(true, bench.nowNs)
        let again = bench.turn(after: 3_600_000)
        #expect(!again.contains { if case .counts = $0 { true } else { false } })
        #expect(bench.delivered.isEmpty)
    }

    @Test("What was found while nobody iterated is looked for anew before it is fetched")
    func idleSearch() {
        var bench = MachineBench { $0.prefetch = 10 }
        bench.begin()
        bench.answer(bench.turn().first, .lost)
        let search = bench.turn()
        bench.machine.want(false, bench.nowNs)
        bench.answer(search.first, .rows(ConsumerMachineEdgeTests.rows(1...2)))
        bench.turn()
        bench.machine.want(true, bench.nowNs)
        #expect(bench.turn(after: 3_600_000).filter { if case .clean = $0 { false } else { true } } == search)
    }

    @Test("What a read brings after all is not fetched, and no more is looked for than there is room")
    func overlap() {
        var bench = MachineBench { $0.prefetch = 4 }
        bench.begin()
        bench.read([1, 2])
        bench.turn()
        let read = bench.last.read
        #expect(read != nil)
        bench.machine.search(0)
        #expect(bench.turn().isEmpty, "no room")
        bench.ack(bench.delivered)
        let sent = bench.turn(after: 10)
        #expect(ConsumerMachineEdgeTests.acked(sent) == [1, 2])
        let search = (sent + bench.turn()).first { if case .assigned = $0 { true } else { false } }
        #expect(search == .assigned(key: 0, after: .min, count: 2))
        bench.answer(search, .rows(ConsumerMachineEdgeTests.rows([3])))
        bench.answer(read, .pages([(0, MachineBench.page([3]))]))
        #expect(ConsumerMachineEdgeTests.fetched(bench.turn()).isEmpty)
        #expect(bench.delivered.map(\.entry.id) == [StreamID(1), StreamID(2), StreamID(3)])
    }

    @Test("A second loss while the look for what was assigned is under way: it is looked for once more")
    func searchTwice() {
        var bench = MachineBench { $0.prefetch = 10 }
        bench.begin()
        bench.answer(bench.turn().first, .lost)
        let search = bench.turn()
        bench.machine.search(0)
        bench.answer(search.first, .rows([]))
        #expect(bench.turn() == search)
        bench.answer(search.first, .rows([]))
        #expect(bench.turn().contains(where: ConsumerMachineEdgeTests.isRead))
    }

    @Test("Answers that are none: again with pauses, and after eight in a row it is over", arguments: [ConsumerAnswer.strange, .count(1)])
    func strange(answer: ConsumerAnswer) {
        var bench = MachineBench { $0.prefetch = 10 }
        bench.begin()
        bench.answer(bench.turn().first, answer)
        #expect(bench.turn().isEmpty)
        #expect(bench.machine.dueNs(canSend: true) >= bench.nowNs + 50 * MachineBench.ms)
        var reads = 1
        for _ in 0..<60 where bench.machine.stage == .working {
            for command in bench.turn(after: 2_000) {
                switch command {
                case .fresh:
                    reads += 1
                    bench.answer(command, answer)
                case .assigned: bench.answer(command, .rows([]))
                case .claim: bench.answer(command, .claimed(cursor: .min, page: ConsumerPage(), unnamed: 0))
                default: bench.answer(command, .count(0))
                }
            }
        }
        #expect(reads == 8)
        guard case .refused(let words) = bench.machine.error else { return #expect(Bool(false), "\(bench.machine.stage)") }
        #expect(words.contains("XREADGROUP"))
    }

    @Test("A look that has not passed all that is held goes on after 50 ms, and no read that waits is in its way")
    func claimGoesOn() {
        var bench = MachineBench { $0.prefetch = 10 }
        bench.begin()
        bench.read([])
        bench.turn()
        bench.answer(bench.last.read, .pages([]))
        let sent = bench.turn(after: 5_000)
        #expect(sent == [.claim(key: 0, from: .min, count: 10)] && bench.last.read == nil)
        bench.answer(sent.first, .claimed(cursor: StreamID(9), page: ConsumerPage(), unnamed: 0))
        bench.turn()
        guard case .fresh(_, let blockMs?) = bench.last.read else { return #expect(Bool(false), "\(bench.last)") }
        #expect(blockMs <= 51)
        bench.answer(bench.last.read, .pages([]))
        #expect(bench.turn(after: 50) == [.claim(key: 0, from: StreamID(9), count: 10)])
    }

    @Test("What goes back is kept until Redis has heard it")
    func returnsKept() {
        var bench = MachineBench { $0.prefetch = 10 }
        bench.begin()
        bench.read([1])
        bench.turn()
        bench.machine.want(false, bench.nowNs)
        bench.machine.settle(bench.delivered[0].slot, .returned, bench.nowNs)
        let wanted = [ConsumerHold.Item(slot: -1, id: StreamID(1), deliveries: 0)]
        for answer in [ConsumerAnswer.lost, .failed(.unavailable("LOADING"))] {
            let sent = bench.turn(after: 100)
            #expect(ConsumerMachineEdgeTests.givenBack(sent) == wanted)
            bench.answer(sent.first, answer)
            #expect(bench.machine.dueNs(canSend: true) <= bench.nowNs + 100 * MachineBench.ms)
        }
        let sent = bench.turn(after: 100)
        #expect(ConsumerMachineEdgeTests.givenBack(sent) == wanted)
        bench.answer(sent.first, .failed(.noSuchGroup(key: "s", group: "g")))
        #expect(ConsumerMachineEdgeTests.givenBack(bench.turn(after: 100)).isEmpty, "there is nothing left to give back to")
    }

    @Test("What is lost on its way to a consumer that nobody iterates goes back")
    func fetchLostIdle() {
        var bench = MachineBench { $0.prefetch = 10 }
        bench.begin()
        bench.answer(bench.turn().first, .lost)
        bench.answer(bench.turn().first, .rows(ConsumerMachineEdgeTests.rows([3])))
        let fetch = bench.turn()
        #expect(ConsumerMachineEdgeTests.fetched(fetch) == [3])
        bench.machine.want(false, bench.nowNs)
        bench.turn()
        bench.answer(fetch.first, .lost)
        #expect(ConsumerMachineEdgeTests.givenBack(bench.turn()) == [.init(slot: -1, id: StreamID(3), deliveries: 0)])
    }

    @Test("Dead letters that Redis has no memory for wait by themselves")
    func burialsPause() {
        var bench = MachineBench { $0.prefetch = 10 }
        bench.begin()
        bench.read([1, 2])
        bench.turn()
        bench.answer(bench.last.read, .pages([]))
        bench.machine.settle(bench.delivered[0].slot, .reject(reason: "bad"), bench.nowNs)
        let burial = bench.turn().first(where: ConsumerMachineEdgeTests.isBurial)
        #expect(burial != nil)
        bench.answer(burial, .failed(.unavailable("OOM")))
        bench.ack(bench.delivered[1...])
        let sent = bench.turn(after: 10)
        #expect(ConsumerMachineEdgeTests.acked(sent) == [2] && !sent.contains(where: ConsumerMachineEdgeTests.isBurial))
        #expect(bench.machine.dueNs(canSend: true) <= bench.nowNs + 100 * MachineBench.ms)
        #expect(bench.turn(after: 100).contains(where: ConsumerMachineEdgeTests.isBurial))
    }

    @Test("At the end no pause is long")
    func stopPause() {
        var bench = MachineBench { $0.prefetch = 10 }
        bench.begin()
        bench.read([1])
        for _ in 0..<8 {
            bench.turn(after: 5_000)
            for command in bench.last.commands { bench.answer(command, .failed(.unavailable("BUSY"))) }
            bench.answer(bench.last.read, .failed(.unavailable("BUSY")))
        }
        bench.ack(bench.delivered)
        #expect(bench.turn(after: 150).isEmpty, "a long pause by now")
        bench.machine.stop(bench.nowNs, bench.nowNs)
        #expect(ConsumerMachineEdgeTests.acked(bench.turn(after: 100)) == [1])
    }

    @Test("A group that is gone does not take the acknowledgements of other streams with it")
    func oneOfTwoGone() {
        var bench = MachineBench { ($0.prefetch, $0.keyCount) = (10, 2) }
        for command in bench.turn() { bench.answer(command, .claimed(cursor: .min, page: ConsumerPage(), unnamed: 0)) }
        let read = bench.turn().first(where: ConsumerMachineEdgeTests.isRead) ?? bench.last.read
        bench.answer(read, .pages([(0, MachineBench.page([1])), (1, MachineBench.page([7]))]))
        bench.turn()
        bench.answer(bench.last.read, .pages([]))
        bench.machine.want(false, bench.nowNs)
        bench.ack(bench.delivered)
        let sent = bench.turn()
        #expect(ConsumerMachineEdgeTests.acked(sent) == [1, 7])
        bench.answer(sent.first { ConsumerMachineEdgeTests.acked([$0]) == [7] }, .lost)
        bench.answer(sent.first { ConsumerMachineEdgeTests.acked([$0]) == [1] }, .failed(.noSuchGroup(key: "a", group: "g")))
        #expect(ConsumerMachineEdgeTests.acked(bench.turn(after: 10)) == [7])
        #expect(bench.machine.counters.ackMisses == 1)
    }

    @Test("Names that are made differ, and say host and process")
    func names() {
        let names = (0..<2_000).map { _ in StreamConsumer.makeName() }
        #expect(Set(names).count == names.count)
        #expect(names.allSatisfy { $0.contains("-\(getpid())-") && $0.utf8.count < 128 && $0.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } })
    }

    @Test("A group that is gone and cannot be made does not let the leases of other streams end")
    func leasesOfOthers() {
        var bench = MachineBench { ($0.prefetch, $0.keyCount) = (10, 2) }
        for command in bench.turn() { bench.answer(command, .claimed(cursor: .min, page: ConsumerPage(), unnamed: 0)) }
        let read = bench.turn().first(where: ConsumerMachineEdgeTests.isRead) ?? bench.last.read
        bench.answer(read, .pages([(0, MachineBench.page([1])), (1, MachineBench.page([7]))]))
        bench.turn()
        bench.answer(bench.last.read, .failed(.noSuchGroup(key: "a", group: "g")))
        var renewedMs: [UInt64] = []
        for second in 1...60 {
            for command in bench.turn(after: 1_000) {
                switch command {
                case .makeGroup(0, _): bench.answer(command, .failed(.unavailable("OOM")))
                case .makeGroup: bench.answer(command, .count(0))
                case .hold(let hold) where hold.key == 0: bench.answer(command, .failed(.noSuchGroup(key: "a", group: "g")))
                case .hold(let hold):
                    #expect(hold.kind == .lease && hold.items.map(\.id) == [StreamID(7)])
                    renewedMs.append(UInt64(second) * 1_000)
                    bench.answer(command, .codes([ConsumerScripts.HoldCode.ours]))
                default: Issue.record("\(command)")
                }
            }
        }
        // Never longer than others wait, less a third of it.
        let pauses = zip([0] + renewedMs, renewedMs + [60_000]).map { $1 - $0 }
        #expect(pauses.allSatisfy { $0 <= 40_000 }, "\(renewedMs)")
    }

    @Test("One of several streams is not one: the error names it")
    func wrongKind() {
        var bench = MachineBench { ($0.prefetch, $0.keyCount) = (10, 2) }
        for command in bench.turn() { bench.answer(command, .claimed(cursor: .min, page: ConsumerPage(), unnamed: 0)) }
        let read = bench.turn().first(where: ConsumerMachineEdgeTests.isRead) ?? bench.last.read
        bench.answer(read, .failed(.notAStream(key: "a")))
        #expect(bench.machine.error == nil)
        let sent = bench.turn(after: 1_000)
        #expect(sent == [.makeGroup(key: 0, seen: nil), .makeGroup(key: 1, seen: nil)])
        bench.answer(sent.first, .count(0))
        bench.answer(sent.last, .failed(.notAStream(key: "b")))
        #expect(bench.machine.error == .notAStream(key: "b"))
    }

    @Test("What was given back in between comes before what is new")
    func givenBackFirst() {
        var bench = MachineBench { $0.prefetch = 300 }
        var sent = bench.turn()
        #expect(sent == [.claim(key: 0, from: .min, count: 100)] && bench.last.read == nil)
        bench.answer(sent[0], .claimed(cursor: StreamID(200), page: MachineBench.page(Array(1...100)), unnamed: 0))
        sent = bench.turn()
        #expect(sent.count == 1 && bench.last.read == nil, "their counts, and no read")
        bench.answer(sent[0], .rows(ConsumerMachineEdgeTests.rows(1...100)))
        sent = bench.turn()
        #expect(sent == [.claim(key: 0, from: StreamID(200), count: 100)], "there may be more")
        bench.answer(sent[0], .claimed(cursor: .min, page: ConsumerPage(), unnamed: 0))
        #expect(bench.turn().contains(where: ConsumerMachineEdgeTests.isRead))
    }
}
