// A file descriptor with one owner, closed when the owner ends. Its owner's thread.

import Glibc

package struct Descriptor: ~Copyable {
    package let number: Int32
    /// Nil for the real one.
    private let kernel: (any VirtualKernel)?

    package init(owning number: Int32, kernel: (any VirtualKernel)? = nil) {
        self.number = number
        self.kernel = kernel
    }

    /// A stream socket, non-blocking, not yet connected. (A virtual one begins to connect with its making.)
    package static func socket(for address: SocketAddress, kernel: (any VirtualKernel)?) throws(SystemError) -> Descriptor {
        if let kernel { return Descriptor(owning: try kernel.connect(to: address), kernel: kernel) }
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let number = Glibc.socket(address.family, kind, 0)
        guard number >= 0 else { throw SystemError("socket") }
        return Descriptor(owning: number)
    }

    deinit {
        if let kernel { kernel.close(number) } else { _ = Glibc.close(number) }
    }

    package var isVirtual: Bool { kernel != nil }

    /// The pending error of a socket: 0 once it is connected.
    package func connectError() -> Int32 {
        if let kernel { return kernel.connectError(number) }
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        return unsafe getsockopt(number, SOL_SOCKET, SO_ERROR, &code, &size) == 0 ? code : errno
    }

    /// True when a write would not have to wait, now.
    package func isWritable() -> Bool {
        if let kernel { return kernel.isWritable(number) }
        var entry = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
        return unsafe Glibc.poll(&entry, 1, 0) == 1
    }

    package func shutDownWriting() {
        if let kernel { kernel.shutDown(number) } else { Glibc.shutdown(number, Int32(SHUT_WR)) }
    }

    /// Non-blocking read. EINTR is tried again; every other errno is the caller's to judge.
    @inline(__always)
    package func read(into bytes: UnsafeMutableRawPointer, count: Int) -> IOResult {
        if let kernel { return unsafe kernel.read(number, into: bytes, count: count) }
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
        if let kernel { return unsafe kernel.write(number, bytes, count: count) }
        while true {
            let sent = unsafe Glibc.send(number, bytes, count, Int32(MSG_NOSIGNAL))
            if sent >= 0 { return .bytes(sent) }
            let code = errno
            if code == EAGAIN || code == EWOULDBLOCK { return .wouldBlock }
            if code != EINTR { return .failed(code) }
        }
    }
}
