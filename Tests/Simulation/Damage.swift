// Damaged messages, and what each kind of damage must be told apart as. Pure.

import FastFeed

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
