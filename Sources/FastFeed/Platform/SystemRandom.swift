// Unpredictable bytes from the kernel: WebSocket keys and masks, jitter seeds. Any thread.

import CShims

package enum SystemRandom {
    package static func fill(_ bytes: UnsafeMutableRawPointer, count: Int) {
        unsafe precondition(ff_random(bytes, count) == 0, "the kernel gives no random bytes")
    }

    package static func word() -> UInt64 {
        var value: UInt64 = 0
        unsafe fill(&value, count: 8)
        return value
    }
}
