// Ids, connections and reference counts: against what the rules say, step by random step.

import FastFeed
import Testing

struct PlacementTests {
    private func series(_ number: Int) -> Series { Series(symbol: Symbol("s\(number)usdt")!, interval: .m1) }
    private func list(_ range: Range<Int>) -> [Series] { range.map(series) }

    private func streams(_ commands: [ReaderCommand]) -> [(key: ConnectionKey, kind: String, names: [String])] {
        commands.compactMap {
            switch $0 {
            case .connect(let key, _, let names): (key, "connect", names)
            case .subscribe(let key, let names): (key, "subscribe", names)
            case .unsubscribe(let key, let names): (key, "unsubscribe", names)
            case .renew(let key, let names): (key, "renew", names)
            case .disconnect(let key): (key, "disconnect", [])
            case .follow, .unfollow, .describe, .stop: nil
            }
        }
    }

    @Test func streamsAreSpreadEvenly() throws {
        var placement = Placement(readerCount: 2, streamsPerConnectionMax: 1_024)
        let changeMade = placement.add(list(0..<1_500))
        let change = try #require(changeMade)
        #expect(placement.loads == [750, 750])
        #expect(change.readers.map { streams($0).map(\.kind) } == [["connect"], ["connect"]])
        // What is full gets a neighbour, and the neighbour gets what is new.
        let moreMade = placement.add(list(1_500..<2_500))
        let more = try #require(moreMade)
        #expect(placement.loads.reduce(0, +) == 2_500 && placement.loads.allSatisfy { $0 <= 1_024 } && placement.loads.count == 3)
        #expect(more.readers.flatMap(streams).contains { $0.kind == "connect" })
    }

    @Test func aSeriesLivesWhileAnyFluxWantsIt() throws {
        var placement = Placement(readerCount: 1, streamsPerConnectionMax: 4)
        _ = placement.add(list(0..<3))
        let secondMade = placement.add(list(2..<5))
        let second = try #require(secondMade)
        #expect(second.series == list(3..<5) && placement.seriesCount == 5)
        let first = placement.remove(list(0..<3))
        #expect(first.series == list(0..<2))
        #expect(placement.handle(series(2)) != nil)
        let last = placement.remove(list(2..<5))
        #expect(last.series == list(2..<5) && placement.seriesCount == 0 && placement.connectionCount == 0)
        #expect(streams(last.readers[0]).allSatisfy { $0.kind == "disconnect" })
    }

    @Test func anIdIsUsedAgainOnlyWhenReleased() throws {
        var placement = Placement(readerCount: 1, streamsPerConnectionMax: 4, seriesMax: 2)
        _ = placement.add(list(0..<2))
        let handleFound = placement.handle(series(0))
        let handle = try #require(handleFound)
        _ = placement.remove([series(0)])
        let tooEarly = placement.add([series(7)])
        #expect(tooEarly == nil, "no id is free yet")
        #expect(placement.seriesCount == 1, "a refused wish changes nothing")
        #expect(placement.idsInUse == 2)
        placement.release([handle.id])
        #expect(placement.idsInUse == 1)
        let inTime = placement.add([series(7)])
        #expect(inTime != nil)
        let againFound = placement.handle(series(7))
        let again = try #require(againFound)
        #expect(again.id == handle.id && again.generation != handle.generation)
    }

    /// Two of three connections have ended; one more series needs only one of them.
    @Test func aConnectionCarriesSomething() throws {
        var placement = Placement(readerCount: 3, streamsPerConnectionMax: 8)
        let first = placement.add(list(0..<9))
        let carried = try #require(first).readers.flatMap(streams)[0].names
        let kept = list(0..<9).filter { carried.contains(Binance(.spot).streamName($0)) }
        _ = placement.add(kept)
        _ = placement.remove(list(0..<9))
        #expect(placement.loads == [3])
        _ = placement.add(list(10..<11))
        #expect(placement.loads == [3, 1])
        let last = placement.add(list(11..<12))
        #expect(try #require(last).readers.flatMap(streams).map(\.kind) == ["connect"] && placement.loads == [3, 1, 1])
    }

