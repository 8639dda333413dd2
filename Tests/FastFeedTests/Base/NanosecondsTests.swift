// Durations as the whole numbers that clocks and polls count.

import FastFeed
import Testing

struct NanosecondsTests {
    @Test func durations() {
        #expect(Duration.milliseconds(1_500).nanoseconds == 1_500_000_000 && Duration.nanoseconds(7).nanoseconds == 7)
        #expect(Duration.milliseconds(200).milliseconds == 200 && Duration.seconds(3).milliseconds == 3_000)
        #expect(Duration.nanoseconds(1).milliseconds == 1, "never shorter than asked for")
        for negative in [Duration.nanoseconds(-1), .seconds(-5), .zero] { #expect(negative.nanoseconds == 0 && negative.milliseconds == 0) }
        let longest = Duration.seconds(Int64.max)
        #expect(longest.nanoseconds == 3_155_760_000_000_000_000 && longest.milliseconds > 3_000_000_000_000)
    }
}
