// The control plane of one WebSocket connection: text in, replies and changes out. A state machine with no
// sockets and no clock. Errors are answered and never close the connection.

import FastFeed

/// Which part of the futures exchange a connection reaches. Spot has one part.
package enum Route: Equatable, Sendable {
    case all, market, book
}

/// What the connection has to do after a message.
package enum ControlAction: Equatable {
    case reply(String)
    case subscribe(String)
    /// It has the stream already: nothing is delivered twice.
    case resubscribe(String)
    case unsubscribe(String)
    /// Close frame with a code and a reason.
    case close(code: UInt16, reason: String)
}

package struct ControlSession {
    private let configuration: SimulatorConfiguration
    /// Which streams of the exchange this connection may really hear.
    package let route: Route
    /// Wrap events in `{"stream":…,"data":…}`.
    package private(set) var isCombined: Bool
    /// In the order of subscription.
    package private(set) var subscriptions: [String] = []
    private var subscribed: Set<String> = []

    /// Of a masked client frame of this size: the limit counts the wire.
    private static let frameHeaderBytes = 8
    private static let methods = ["SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"]

    package init(configuration: SimulatorConfiguration, isCombined: Bool, route: Route) {
        self.configuration = configuration
        self.isCombined = isCombined
        self.route = route
    }

    /// Subscribes to what the URL names. A malformed name is passed over: the connection stays silent.
    package mutating func open(streams: [String]) -> [ControlAction] {
        streams.filter { StreamName.meaning(of: $0, market: configuration.market) != .malformed }
            .prefix(configuration.streamsPerConnectionMax)
            .compactMap { add($0) }
    }

    /// One text message of the client.
    package mutating func receive(_ bytes: [UInt8]) -> [ControlAction] {
        // Seen on the exchange: an oversized request is neither answered nor carried out.
        guard bytes.count + ControlSession.frameHeaderBytes <= configuration.controlFrameBytesMax else { return [] }
        let request: JSONValue
        do {
            request = try JSONValue(parsing: bytes)
        } catch {
            return [failure(3, "Invalid JSON: expected value at line \(error.line) column \(error.column)", id: .null)]
        }
        guard case .object(let members) = request else {
            return [failure(3, "Invalid JSON: expected value at line 1 column 1", id: .null)]
        }
        let id = request["id"] ?? .null
        guard isAllowed(id) else {
            return [failure(2, "Invalid request: request ID must be an unsigned integer", id: .null)]
        }
        guard let method = members.last(where: { $0.key == "method" }) else {
            return [failure(2, "Invalid request: missing field `method` at line 1 column \(bytes.count)", id: id)]
        }
        guard case .string(let name) = method.value, ControlSession.methods.contains(name) else {
            return [failure(2, unknownVariant(method), id: id)]
        }
        return carryOut(name, params: request["params"], id: id)
    }

    private mutating func carryOut(_ method: String, params: JSONValue?, id: JSONValue) -> [ControlAction] {
        switch method {
        case "LIST_SUBSCRIPTIONS":
            return [success("[" + subscriptions.map(JSONValue.quoted).joined(separator: ",") + "]", id: id)]
        case "SET_PROPERTY", "GET_PROPERTY": return property(method, params: params, id: id)
        default: return change(method == "SUBSCRIBE", params: params, id: id)
        }
    }

    private mutating func change(_ isSubscribe: Bool, params: JSONValue?, id: JSONValue) -> [ControlAction] {
        guard case .array(let values)? = params else { return [failure(2, "Invalid request: invalid stream", id: id)] }
        var names: [String] = []
        for value in values {
            guard case .string(let name) = value,
                StreamName.meaning(of: name, market: configuration.market) != .malformed
            else { return [failure(2, "Invalid request: invalid stream", id: id)] }
            names.append(name)
        }
        if !isSubscribe { return names.compactMap { remove($0) } + [success("null", id: id)] }
        let room = configuration.streamsPerConnectionMax - subscriptions.count
        let new = Set(names).subtracting(subscribed).count
        if new > room {
            switch configuration.excessStreams {
            case .ignore: break
            case .error: return [failure(2, "Invalid request: too many streams", id: id)]
            case .close: return [.close(code: 1008, reason: "Too many streams")]
            }
        }
        var actions: [ControlAction] = []
        for name in names where subscriptions.count < configuration.streamsPerConnectionMax {
            if let action = add(name) { actions.append(action) }
        }
        return actions + [success("null", id: id)]
    }

    private mutating func property(_ method: String, params: JSONValue?, id: JSONValue) -> [ControlAction] {
        let isSet = method == "SET_PROPERTY"
        guard case .array(let values)? = params, let first = values.first, case .string(let name) = first else {
            return [failure(2, "Invalid request: property name must be a string", id: id)]
        }
        guard values.count <= (isSet ? 2 : 1) else { return [failure(2, "Invalid request: too many parameters", id: id)] }
        guard name == "combined" else { return [failure(0, "Unknown property", id: id)] }
        guard isSet else { return [success(isCombined ? "true" : "false", id: id)] }
        guard values.count == 2, case .bool(let value) = values[1] else {
            return [failure(1, "Invalid value type: expected Boolean", id: id)]
        }
        isCombined = value
        return [success("null", id: id)]
    }

    // MARK: Subscriptions

    private mutating func add(_ name: String) -> ControlAction? {
        guard subscribed.insert(name).inserted else { return isAudible(name) ? .resubscribe(name) : nil }
        subscriptions.append(name)
        return isAudible(name) ? .subscribe(name) : nil
    }

    private mutating func remove(_ name: String) -> ControlAction? {
        guard subscribed.remove(name) != nil else { return nil }
        subscriptions.removeAll { $0 == name }
        return isAudible(name) ? .unsubscribe(name) : nil
    }

    /// Acknowledged everywhere, delivered only on the route the stream belongs to.
    private func isAudible(_ name: String) -> Bool {
        guard case .kline = StreamName.meaning(of: name, market: configuration.market) else { return false }
        return route != .book
    }

    // MARK: Replies

    /// Spot takes 64-bit integers, short alphanumeric strings and null; futures only unsigned integers.
    private func isAllowed(_ id: JSONValue) -> Bool {
        switch id {
        case .null: true
        case .integer(let value): configuration.market == .spot || value >= 0
        case .unsigned: configuration.market == .um
        case .string(let text):
            configuration.market == .spot && text.utf8.count <= 36
                && text.utf8.allSatisfy(ControlSession.isIdentifierByte)
        default: false
        }
    }

    private static func isIdentifierByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private func unknownVariant(_ method: JSONValue.Member) -> String {
        let name: String
        switch method.value {
        case .string(let text): name = text
        case .integer(let value): name = String(value)
        default: name = ""
        }
        let expected = ControlSession.methods.map { "`\($0)`" }.joined(separator: ", ")
        return "Invalid request: unknown variant `\(name)`, expected one of \(expected) at line 1 column \(method.end)"
    }

    private func success(_ result: String, id: JSONValue) -> ControlAction {
        .reply("{\"result\":\(result),\"id\":\(text(of: id))}")
    }

    private func failure(_ code: Int, _ message: String, id: JSONValue) -> ControlAction {
        let body = "\"code\":\(code),\"msg\":\(JSONValue.quoted(message))"
        return .reply(configuration.flatErrors ? "{\(body),\"id\":\(text(of: id))}" : "{\"error\":{\(body)},\"id\":\(text(of: id))}")
    }

    private func text(of id: JSONValue) -> String {
        switch id {
        case .integer(let value): String(value)
        case .unsigned(let value): String(value)
        case .string(let text): JSONValue.quoted(text)
        default: "null"
        }
    }
}
