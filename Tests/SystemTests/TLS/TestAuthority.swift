// Certificates of every kind, right and wrong, made by the `openssl` program into a temporary directory.

import FastFeed
import Foundation
import Glibc

/// Runs `openssl` and waits for it.
func runOpenSSL(_ arguments: [String], in directory: String, register: String) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["openssl"] + arguments
    // The configuration reads the register's name from there.
    process.environment = ProcessInfo.processInfo.environment.merging(["REGISTER": register]) { $1 }
    process.currentDirectoryURL = URL(fileURLWithPath: directory)
    let errors = Pipe()
    process.standardError = errors
    process.standardOutput = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw FeedError(.tls, "openssl \(arguments.joined(separator: " ")): \(text)") }
}

/// A certificate with its key: PEM files. `chain` is what a server sends: the leaf and what stands above it.
struct TestCertificate {
    let name: String
    /// The files stay as long as someone has a certificate of theirs.
    let place: TemporaryDirectory
    var directory: String { place.path }
    var certificate: String { "\(directory)/\(name).pem" }
    var key: String { "\(directory)/\(name).key" }
    var chain: String { "\(directory)/\(name).chain.pem" }
}

/// A root, what it has signed, and lists of what it has revoked. Each issuer has a register of its own.
final class TestAuthority {
    struct Options {
        var names = "IP:127.0.0.1,DNS:localhost"
        var purpose = "serverAuth"
        var isAuthority = false
        var keyKind = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        var digest = "sha256"
        var days = (from: -1, until: 30)
    }

    let directory: String
    let place: TemporaryDirectory
    let root: TestCertificate

    init(keyKind: [String] = Options().keyKind) throws {
        place = try TemporaryDirectory()
        directory = place.path
        let configuration = """
            [ca]
            default_ca = register
            [register]
            database = $ENV::REGISTER.index
            serial = $ENV::REGISTER.serial
            crlnumber = $ENV::REGISTER.crlnumber
            new_certs_dir = .
            default_md = sha256
            policy = names
            unique_subject = no
            [names]
            commonName = supplied
            [req]
            distinguished_name = nobody
            prompt = no
            [nobody]
            CN = nobody
            """
        try configuration.write(toFile: directory + "/openssl.cnf", atomically: true, encoding: .utf8)
        root = TestCertificate(name: "root", place: place)
        try openRegister("root")
        try selfSign(root, options: Options(isAuthority: true, keyKind: keyKind))
    }

    /// So that it can sign, even if it is no authority.
    func openRegister(_ name: String) throws {
        for (suffix, text) in [("index", ""), ("serial", "1000\n"), ("crlnumber", "01\n")] {
            try text.write(toFile: "\(directory)/\(name).\(suffix)", atomically: true, encoding: .utf8)
        }
    }

    private func openssl(_ arguments: [String], register: String = "root") throws {
        try runOpenSSL([arguments[0], "-config", "openssl.cnf"] + arguments.dropFirst(), in: directory, register: register)
    }

    private func extensions(_ options: Options) -> String {
        var lines = ["basicConstraints = critical,CA:\(options.isAuthority ? "TRUE" : "FALSE")", "subjectKeyIdentifier = hash"]
        if options.isAuthority {
            lines.append("keyUsage = critical,keyCertSign,cRLSign")
        } else {
            lines += ["extendedKeyUsage = \(options.purpose)", "subjectAltName = \(options.names)"]
        }
        return lines.joined(separator: "\n")
    }

    /// A certificate that vouches for itself.
    @discardableResult
    func selfSign(_ issued: TestCertificate, options: Options = Options()) throws -> TestCertificate {
        var arguments = ["req", "-x509", "-newkey"] + options.keyKind + ["-nodes", "-days", "30", "-\(options.digest)"]
        arguments += ["-subj", "/CN=\(issued.name)", "-keyout", issued.key, "-out", issued.certificate]
        for line in extensions(options).split(separator: "\n") where !line.hasPrefix("subjectKey") {
            arguments += ["-addext", String(line)]
        }
        try openssl(arguments)
        try join([issued.certificate], to: issued.chain)
        return issued
    }

    /// A certificate signed by `issuer`, by default the root.
    func issue(_ name: String, by issuer: TestCertificate? = nil, _ change: (inout Options) -> Void = { _ in }) throws -> TestCertificate {
        var options = Options()
        change(&options)
        let issuer = issuer ?? root
        let issued = TestCertificate(name: name, place: place)
        try openssl(
            ["req", "-new", "-newkey"] + options.keyKind + ["-nodes", "-subj", "/CN=\(name)", "-keyout", issued.key, "-out", "\(name).csr"])
        try extensions(options).write(toFile: "\(directory)/\(name).ext", atomically: true, encoding: .utf8)
        try openssl(
            [
                "ca", "-batch", "-notext", "-cert", issuer.certificate, "-keyfile", issuer.key, "-in", "\(name).csr", "-out",
                issued.certificate,
                "-extfile", "\(name).ext", "-md", options.digest, "-startdate", TestAuthority.date(options.days.from),
                "-enddate", TestAuthority.date(options.days.until),
            ], register: issuer.name)
        try join(issuer.name == root.name ? [issued.certificate] : [issued.certificate, issuer.chain], to: issued.chain)
        if options.isAuthority { try openRegister(name) }
        return issued
    }

    func revoke(_ issued: TestCertificate, by issuer: TestCertificate) throws {
        try openssl(["ca", "-cert", issuer.certificate, "-keyfile", issuer.key, "-revoke", issued.certificate], register: issuer.name)
    }

    /// A file with the root and the issuers' current lists of what they have revoked.
    func authorityFile(_ name: String, listsOf issuers: [TestCertificate], validUntilDay day: Int = 30) throws -> String {
        var parts = [root.certificate]
        for issuer in issuers {
            let list = "\(directory)/\(name).\(issuer.name).crl"
            try openssl(
                [
                    "ca", "-gencrl", "-cert", issuer.certificate, "-keyfile", issuer.key, "-out", list,
                    "-crl_lastupdate", TestAuthority.date(-5), "-crl_nextupdate", TestAuthority.date(day),
                ], register: issuer.name)
            parts.append(list)
        }
        let path = "\(directory)/\(name).pem"
        try join(parts, to: path)
        return path
    }

    private func join(_ files: [String], to path: String) throws {
        let text = try files.map { try String(contentsOfFile: $0, encoding: .utf8) }.joined(separator: "\n")
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    private static func date(_ days: Int) -> String {
        var seconds = time(nil) + days * 86_400
        var parts = tm()
        gmtime_r(&seconds, &parts)
        return String(
            format: "%04d%02d%02d%02d%02d%02dZ", Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday), Int(parts.tm_hour),
            Int(parts.tm_min), Int(parts.tm_sec))
    }
}
