// `feedd health`: asks the ops server of a service on this machine or another, for supervisors, containers and cron.

import ArgumentParser
import FastFeed
import FoundationEssentials
import Glibc

struct Health: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask a running service whether it is healthy.",
        discussion: """
            Ends with 0 when it is, with 1 when it says that it is not (and prints why), with 3 when nothing answers within two \
            seconds. --live asks only whether a restart would help, --ready whether all connections stand.

              feedd health
              feedd health --ready http://127.0.0.1:8090
            """)

    @Argument(
        help: ArgumentHelp(
            "Where its ops server is. (default: --ops of the environment or the file, else http://127.0.0.1:8090)", valueName: "url"))
    var url: String?

    @Flag(help: "Only whether its threads go on.")
    var live = false

    @Flag(help: "Only whether it has started and all its connections stand.")
    var ready = false

    @Option(help: ArgumentHelp("File whose first line is the ops server's token; --live and --ready need none.", valueName: "file"))
    var opsTokenFile: String?

    @Option(help: ArgumentHelp("JSON file with the service's settings.", valueName: "file"))
    var config: String?

    func run() throws {
        guard !(live && ready) else { throw Failure.usage("--live and --ready exclude each other") }
        var flags: [Setting: String] = [:]
        flags[.opsTokenFile] = opsTokenFile
        flags[.config] = config
        let settings = try Settings(flags: flags, environment: ProcessInfo.processInfo.environment)
        let place = try place(settings)
        let token = live || ready ? nil : try settings.file(.opsTokenFile).map(ConfigurationLoader.readPassword)
        let path = live ? "/livez" : ready ? "/readyz" : "/healthz"
        let answer = try SmallHTTP.get(place, path, token: token)
        try Terminal.print(LogText.lines(answer.body))
        guard answer.status != 200 else { return }
        guard answer.status == 503 else { throw Failure(Failure.refused, "\(place) answered \(answer.status)") }
        throw ExitCode(Failure.refused)
    }

    private func place(_ settings: Settings) throws -> Authority {
        if let url {
            let text = url.hasPrefix("http://") ? String(url.dropFirst(7)) : url
            guard let place = Authority(text.prefix { $0 != "/" }, portElse: OpsPlan.standard.port) else {
                throw Failure.usage("'\(Ascii.printable(url.utf8))' is not http://host:port")
            }
            return place
        }
        guard let found = try settings[.ops], found.text != "off" else { return OpsPlan.standard }
        let (address, port, _) = try ConfigurationLoader.opsPlace(found)
        return Authority(host: OpsPlan.host(here: address), port: port == 0 ? OpsPlan.standard.port : port)
    }
}

/// One GET of a small answer, plain, within two seconds.
private enum SmallHTTP {
    private static let (timeoutMs, bytesMax): (UInt64, Int) = (2_000, 1 << 20)

    static func get(_ place: Authority, _ path: String, token: String?) throws(Failure) -> (status: Int, body: String) {
        let untilNs = MonotonicClock.nowNs() + .ns(ms: timeoutMs)
        let query = ResolverQuery(host: place.host, port: place.port)
        while query.answer == nil && MonotonicClock.nowNs() < untilNs { usleep(1_000) }
        guard case .addresses(let addresses) = query.answer, let address = addresses.first else {
            throw unreachable(place, "the name is not resolved")
        }
        let number = socket(address.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard number >= 0 else { throw unreachable(place, SystemError("socket").reason) }
        let socket = Descriptor(owning: number)
        let code = unsafe address.bytes.withUnsafeBytes { bytes in
            unsafe connect(socket.number, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count)) == 0
                ? 0 : errno
        }
        guard code == 0 || code == EINPROGRESS else { throw unreachable(place, SystemError("connect", code: code).reason) }
        guard wait(socket.number, POLLOUT, untilNs) else { throw unreachable(place, "no answer within two seconds") }
        let error = socket.connectError()
        guard error == 0 else { throw unreachable(place, SystemError("connect", code: error).reason) }
        let credentials = token.map { "Authorization: Bearer \($0)\r\n" } ?? ""
        let request = Array("GET \(path) HTTP/1.1\r\nHost: \(place)\r\n\(credentials)Connection: close\r\n\r\n".utf8)
        guard case .bytes(request.count) = unsafe request.withUnsafeBytes({ unsafe socket.write($0.baseAddress!, count: $0.count) }) else {
            throw unreachable(place, "the request cannot be sent")
        }
        return try parse(try receive(socket, place, untilNs), place)
    }

    private static func receive(_ socket: borrowing Descriptor, _ place: Authority, _ untilNs: UInt64) throws(Failure) -> [UInt8] {
        var (bytes, chunk) = ([UInt8](), [UInt8](repeating: 0, count: 16_384))
        while bytes.count < bytesMax {
            switch unsafe chunk.withUnsafeMutableBytes({ unsafe socket.read(into: $0.baseAddress!, count: $0.count) }) {
            case .bytes(let count): bytes += chunk.prefix(count)
            case .endOfStream: return bytes
            case .failed(let code): throw unreachable(place, SystemError("read", code: code).reason)
            case .wouldBlock:
                guard wait(socket.number, POLLIN, untilNs) else { throw unreachable(place, "no answer within two seconds") }
            }
        }
        return bytes
    }

    private static func parse(_ bytes: [UInt8], _ place: Authority) throws(Failure) -> (status: Int, body: String) {
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.hasPrefix("HTTP/1."), let status = Int(text.dropFirst(9).prefix(3)), let end = text.firstRange(of: "\r\n\r\n") else {
            throw unreachable(place, "what answers there is not a service's ops server")
        }
        return (status, String(text[end.upperBound...]))
    }

    private static func wait(_ number: Int32, _ event: Int32, _ untilNs: UInt64) -> Bool {
        let nowNs = MonotonicClock.nowNs()
        guard nowNs < untilNs else { return false }
        var entry = pollfd(fd: number, events: Int16(event), revents: 0)
        return unsafe poll(&entry, 1, Int32((untilNs - nowNs) / 1_000_000 + 1)) > 0
    }

    private static func unreachable(_ place: Authority, _ reason: String) -> Failure {
        Failure(Failure.unreachable, "http://\(place): \(reason)")
    }
}