    @Test(arguments: [1, 2]) func connectionsHaveALimit(redundancy: Int) {
        var placement = Placement(readerCount: 1, streamsPerConnectionMax: 1, redundancy: redundancy)
        let most = Limits.connectionsPerReaderMax / 2
        let all = placement.add(list(0..<most / redundancy))
        let oneMore = placement.add([series(most)])
        #expect(all != nil && oneMore == nil && placement.connectionCount == most)
        // Where there is no room to go, the stream is asked for anew.
        let moved = placement.move(series(0))
        #expect(streams(moved.readers[0]).map(\.kind) == Array(repeating: "renew", count: redundancy) && moved.placements.isEmpty)
    }

    @Test func aStreamComesOnTwoReadersAndTwoHosts() throws {
        var placement = Placement(readerCount: 2, streamsPerConnectionMax: 4, redundancy: 2)
        let changeMade = placement.add(list(0..<8))
        let change = try #require(changeMade)
        #expect(placement.connectionCount == 4 && placement.loads == [4, 4, 4, 4])
        for placed in change.placements {
            let name = Binance(.spot).streamName(placed.series)
            let hosts = change.readers.map { commands in
                commands.compactMap { command -> Int? in
                    guard case .connect(let key, let host, let names) = command, names.contains(name) else { return nil }
                    return placed.connections.contains(key) ? host % 2 : nil
                }
            }
            #expect(hosts.map(\.count) == [1, 1] && Set(hosts.joined()) == [0, 1], "\(name)")
            #expect(placement.connections(of: placed.series) == placed.connections)
        }
    }

    @Test func aMovedStreamGoesWhereTheFewestAre() throws {
        var placement = Placement(readerCount: 1, streamsPerConnectionMax: 4)
        _ = placement.add(list(0..<3))
        let handle = placement.handle(series(1))
        let (old, first) = (placement.connections(of: series(1)), placement.move(series(1)))
        #expect(placement.loads == [2, 1] && placement.handle(series(1)) == handle, "a new connection where there is but one")
        #expect(streams(first.readers[0]).map(\.kind) == ["connect", "unsubscribe"] && first.before.isEmpty && first.after.isEmpty)
        let placed = try #require(first.placements.first)
        #expect(placed.connections == placement.connections(of: series(1)) && placed.connections != old && placed.handle == handle)
        // Its connection has nothing else: it goes with it.
        let second = placement.move(series(1))
        #expect(placement.loads == [3] && placement.connections(of: series(1)) == old)
        #expect(streams(second.readers[0]).map(\.kind) == ["subscribe", "disconnect"])
        let nobody = placement.move(series(9))
        #expect(nobody.readers.allSatisfy(\.isEmpty) && nobody.placements.isEmpty)
    }

    @Test func whatCannotBeIsSaid() throws {
        var placement = Placement(readerCount: 1, streamsPerConnectionMax: 4)
        _ = placement.add(list(0..<3))
        let found = placement.handle(series(1))
        let id = try #require(found).id
        #expect(placement.checkInvariants() == nil)
        var early = placement
        early.release([id])
        #expect(early.checkInvariants() == "placement: \(series(1)) has id \(id), which is free")
        _ = placement.remove([series(1)])
        placement.release([id])
        #expect(placement.checkInvariants() == nil)
        placement.release([id])
        #expect(placement.checkInvariants() == "placement: an id is free twice")
    }

