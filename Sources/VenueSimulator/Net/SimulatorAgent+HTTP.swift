// The HTTP side of a connection: handshakes, REST, the truth and the faults. On the simulator's thread.

import FastFeed

extension SimulatorAgent {
    /// Answers every whole request that has come.
    func takeRequests(of peer: Peer) {
        while peer.phase == .http, peer.ending == .none, peer.delayed.isEmpty {
            switch RequestHead.parse(peer.input) {
            case .needsMore: return
            case .malformed:
                _ = peer.output.append(HTTPResponse.refusal(400).serialized(keepsAlive: false))
                peer.ending = .drop
                fanout.markDirty(peer)
            case .complete(let head):
                let bodyCount = min(max(Int(head.headers["content-length"] ?? "0") ?? 0, 0), RequestHead.bytesMax)
                guard peer.input.count >= head.byteCount + bodyCount else { return }
                peer.input.removeFirst(head.byteCount + bodyCount)
                answer(head, of: peer)
            }
        }
    }

    private func answer(_ head: RequestHead, of peer: Peer) {
        if Handshake.isUpgrade(head) { return upgrade(head, of: peer) }
        let path = head.target.prefix { $0 != "?" }
        var response: HTTPResponse
        if path.hasPrefix("/truth/") || path.hasPrefix("/sim/") {
            response = own(head)
            response.headers.append(("cache-control", "no-store"))
            return send(response.serialized(keepsAlive: keepsAlive(head)), head, to: peer)
        }
        rest.states = engine.symbolStates
        rest.isClosed = engine.isClosed
        response = rest.respond(
            to: head, from: peer.address, nowMs: engine.nowMs, wallMs: wallMs, histories: &engine.histories)
        fanout.statistics.restResponses += 1
        guard !fanout.faults.isQuiet, let fault = fanout.faults.strike(.rest, connection: peer.number, nowMs: wallMs) else {
            return send(response.serialized(keepsAlive: keepsAlive(head)), head, to: peer)
        }
        misanswer(response, fault, head, peer)
    }

    private func keepsAlive(_ head: RequestHead) -> Bool { head.headers["connection"]?.lowercased() != "close" }

    private func send(_ bytes: [UInt8], _ head: RequestHead, to peer: Peer) {
        if !peer.output.append(bytes) { peer.isOverfull = true }
        if !keepsAlive(head) { peer.ending = .drop }
        fanout.markDirty(peer)
    }

    private func misanswer(_ response: HTTPResponse, _ fault: Fault, _ head: RequestHead, _ peer: Peer) {
        let whole = response.serialized(keepsAlive: false)
        let bodyStart = whole.count - response.body.count
        switch fault.kind {
        case .restStatus:
            let refusal = rest.refuse(fault, peer.address, nowMs: engine.nowMs, wallMs: wallMs)
            return send(refusal.serialized(keepsAlive: keepsAlive(head)), head, to: peer)
        case .restSlow:
            peer.endsAfterDelayed = !keepsAlive(head)
            peer.delayed.append((wallMs + fault.delayMs, response.serialized(keepsAlive: keepsAlive(head)), false))
            return
        case .restTruncate:
            _ = peer.output.append(Array(whole.prefix(bodyStart + response.body.count / 2)))
            peer.ending = .drop
        case .restWrongLength:
            _ = peer.output.append(response.serialized(keepsAlive: false, lengthError: 7))
            peer.ending = .drop
        default:
            _ = peer.output.append(Array(whole.prefix(bodyStart + response.body.count / 2)))
            peer.ending = .reset
        }
        fanout.markDirty(peer)
    }

    // MARK: Handshake

    private func upgrade(_ head: RequestHead, of peer: Peer) {
        if !fanout.faults.isQuiet, let fault = fanout.faults.strike(.handshake, connection: peer.number, nowMs: wallMs) {
            guard fault.kind == .refuseHandshake else {
                // Stalled: accepted by TCP, never answered.
                return silence(peer)
            }
            return refuse(fault.value, peer, retrySeconds: fault.retrySeconds)
        }
        guard !engine.isClosed else { return refuse(503, peer) }
        guard connects.admit(peer.address, nowMs: wallMs) else { return refuse(429, peer) }
        switch Handshake.decide(head, configuration: configuration) {
        case .refuse(let status): refuse(status, peer)
        case .open(let opening):
            let accept = UpgradeRequest.accept(for: head.headers["sec-websocket-key"] ?? "")
            let answer =
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Accept: \(accept)\r\n\r\n"
            _ = peer.output.append(Array(answer.utf8))
            fanout.markDirty(peer)
            open(opening, peer)
        }
    }

    private func refuse(_ status: Int, _ peer: Peer, retrySeconds: Int = 35) {
        fanout.statistics.handshakesRefused += 1
        _ = peer.output.append(HTTPResponse.refusal(status, retryAfterSeconds: retrySeconds).serialized(keepsAlive: false))
        peer.ending = .drop
        fanout.markDirty(peer)
    }

    // MARK: The simulator's own endpoints

