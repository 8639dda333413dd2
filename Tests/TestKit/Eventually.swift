// Waiting for what must come true: asked again and again until it is so, with a deadline, and with words for when it is not in time.
// On the caller's thread. Nothing in the tests waits for a condition in another way.

import FastFeed
import Glibc

/// What did not come true; thrown, it ends the test and says so.
package struct NotInTime: Error, CustomStringConvertible {
    package let description: String
}

/// - Parameter what: follows "not within 5 s: ".
/// - Throws: `NotInTime`, or whatever the condition throws.
package func eventually(_ seconds: Double = 10, _ what: @autoclosure () -> String, _ condition: () throws -> Bool) throws {
    guard try comesTrue(within: seconds, condition) else { throw NotInTime(description: "not within \(seconds) s: \(what())") }
}

/// For who says for himself what it means that it did not.
package func comesTrue(within seconds: Double, everyMicroseconds: UInt32 = 5_000, _ condition: () throws -> Bool) rethrows -> Bool {
    let deadlineNs = MonotonicClock.nowNs() + UInt64(seconds * 1e9)
    while try !condition() {
        guard MonotonicClock.nowNs() < deadlineNs else { return false }
        usleep(everyMicroseconds)
    }
    return true
}

/// The same without blocking the task's thread.
package func eventually(_ seconds: Double = 10, _ what: @autoclosure () -> String, _ condition: () throws -> Bool) async throws {
    let deadlineNs = MonotonicClock.nowNs() + UInt64(seconds * 1e9)
    while try !condition() {
        guard MonotonicClock.nowNs() < deadlineNs else { throw NotInTime(description: "not within \(seconds) s: \(what())") }
        try await Task.sleep(for: .milliseconds(5))
    }
}
