// A command as bytes, made once and sent as it is; and several of them in one write. Pure values.
//
// Nothing is joined as text: names, numbers and fields go straight into one array. Fields that came from Redis, or that were made as
// fields, are RESP already and are copied whole.

/// One command. What it speaks of (key, group) is kept for the sentence of a refusal.
package struct StreamCommand: Sendable {
    package private(set) var arguments: [UInt8] = []
    package private(set) var argumentCount = 0
    package let key: String
    package let group: String

    /// - Parameters:
    ///   - words: the command and what follows it, each an argument of its own.
    ///   - key: for errors only; it is not appended.
    ///   - group: for errors only; it is not appended.
    package init(_ words: String..., key: String = "", group: String = "") {
        (self.key, self.group) = (key, group)
        arguments.reserveCapacity(128)
        for word in words { append(word) }
    }

    @inline(__always)
    package mutating func append(_ text: String) {
        RESPWriter.bulk(text, to: &arguments)
        argumentCount += 1
    }

    package mutating func append(contentsOf texts: some Sequence<String>) { for text in texts { append(text) } }

    package mutating func append(_ number: some BinaryInteger) { append(String(number)) }

    package mutating func append(bytes: some Collection<UInt8>) {
        RESPWriter.bulkHead(bytes.count, to: &arguments)
        arguments.append(contentsOf: bytes)
        RESPWriter.lineEnd(to: &arguments)
        argumentCount += 1
    }

    @inline(__always)
    package mutating func append(_ id: StreamID) {
        id.writeBulk(to: &arguments)
        argumentCount += 1
    }

    package mutating func append(contentsOf ids: some Sequence<StreamID>) { for id in ids { append(id) } }

    @inline(__always)
    package mutating func append(_ fields: StreamFields) {
        fields.write(to: &arguments)
        argumentCount += 2 * fields.count
    }

    /// The command as it goes out.
    package func write(to bytes: inout [UInt8]) {
        RESPWriter.arrayHead(argumentCount, to: &bytes)
        bytes.append(contentsOf: arguments)
    }
}

/// Commands that go out in one write. Their replies come as one `ReplyBlock`: an array with one element a command, error replies among
/// them.
package struct StreamBatch: Sendable {
    package private(set) var bytes: [UInt8] = []
    package private(set) var count = 0

    package init() {}
    package init(_ commands: some Sequence<StreamCommand>) { for command in commands { append(command) } }
    package init(_ commands: StreamCommand...) { self.init(commands) }

    package var isEmpty: Bool { count == 0 }

    package mutating func append(_ command: StreamCommand) {
        command.write(to: &bytes)
        count += 1
    }

    /// One command whose beginning is always the same: `arguments` as `StreamCommand.arguments` has them, then the fields.
    @inline(__always)
    package mutating func append(_ command: StreamCommand, _ fields: StreamFields) {
        RESPWriter.arrayHead(command.argumentCount + 2 * fields.count, to: &bytes)
        bytes.append(contentsOf: command.arguments)
        fields.write(to: &bytes)
        count += 1
    }

    package mutating func reserve(_ byteCount: Int) { bytes.reserveCapacity(byteCount) }
}