    private func own(_ head: RequestHead) -> HTTPResponse {
        guard let target = RequestTarget(head.target) else { return .refusal(400) }
        switch (head.method, target.path) {
        case ("GET", "/truth/closed"): return closedLines(target)
        case ("GET", "/truth/bars"):
            let fromMs = target.value("from").flatMap { Int64($0) }
            guard fromMs != nil || target.value("from") == nil else { return complaint("from must be Unix milliseconds") }
            return lines(engine.exchangeCandles(fromMs: fromMs).map(TruthJSON.line))
        case ("GET", "/truth/latest"):
            return lines(engine.latestCandles().map(TruthJSON.line))
        case ("GET", "/truth/stats"): return HTTPResponse(200, body: TruthJSON.text(currentStatistics()))
        case ("POST", "/sim/fault"):
            do throws(FaultSyntaxError) {
                let fault = try Fault(pairs: target.query.map { ($0.key, $0.value) }, text: head.target)
                fanout.faults.arm(fault, nowMs: wallMs)
                return HTTPResponse(200, body: "{\"armed\":\"\(fault.kind.rawValue)\"}")
            } catch {
                return complaint(error.description)
            }
        case ("POST", "/sim/symbol"): return changeSymbol(target)
        case ("POST", "/sim/maintenance"): return planMaintenance(target)
        case ("POST", "/sim/clear"):
            fanout.faults.clear()
            return HTTPResponse(200, body: "{\"armed\":0}")
        default: return HTTPResponse(404)
        }
    }

    /// `symbol`, `state` (TRADING, HALT, BREAK, CANCEL_ONLY, UNLISTED or DELISTED), `after` in virtual milliseconds.
    private func changeSymbol(_ target: RequestTarget) -> HTTPResponse {
        guard let name = target.value("symbol"), let index = engine.symbolIndexes[name.lowercased()] else {
            return complaint("symbol '\(target.value("symbol") ?? "")' is not simulated")
        }
        guard let token = target.value("state"), let state = SymbolState(token: token) else {
            return complaint("state must be one of: " + SymbolState.allCases.map(\.rawValue).joined(separator: " "))
        }
        guard let afterMs = milliseconds("after", of: target, least: 0) ?? (target.value("after") == nil ? 0 : nil) else {
            return complaint("after must be virtual milliseconds")
        }
        let atMs = engine.plan(index, state, afterMs: afterMs)
        return HTTPResponse(200, body: "{\"symbol\":\"\(name.uppercased())\",\"state\":\"\(state.rawValue)\",\"atMs\":\(atMs)}")
    }

    /// `after` and `duration` in virtual milliseconds. Connections are dropped at the beginning, this one too.
    private func planMaintenance(_ target: RequestTarget) -> HTTPResponse {
        guard let durationMs = milliseconds("duration", of: target, least: 1),
            let afterMs = milliseconds("after", of: target, least: 0) ?? (target.value("after") == nil ? 0 : nil)
        else { return complaint("duration and after must be virtual milliseconds") }
        let window = engine.planMaintenance(afterMs: afterMs, durationMs: durationMs)
        return HTTPResponse(200, body: "{\"fromMs\":\(window.lowerBound),\"untilMs\":\(window.upperBound)}")
    }

    private func milliseconds(_ key: String, of target: RequestTarget, least: Int64) -> Int64? {
        target.value(key).flatMap { Int64($0) }.flatMap { $0 >= least && $0 <= Calendar.delayMaxMs ? $0 : nil }
    }

    private func complaint(_ reason: String) -> HTTPResponse {
        HTTPResponse(400, body: "{\"error\":\(JSONValue.quoted(reason))}")
    }

    /// A page of closed candles, `from` a sequence on; the next page's sequence is in `x-next-sequence`.
    private func closedLines(_ target: RequestTarget) -> HTTPResponse {
        let from = max(target.value("from").flatMap { Int64($0) } ?? 0, engine.truth.forgotten)
        let limit = min(max(target.value("limit").flatMap { Int($0) } ?? 10_000, 1), 50_000)
        let candles = engine.closedCandles(from: from, max: limit)
        var response = lines(candles.map(TruthJSON.line))
        response.headers.append(("x-next-sequence", String(from + Int64(candles.count))))
        response.headers.append(("x-total", String(engine.truth.total)))
        response.headers.append(("x-forgotten", String(engine.truth.forgotten)))
        return response
    }

    private func lines(_ lines: [String]) -> HTTPResponse {
        HTTPResponse(200, contentType: "application/x-ndjson", body: lines.isEmpty ? "" : lines.joined(separator: "\n") + "\n")
    }

    func currentStatistics() -> SimulatorStatistics {
        var statistics = fanout.statistics
        statistics.closedCandles = Int(engine.truth.total)
        statistics.closedCandlesForgotten = Int(engine.truth.forgotten)
        statistics.faultsApplied = fanout.faults.applied
        statistics.virtualTimeMs = engine.nowMs
        statistics.rest = rest.tally
        return statistics
    }
}
