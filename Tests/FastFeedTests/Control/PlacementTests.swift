// Ids, connections and reference counts: against what the rules say, step by random step.

import FastFeed
import Testing

struct PlacementTests {
    private func series(_ number: Int) -> Series { Series(symbol: Symbol("s\(number)usdt")!, interval: .m1) }
    private func list(_ range: Range<Int>) -> [Series] { range.map(series) }

    private func streams(_ commands: [ReaderCommand]) -> [(key: ConnectionKey, kind: String, names: [String])] {
        commands.compactMap {
            switch $0 {
            case .connect(let key, let names): (key, "connect", names)
            case .subscribe(let key, let names): (key, "subscribe", names)
            case .unsubscribe(let key, let names): (key, "unsubscribe", names)
            case .disconnect(let key): (key, "disconnect", [])
            case .follow, .unfollow, .stop: nil
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
        let kept = list(0..<9).filter { carried.contains(VenueProfile.streamName($0)) }
        _ = placement.add(kept)
        _ = placement.remove(list(0..<9))
        #expect(placement.loads == [3])
        _ = placement.add(list(10..<11))
        #expect(placement.loads == [3, 1])
        let last = placement.add(list(11..<12))
        #expect(try #require(last).readers.flatMap(streams).map(\.kind) == ["connect"] && placement.loads == [3, 1, 1])
    }

    @Test func connectionsHaveALimit() {
        var placement = Placement(readerCount: 1, streamsPerConnectionMax: 1)
        let most = Limits.connectionsPerReaderMax / 2
        let all = placement.add(list(0..<most))
        let oneMore = placement.add([series(most)])
        #expect(all != nil && oneMore == nil && placement.connectionCount == most)
    }

    /// Readers and sink as they would understand the commands; they must always agree with the fluxes.
    @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6])
    func agreesWithAModel(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let perConnection = Int.random(in: 1...6, using: &random)
        let readerCount = Int.random(in: 1...3, using: &random)
        var placement = Placement(readerCount: readerCount, streamsPerConnectionMax: perConnection, seriesMax: 64)
        var fluxes: [[Series]] = []
        var carried: [ConnectionKey: (reader: Int, names: Set<String>)] = [:]
        var followed: [UInt32: Series] = [:]
        var retired: [UInt32] = []
        for _ in 0..<400 {
            let change: Placement.Change
            if fluxes.isEmpty || Bool.random(using: &random) {
                let flux = Array(
                    Set((0..<Int.random(in: 1...8, using: &random)).map { _ in series(Int.random(in: 0...20, using: &random)) }))
                let (fits, added) = (placement.fits(flux), placement.add(flux))
                #expect(fits == (added != nil))
                guard let made = added else { continue }
                change = made
                fluxes.append(flux)
            } else {
                change = placement.remove(fluxes.remove(at: Int.random(in: 0..<fluxes.count, using: &random)))
            }
            for case .follow(let list) in change.before {
                for (series, handle) in list {
                    #expect(followed.updateValue(series, forKey: handle.id) == nil, "an id in use was given out")
                }
            }
            for (reader, commands) in change.readers.enumerated() {
                for (key, kind, names) in streams(commands) {
                    switch kind {
                    case "connect":
                        #expect(carried[key] == nil)
                        carried[key] = (reader, Set(names))
                    case "subscribe": carried[key]!.names.formUnion(names)
                    case "unsubscribe": carried[key]!.names.subtract(names)
                    default: carried[key] = nil
                    }
                    #expect(carried[key].map { $0.reader == reader } ?? true)
                }
            }
            for case .unfollow(let handles) in change.after { retired += handles.map(\.id) }
            if Bool.random(using: &random) {
                for id in retired { followed[id] = nil }
                placement.release(retired)
                retired = []
            }
            let wanted = Set(fluxes.flatMap { $0 })
            #expect(Set(carried.values.flatMap(\.names)) == Set(wanted.map(VenueProfile.streamName)))
            #expect(carried.values.reduce(0) { $0 + $1.names.count } == wanted.count, "a stream on two connections")
            #expect(carried.values.allSatisfy { $0.names.count <= perConnection && !$0.names.isEmpty })
            #expect(placement.seriesCount == wanted.count)
        }
    }
}