    /// Readers and sink as they would understand the commands; they must always agree with the fluxes.
    @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6, 7, 8])
    func agreesWithAModel(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let perConnection = Int.random(in: 1...6, using: &random)
        let readerCount = Int.random(in: 1...3, using: &random)
        let redundancy = 1 + Int(seed % 2)
        var placement = Placement(
            readerCount: readerCount, streamsPerConnectionMax: perConnection, redundancy: redundancy, seriesMax: 64)
        var fluxes: [[Series]] = []
        var model = PlacementModel(readerCount: readerCount)
        var retired: [UInt32] = []
        for _ in 0..<400 {
            let change: Placement.Change
            switch Int.random(in: 0...4, using: &random) {
            case 0 where !fluxes.isEmpty:
                let one = fluxes.randomElement(using: &random)!.randomElement(using: &random)!
                let before = placement.connections(of: one)
                change = placement.move(one)
                #expect(Set(before).isDisjoint(with: placement.connections(of: one)))
            case 1, 2:
                guard !fluxes.isEmpty else { continue }
                change = placement.remove(fluxes.remove(at: Int.random(in: 0..<fluxes.count, using: &random)))
            default:
                let flux = Array(
                    Set((0..<Int.random(in: 1...8, using: &random)).map { _ in series(Int.random(in: 0...20, using: &random)) }))
                let (fits, added) = (placement.fits(flux), placement.add(flux))
                #expect(fits == (added != nil))
                guard let made = added else { continue }
                change = made
                fluxes.append(flux)
            }
            for case .follow(let list) in change.before {
                for (series, handle) in list {
                    #expect(model.ids.updateValue(series, forKey: handle.id) == nil, "an id in use was given out")
                }
            }
            for (reader, commands) in change.readers.enumerated() { for command in commands { model.take(command, reader) } }
            for placed in change.placements { #expect(placement.connections(of: placed.series) == placed.connections) }
            for case .unfollow(let handles) in change.after { retired += handles.map(\.id) }
            if Bool.random(using: &random) {
                for id in retired { model.ids[id] = nil }
                placement.release(retired)
                retired = []
            }
            let wanted = Set(fluxes.flatMap { $0 })
            #expect(model.carried.values.allSatisfy { $0.names.count <= perConnection && !$0.names.isEmpty })
            #expect(model.carried.values.reduce(0) { $0 + $1.names.count } == wanted.count * redundancy)
            #expect(placement.seriesCount == wanted.count && placement.connectionCount == model.carried.count)
            #expect(placement.checkInvariants() == nil)
            for one in wanted {
                let (keys, handle) = (placement.connections(of: one), placement.handle(one))
                let readers = keys.compactMap {
                    model.carried[$0]?.names.contains(Binance(.spot).streamName(one)) == true ? model.carried[$0]!.reader : nil
                }
                #expect(Set(keys).count == redundancy && readers.count == redundancy, "not on its connections")
                #expect(Set(readers).count == min(redundancy, readerCount))
                #expect(readers.allSatisfy { model.known[$0][one] == handle }, "a reader that does not know what it carries")
            }
            #expect(model.known.allSatisfy { Set($0.keys).isSubset(of: wanted) })
        }
    }
}

/// What readers make of commands.
private struct PlacementModel {
    var ids: [UInt32: Series] = [:]
    var carried: [ConnectionKey: (reader: Int, names: Set<String>)] = [:]
    /// By reader.
    var known: [[Series: SeriesHandle]]

    init(readerCount: Int) { known = Array(repeating: [:], count: readerCount) }

    mutating func take(_ command: ReaderCommand, _ reader: Int) {
        switch command {
        case .follow(let list): for (series, handle) in list { known[reader][series] = handle }
        case .unfollow(let list): for series in list { known[reader][series] = nil }
        case .connect(let key, _, let names):
            #expect(carried.updateValue((reader, Set(names)), forKey: key) == nil)
        case .subscribe(let key, let names): carried[key]!.names.formUnion(names)
        case .unsubscribe(let key, let names): carried[key]!.names.subtract(names)
        case .disconnect(let key): #expect(carried.removeValue(forKey: key)?.reader == reader)
        case .renew, .describe, .stop: break
        }
    }
}
