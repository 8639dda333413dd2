// WebSocket frames written byte by byte, with every liberty a bad peer takes, and decoder events in comparable form.

import FastFeed
import Synchronization

/// One frame; the defaults make an honest server frame.
struct RawFrame {
    var opcode: UInt8 = 1
    var isFinal = true
    var reserved: UInt8 = 0
    var payload: [UInt8] = []
    var mask: UInt32?
    /// Announced instead of the payload's count.
    var announced: UInt64?
    /// 0, 2 or 8 instead of the shortest form.
    var lengthBytes: Int?

    init(_ opcode: UInt8, _ payload: [UInt8] = [], isFinal: Bool = true, mask: UInt32? = nil) {
        (self.opcode, self.payload, self.isFinal, self.mask) = (opcode, payload, isFinal, mask)
    }

    init(_ opcode: UInt8, _ text: String, isFinal: Bool = true, mask: UInt32? = nil) {
        self.init(opcode, Array(text.utf8), isFinal: isFinal, mask: mask)
    }

    func changed(_ change: (inout RawFrame) -> Void) -> RawFrame {
        var copy = self
        change(&copy)
        return copy
    }

    var bytes: [UInt8] {
        let length = announced ?? UInt64(payload.count)
        let width = lengthBytes ?? (length < 126 ? 0 : length <= 0xFFFF ? 2 : 8)
        let maskBit: UInt8 = mask == nil ? 0 : 0x80
        var made: [UInt8] = [(isFinal ? 0x80 : 0) | reserved << 4 | opcode]
        made.append(maskBit | (width == 0 ? UInt8(length) : width == 2 ? 126 : 127))
        for index in 0..<width { made.append(UInt8(truncatingIfNeeded: length >> UInt64(8 * (width - 1 - index)))) }
        guard let mask else { return made + payload }
        let key = (0..<4).map { UInt8(truncatingIfNeeded: mask >> UInt32(8 * $0)) }
        return made + key + payload.enumerated().map { $1 ^ key[$0 & 3] }
    }
}

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
            if let base = payload.baseAddress {
                var sum: UInt8 = 0
                for offset in 0..<Limits.paddingBytes { sum &+= base.load(fromByteOffset: payload.count + offset, as: UInt8.self) }
                readPadding.store(sum, ordering: .relaxed)
            }
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
