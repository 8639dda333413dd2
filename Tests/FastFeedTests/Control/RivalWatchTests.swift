// Another service that writes the same status, and what only looks like one.

import FastFeed
import Testing

struct RivalWatchTests {
    private static let second: UInt64 = 1_000_000_000

    private func take(
        _ watch: inout RivalWatch, _ pid: String?, _ host: String, _ state: String = "live", beat: Int, at seconds: UInt64
    ) -> UInt64? {
        watch.take([pid, host, state, "\(beat)"], nowNs: seconds * RivalWatchTests.second)
        return watch.rival?.pid
    }

    @Test("Its beat moves between ours: seen the second time, and forgotten when it is not seen any more")
    func rival() {
        var watch = RivalWatch(pid: 7, host: "h")
        #expect(take(&watch, "8", "h", beat: 1, at: 1) == nil && take(&watch, "8", "h", beat: 2, at: 3) == 8)
        #expect(take(&watch, "7", "h", beat: 3, at: 5) == 8 && take(&watch, "8", "h", beat: 4, at: 7) == 8)
        #expect(take(&watch, "7", "h", beat: 5, at: 14) == 8 && take(&watch, "7", "h", beat: 6, at: 15) == nil)
        #expect(take(&watch, "8", "h", beat: 7, at: 17) == 8)
        #expect(take(&watch, "8", "elsewhere", beat: 8, at: 18) == nil, "another one is another one")
    }

    @Test("What one has left that has ended, ours, and what cannot be read")
    func nobody() {
        var watch = RivalWatch(pid: 7, host: "h")
        for beat in 1...3 {
            #expect(take(&watch, "7", "h", beat: beat, at: 1) == nil)
            #expect(take(&watch, "8", "h", "stopped", beat: beat, at: 1) == nil)
            #expect(take(&watch, "8", "h", beat: 0, at: 1) == nil, "it stands still")
            #expect(take(&watch, nil, "h", beat: beat, at: 1) == nil && take(&watch, "x", "h", beat: beat, at: 1) == nil)
        }
        watch.take([], nowNs: 0)
        #expect(watch.rival == nil)
    }
}
