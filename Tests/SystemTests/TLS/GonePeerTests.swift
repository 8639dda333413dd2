// A peer that has gone is an answer, not a signal: a program that knows nothing of SIGPIPE lives on.

import FastFeed
import Glibc
import Testing
import VenueSimulator

@Suite("TLS: a peer that has gone", .serialized)
struct GonePeerTests {
    @Test("Writing raises no SIGPIPE")
    func write() throws {
        let certificates = try TemporaryDirectory()
        try LocalAuthority.make(directory: certificates.path)
        var ends: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &ends) == 0)
        var client = Transport.accepted(ends[0])
        var server = Transport.accepted(ends[1])
        client.startTLS(try TLSContext.client(authorityFile: certificates.path + "/ca.pem"), host: "localhost")
        server.startServerTLS(
            try TLSContext.server(certificateFile: certificates.path + "/cert.pem", keyFile: certificates.path + "/key.pem"))
        var steps = (TransportStep.wantWrite, TransportStep.wantRead)
        for _ in 0..<20 where steps != (.done, .done) { steps = (client.handshake(), server.handshake()) }
        try #require(steps == (.done, .done))

        // Handled, so that none is lost by being ignored; blocked, so that one stays to be seen.
        let handler = signal(SIGPIPE) { _ in }
        var pipe = sigset_t()
        var before = sigset_t()
        sigemptyset(&pipe)
        sigaddset(&pipe, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &pipe, &before)
        server = Transport.accepted(-1)  // closes the socket
        let written = client.write([UInt8](repeating: 0, count: 8).span)
        var waiting = sigset_t()
        sigpending(&waiting)
        let isRaised = sigismember(&waiting, SIGPIPE) == 1
        if isRaised { _ = sigwaitinfo(&pipe, nil) }
        pthread_sigmask(SIG_SETMASK, &before, nil)
        signal(SIGPIPE, handler)

        guard case .failed = written else { throw FeedError(.tls, "written to nobody: \(written)") }
        #expect(!isRaised)
    }
}
