// errno as a value. Every wrapper of Platform reads errno before anything else can touch it. Plain values, any thread.

import Glibc

/// A system call's failure.
package struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
    package let call: String
    package let code: Int32

    package init(_ call: String, code: Int32 = errno) {
        (self.call, self.code) = (call, code)
    }

    package var reason: String { unsafe String(cString: strerror(code)) }
    package var description: String { "\(call): \(reason)" }
}

/// What a non-blocking read or write came to. Would-block is not an error.
package enum IOResult: Equatable {
    case bytes(Int)
    case wouldBlock
    /// The peer has closed its side.
    case endOfStream
    case failed(Int32)
}
