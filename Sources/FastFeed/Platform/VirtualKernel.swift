// What stands in for the kernel in a simulation: sockets, readiness and time that a seed decides. The engine's
// own code runs on it unchanged; the seam is one nil check in `Descriptor` and `Poller`, which is all that
// a real socket pays. One thread.

/// Numbers of virtual sockets mean something to their kernel only. All calls come from one thread.
package protocol VirtualKernel: AnyObject {
    /// Monotonic, as `MonotonicClock`.
    var nowNs: UInt64 { get }

    /// A new socket that begins to connect.
    func connect(to address: SocketAddress) throws(SystemError) -> Int32
    /// The socket's pending error, as SO_ERROR tells it; 0 for none.
    func connectError(_ number: Int32) -> Int32
    /// Connected or failed, and with room for bytes.
    func isWritable(_ number: Int32) -> Bool

    func read(_ number: Int32, into bytes: UnsafeMutableRawPointer, count: Int) -> IOResult
    func write(_ number: Int32, _ bytes: UnsafeRawPointer, count: Int) -> IOResult
    /// No more bytes from our side.
    func shutDown(_ number: Int32)
    func close(_ number: Int32)

    /// As epoll has it: add what is not there, change and remove what is.
    func add(_ number: Int32, _ interest: Readiness, token: PollToken)
    func change(_ number: Int32, _ interest: Readiness, token: PollToken)
    func remove(_ number: Int32)
}
