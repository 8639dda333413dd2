// A file descriptor with one owner, closed when the owner ends.

import Glibc

package struct Descriptor: ~Copyable {
    package let number: Int32

    package init(owning number: Int32) { self.number = number }

    deinit { _ = Glibc.close(number) }

    /// Non-blocking read. EINTR is tried again; every other errno is the caller's to judge.
    @inline(__always)
    package func read(into bytes: UnsafeMutableRawPointer, count: Int) -> IOResult {
        while true {
            let got = unsafe Glibc.recv(number, bytes, count, 0)
            if got > 0 { return .bytes(got) }
            if got == 0 { return .endOfStream }
            let code = errno
            if code == EAGAIN || code == EWOULDBLOCK { return .wouldBlock }
            if code != EINTR { return .failed(code) }
        }
    }

    /// Non-blocking write to a socket; a closed peer is an errno, not a signal.
    @inline(__always)
    package func write(_ bytes: UnsafeRawPointer, count: Int) -> IOResult {
        while true {
            let sent = unsafe Glibc.send(number, bytes, count, Int32(MSG_NOSIGNAL))
            if sent >= 0 { return .bytes(sent) }
            let code = errno
            if code == EAGAIN || code == EWOULDBLOCK { return .wouldBlock }
            if code != EINTR { return .failed(code) }
        }
    }
}
