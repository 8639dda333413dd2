// A byte stream to a peer: TCP or a Unix socket, plain or under TLS. Non-blocking throughout; a short read is
// a state, not an error. Its owner's thread.

import CShims
import Glibc

/// A step of a handshake that may have to wait.
package enum TransportStep: Equatable {
    case done
    case wantRead
    case wantWrite
    case failed(String)
}

@safe package struct Transport: ~Copyable {
    package let descriptor: Descriptor
    private var session: OpaquePointer?
    /// TLS wants to write before it can go on reading (a key update).
    package private(set) var readWantsWrite = false

    private init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }

    deinit { unsafe ff_tls_free(session) }

    package var number: Int32 { descriptor.number }
    /// The outcome of connecting is known.
    package func isWritable() -> Bool { descriptor.isWritable() }
    package var isSecure: Bool { unsafe session != nil }

    /// Begins to connect. The result is known when the socket becomes writable (`finishConnect`).
    package static func connect(to address: SocketAddress, kernel: (any VirtualKernel)? = nil) throws(SystemError) -> Transport {
        let transport = Transport(try Descriptor.socket(for: address, kernel: kernel))
        guard !transport.descriptor.isVirtual else { return transport }
        transport.tune(address.family)
        let code = unsafe address.bytes.withUnsafeBytes { bytes in
            unsafe Glibc.connect(transport.number, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
        if code != 0 && errno != EINPROGRESS { throw SystemError("connect") }
        return transport
    }

    /// Takes over an accepted socket.
    package static func accepted(_ number: Int32) -> Transport {
        let transport = Transport(Descriptor(owning: number))
        transport.tune(AF_INET)
        return transport
    }

    /// Small frames leave at once. The kernel asks a silent peer for a sign of life: that keeps the way open through what forgets idle
    /// connections, and notices a peer that has vanished, also behind a connection that only waits.
    private func tune(_ family: Int32) {
        guard family != AF_UNIX else {
            // The default 208 KB makes large batches stutter.
            setOption(SOL_SOCKET, SO_SNDBUF, 1 << 20)
            return
        }
        setOption(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        setOption(SOL_SOCKET, SO_KEEPALIVE, 1)
        setOption(Int32(IPPROTO_TCP), TCP_KEEPIDLE, Limits.keepAliveIdleSeconds)
        setOption(Int32(IPPROTO_TCP), TCP_KEEPINTVL, Limits.keepAliveProbeSeconds)
        setOption(Int32(IPPROTO_TCP), TCP_KEEPCNT, Limits.keepAliveProbeCount)
    }

    private func setOption(_ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        unsafe setsockopt(number, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// After the socket became writable: nil when connected, else why not.
    package func finishConnect() -> SystemError? {
        let code = descriptor.connectError()
        return code == 0 ? nil : SystemError("connect", code: code)
    }

    /// Puts TLS on the connected socket; the certificate must be `host`'s.
    package mutating func startTLS(_ context: TLSContext, host: String) {
        unsafe session = unsafe ff_tls_connect(context.pointer, number, host)
    }

    package mutating func startServerTLS(_ context: TLSContext) { unsafe session = unsafe ff_tls_accept(context.pointer, number) }

    package mutating func handshake() -> TransportStep {
        guard let session = unsafe session else { return .done }
        switch unsafe Int(ff_tls_handshake(session)) {
        case 0: return .done
        case FF_TLS_WANT_READ: return .wantRead
        case FF_TLS_WANT_WRITE: return .wantWrite
        case FF_TLS_CLOSED: return .failed("TLS handshake: the peer closed the connection")
        default: return .failed(failureReason)
        }
    }

    /// - Parameter bytes: room for `count` of them.
    @inline(__always)
    package mutating func read(into bytes: UnsafeMutableRawPointer, count: Int) -> IOResult {
        guard let session = unsafe session else { return unsafe descriptor.read(into: bytes, count: count) }
        return unsafe readTLS(session, bytes, count)
    }

    /// - Parameter most: bytes; nil: as many as the buffer holds.
    @inline(__always)
    package mutating func read(into buffer: borrowing PaddedBuffer, most: Int? = nil) -> IOResult {
        unsafe read(into: buffer.base, count: min(most ?? buffer.count, buffer.count))
    }

    package mutating func read(into chunk: inout [UInt8]) -> IOResult {
        unsafe chunk.withUnsafeMutableBytes { unsafe read(into: $0.baseAddress!, count: $0.count) }
    }

    /// Fills as much as there is: a record holds at most 16 KiB, and one wake-up may have brought many.
    private mutating func readTLS(_ session: OpaquePointer, _ bytes: UnsafeMutableRawPointer, _ count: Int) -> IOResult {
        var total = 0
        readWantsWrite = false
        while total < count {
            let got = unsafe ff_tls_read(session, bytes + total, count - total)
            if got > 0 {
                total += got
                continue
            }
            if total > 0 { break }  // the reason comes back with the next call
            switch got {
            case FF_TLS_WANT_READ: return .wouldBlock
            case FF_TLS_WANT_WRITE:
                readWantsWrite = true
                return .wouldBlock
            case FF_TLS_CLOSED: return .endOfStream
            default: return .failed(EPROTO)
            }
        }
        return .bytes(total)
    }

    @inline(__always)
    package mutating func write(_ bytes: Span<UInt8>) -> IOResult {
        unsafe bytes.withUnsafeBytes { unsafe write($0.baseAddress!, $0.count) }
    }

    @inline(__always)
    private mutating func write(_ bytes: UnsafeRawPointer, _ count: Int) -> IOResult {
        guard let session = unsafe session else { return unsafe descriptor.write(bytes, count: count) }
        var total = 0
        while total < count {
            let sent = unsafe ff_tls_write(session, bytes + total, count - total)
            if sent > 0 {
                total += sent
                continue
            }
            if total > 0 { break }
            switch sent {
            case FF_TLS_WANT_READ, FF_TLS_WANT_WRITE: return .wouldBlock
            case FF_TLS_CLOSED: return .endOfStream
            default: return .failed(EPROTO)
            }
        }
        return .bytes(total)
    }

    /// True when bytes wait inside the TLS session, which the poller cannot see.
    @inline(__always)
    package var hasPending: Bool {
        guard let session = unsafe session else { return false }
        return unsafe ff_tls_has_pending(session) != 0
    }

    /// close_notify, best effort, and the end of our side.
    package func shutDown() {
        if let session = unsafe session { unsafe ff_tls_shutdown(session) }
        descriptor.shutDownWriting()
    }

    /// Why a TLS call failed, in one line.
    package var failureReason: String {
        guard let session = unsafe session else { return "" }
        return unsafe String(cString: ff_tls_error(session))
    }

    package func describe(_ code: Int32) -> String {
        unsafe code == EPROTO && isSecure ? failureReason : String(cString: strerror(code))
    }
}
