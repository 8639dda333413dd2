// Decoder events in comparable form, and streams fed whole, byte by byte and in random pieces.

import FastFeed
import Synchronization
import TestKit

/// An event with its bytes copied out.
enum SeenEvent: Equatable, CustomStringConvertible {
    case message(isText: Bool, [UInt8])
    case ping([UInt8])
    case pong([UInt8])
    case close(UInt16, [UInt8])
    case violation(UInt16)

    var description: String {
        switch self {
        case .message(let isText, let bytes): "\(isText ? "text" : "binary") of \(bytes.count)"
        case .ping(let bytes): "ping of \(bytes.count)"
        case .pong(let bytes): "pong of \(bytes.count)"
        case .close(let code, let reason): "close \(code) '\(String(decoding: reason, as: UTF8.self))'"
        case .violation(let code): "violation \(code)"
        }
    }
}

enum Decoding {
    /// Events of a stream that arrives in pieces of these sizes (the rest in one). Each piece is a buffer of its own
    /// with padding behind it; after the last event every byte must have been taken.
    static func events(_ stream: [UInt8], pieces: [Int] = [], options: FrameDecoder.Options = .init()) -> [SeenEvent] {
        var decoder = FrameDecoder(options)
        var events: [SeenEvent] = []
        var from = 0
        for piece in pieces + [stream.count] where from < stream.count || stream.isEmpty {
            let until = min(stream.count, from + piece)
            take(Array(stream[from..<until]), &decoder, &events)
            from = until
            if stream.isEmpty { break }
        }
        return events
    }

    static func take(_ bytes: [UInt8], _ decoder: inout FrameDecoder, _ events: inout [SeenEvent]) {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes.count + Limits.paddingBytes, alignment: 1)
        defer { memory.deallocate() }
        bytes.withUnsafeBytes { if let base = $0.baseAddress { memory.copyMemory(from: base, byteCount: bytes.count) } }
        (memory + bytes.count).initializeMemory(as: UInt8.self, repeating: 0x81, count: Limits.paddingBytes)
        decoder.supply(memory, count: bytes.count)
        while let event = seen(decoder.takeEvent()) { events.append(event) }
        precondition(decoder.unread == 0, "the window is used up when more is needed")
    }

    private static func seen(_ event: FrameEvent) -> SeenEvent? {
        switch event {
        case .needMore: return nil
        case .message(let isText, let payload):
            // The promise of readable bytes behind a message: under a sanitizer this read is the test.
            var sum: UInt8 = 0
            for offset in 0..<Limits.paddingBytes { sum &+= payload.start.load(fromByteOffset: payload.count + offset, as: UInt8.self) }
            readPadding.store(sum, ordering: .relaxed)
            return .message(isText: isText, Array(payload))
        case .ping(let payload): return .ping(Array(payload))
        case .pong(let payload): return .pong(Array(payload))
        case .close(let code, let reason): return .close(code, Array(reason))
        case .violation(let code, _): return .violation(code)
        }
    }

    /// Keeps the optimiser from dropping the reads.
    private static let readPadding = Atomic<UInt8>(0)

    /// The stream whole, byte by byte and in random pieces; complains unless all give the same.
    static func everyWay(_ stream: [UInt8], options: FrameDecoder.Options = .init(), _ random: inout SplitMix64) -> (
        events: [SeenEvent], agree: Bool
    ) {
        let whole = events(stream, options: options)
        var agree = events(stream, pieces: [Int](repeating: 1, count: stream.count), options: options) == whole
        for longest in [2, 3, 7, 64, 1_460] {
            agree = agree && events(stream, pieces: random.pieces(of: stream.count, longest: longest), options: options) == whole
        }
        return (whole, agree)
    }
}
