// A proxy of somebody else as a child process: tinyproxy (HTTP) or microsocks (SOCKS 5), on a free port of 127.0.0.1, gone with the object.

import FastFeed
import Foundation
import Glibc
import TestKit
import Testing
import VenueSimulator

extension Trait where Self == ConditionTrait {
    /// Runs where both programs are: scripts/test.sh installs them where it can.
    static var withProxies: Self {
        .enabled(
            if: ProxyProcess.Kind.allCases.allSatisfy { $0.path != nil }, "tinyproxy and microsocks are not installed")
    }
}

final class ProxyProcess {
    enum Kind: String, CaseIterable {
        case tinyproxy, microsocks

        /// tinyproxy's configuration has room for letters, digits and three marks.
        var password: String { self == .tinyproxy ? "s3cret.w-rd" : "p@ss:w/rd" }

        var path: String? {
            let folders = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin"
            return folders.split(separator: ":").map { "\($0)/\(rawValue)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
        }
    }

    /// What it lets in, where it asks.
    static let user = "feed"

    let password: String
    let port: UInt16
    private let process = Process()
    private let directory = try? TemporaryDirectory()
    private let logFile: String

    init(_ kind: Kind, asksForPassword: Bool) throws {
        password = kind.password
        port = try FreePort.find()
        let folder = try #require(directory).path
        logFile = folder + "/log"
        try #require(FileManager.default.createFile(atPath: logFile, contents: nil))
        process.executableURL = URL(fileURLWithPath: try #require(kind.path))
        switch kind {
        case .tinyproxy:
            let lines = ["Port \(port)", "Listen 127.0.0.1", "MaxClients 100", "LogFile \"\(logFile)\"", "LogLevel Info"]
            let access = asksForPassword ? ["BasicAuth \(ProxyProcess.user) \(password)"] : []
            try (lines + access).joined(separator: "\n").appending("\n").write(toFile: folder + "/conf", atomically: true, encoding: .utf8)
            process.arguments = ["-d", "-c", folder + "/conf"]
            process.standardError = FileHandle.nullDevice
        case .microsocks:
            process.arguments = ["-i", "127.0.0.1", "-p", "\(port)"]
            if asksForPassword { process.arguments! += ["-u", ProxyProcess.user, "-P", password] }
            process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: logFile))
        }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        try eventually(10, "\(kind.rawValue) to listen") { isListening }
    }

    deinit {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    private var isListening: Bool {
        guard let address = SocketAddress(numericHost: "127.0.0.1", port: port) else { return false }
        let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(number) }
        return address.bytes.withUnsafeBytes {
            connect(number, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count)) == 0
        }
    }

    /// How often it has set out for this port of 127.0.0.1.
    func connections(to port: UInt16) -> Int {
        let log = (try? String(contentsOfFile: logFile, encoding: .utf8)) ?? ""
        return log.split(separator: "\n").count {
            $0.hasSuffix("connected to 127.0.0.1:\(port)") || $0.hasSuffix("opening connection to 127.0.0.1:\(port)")
        }
    }
}
