// What a reader's connection does with its socket besides reading frames. The reader's thread; a test scripts one.

package protocol ReaderSocket: ~Copyable {
    var phase: WebSocketConnection.Phase { get }
    var hasPending: Bool { get }
    /// Of an attempt that has come to nothing: where, and how far it had come.
    var failure: WebSocketConnection.Failure? { get }
    var reach: WebSocketConnection.Reach { get }

    func nextDeadlineNs(nowNs: UInt64) -> UInt64
    mutating func open(nowNs: UInt64) -> Opening
    mutating func send(_ opcode: FrameOpcode, _ payload: Span<UInt8>) -> Bool
    mutating func flush() -> Bool
    mutating func setReading(_ isReading: Bool)
    /// What comes from now on is read and forgotten.
    mutating func stopDecoding()
    mutating func close(code: UInt16, reason: String, nowNs: UInt64)
    mutating func drop()
}

extension WebSocketConnection: ReaderSocket {
    package mutating func stopDecoding() { decoder.finish() }
}
