// The hot path of a reader: frames of one window become records of one kind in the ring. A plain value behind a pointer, so that no access
// check and no reference count stands between two messages; compiled for its parser. The reader's thread alone. Bounded by the ring:
// whoever reads asks `readableBytes` first, so that each message of a window has its slot.

/// What ended a run over a window.
package enum WindowEnd {
    case consumed
    /// A control frame or notice that the connection must handle; go on afterwards.
    case ping(PaddedBytes)
    case close(code: UInt16, reason: PaddedBytes)
    case notice(PaddedBytes)
    case violation(code: UInt16, reason: StaticString)
    /// A text that is not UTF-8.
    case notUTF8
}

@safe package struct RecordDecoder<Parser: MessageParser & ~Copyable>: ~Copyable {
    private let parser = Parser()
    package var index = SeriesIndex()
    private var producer: SPSCRing<Parser.Record>.Producer
    private let counters: CounterBank

    package init(ring: SPSCRing<Parser.Record>, counters: CounterBank) {
        producer = SPSCRing.Producer(ring)
        resumeBytes = min(Limits.receiveBytesMax / 4, ring.capacity * Parser.messageBytesMin / 2)
        self.counters = counters
    }

    /// Bytes that may be read now so that every message in them finds a slot: it has at least `messageBytesMin` bytes, and one may be here
    /// already but for its end.
    mutating func readableBytes() -> Int { min(Limits.receiveBytesMax, (producer.room() - 1) * Parser.messageBytesMin) }

    /// So many must be readable before a stalled connection goes on: not every freed slot is worth a turn.
    let resumeBytes: Int

    /// There are records to publish.
    var hasKept: Bool { producer.hasKept }

    /// Makes the records kept so far visible to the sink.
    /// - Parameter parsedAfterNs: how long after their `receivedNs` that is.
    package mutating func publish(parsedAfterNs: UInt32 = 0) { _ = producer.publish(stamp: parsedAfterNs) }

    /// Takes messages from the decoder's window until it is used up or something needs the connection.
    package mutating func run(_ frames: inout FrameDecoder, nowNs: UInt64) -> WindowEnd {
        var messages = 0
        let walked = parser.walkedCount
        defer {
            counters.add(.messagesReceived, messages)
            counters.add(.layoutMisses, Int(truncatingIfNeeded: parser.walkedCount &- walked))
        }
        var symbol = PaddedBytes.none
        while true {
            switch frames.takeEvent() {
            case .message(let isText, let payload):
                messages &+= 1
                guard isText else {
                    counters.add(.rejectedBinary)
                    continue
                }
                guard payload.count >= Parser.messageBytesMin else {
                    // Too short for this kind: a notice, or rubbish.
                    return .notice(payload)
                }
                precondition(producer.room() > 0, "the read was larger than the ring's room")
                let slot = producer.slot
                switch parser.parse(payload, into: slot, symbol: &symbol) {
                case .record:
                    guard let handle = index.find(symbol: symbol, interval: slot.intervalRawValue) else {
                        counters.add(.rejectedUnknownSeries)
                        continue
                    }
                    slot.seriesID = handle.id
                    slot.generation = handle.generation
                    slot.receivedNs = nowNs
                    producer.keep()
                case .notice: return .notice(payload)
                case .rejected(let reason):
                    counters.add(reason)
                    if reason == .rejectedNotUTF8 { return .notUTF8 }
                }
            case .needMore: return .consumed
            case .ping(let payload): return .ping(payload)
            case .pong: continue
            case .close(let code, let reason): return .close(code: code, reason: reason)
            case .violation(let code, let reason):
                // Found in the middle of a message or at its end: it counts the same.
                if frames.isTextAtFault {
                    messages &+= 1
                    counters.add(.rejectedNotUTF8)
                }
                return .violation(code: code, reason: reason)
            }
        }
    }
}
