// Frames as the simulated exchange writes and reads them, and damaged messages.

import FastFeed

/// Frames of the server's side, and those of the client taken apart.
enum ServerFrame {
    static func bytes(_ opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true) -> [UInt8] {
        var bytes: [UInt8] = [(isFinal ? 0x80 : 0) | opcode]
        if payload.count < 126 {
            bytes.append(UInt8(payload.count))
        } else {
            bytes += [126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        }
        return bytes + payload
    }
}

struct ClientFrame {
    let opcode: UInt8
    let isMasked: Bool
    let payload: [UInt8]

    /// The first whole frame, taken off; nil when there is none.
    static func take(_ input: inout [UInt8]) -> ClientFrame? {
        guard input.count >= 2 else { return nil }
        var count = Int(input[1] & 0x7F)
        var head = 2
        if count == 126 {
            guard input.count >= 4 else { return nil }
            count = Int(input[2]) << 8 | Int(input[3])
            head = 4
        }
        let isMasked = input[1] & 0x80 != 0
        let body = head + (isMasked ? 4 : 0)
        guard input.count >= body + count else { return nil }
        var payload = Array(input[body..<body + count])
        if isMasked { for index in payload.indices { payload[index] ^= input[head + index & 3] } }
        let frame = ClientFrame(opcode: input[0] & 0x0F, isMasked: isMasked, payload: payload)
        input.removeFirst(body + count)
        return frame
    }
}

/// Damage to a kline message that must be told apart, each kind by its reason.
enum Damage {
    static func apply(to text: String, _ random: inout SplitMix64) -> (String, CounterID) {
        switch random.number(0...6) {
        case 0: return (String(text.dropLast(random.number(1...20))), .rejectedMalformed)
        case 1: return (text + "x", .rejectedMalformed)
        case 2: return (text.replacing("\"T\":", with: "\"TT\":"), .rejectedMissing)
        case 3: return (text.replacing("\"n\":", with: "\"n\":\"\",\"nn\":"), .rejectedType)
        case 4: return (text.replacing("\"i\":\"1", with: "\"i\":\"7"), .rejectedInterval)
        case 5: return (text.replacing("\"f\":", with: "\"t\":1,\"f\":"), .rejectedRepeated)
        default: return (text.replacing("\"v\":\"", with: "\"v\":\"x"), .rejectedNumber)
        }
    }
}
