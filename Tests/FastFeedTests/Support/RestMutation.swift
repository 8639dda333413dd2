// Small damage to REST bodies, decided by a seed.

import FastFeed
import TestKit

enum RestMutation {
    private static let bytes = Array("[]{}\",:0123456789-.eE+\\ \n\tnulltruefalse".utf8) + [0x00, 0x7F, 0x80, 0xC3, 0xFF]

    static func mutate(_ original: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
        var made = original
        for _ in 0..<(1 + random.below(2)) where !made.isEmpty {
            let place = random.below(made.count)
            switch random.below(8) {
            case 0, 1: made[place] = random.pick(bytes)
            case 2: made[place] = UInt8(ascii: "0") + UInt8(random.below(10))
            case 3: made.remove(at: place)
            case 4: made.insert(random.pick(bytes), at: place)
            case 5: made.removeSubrange(place..<min(made.count, place + 1 + random.below(20)))
            case 6: made.insert(contentsOf: made[place..<min(made.count, place + 1 + random.below(40))], at: random.below(made.count))
            default: made[place] ^= 1 << UInt8(random.below(8))
            }
        }
        return made
    }
}
