// A TLS port for a redis-server of a test. A plain value.

import FastFeed
import RedisServer
import VenueSimulator

/// A port with certificates, all PEM files; clients need none.
struct RedisTLS {
    var port: UInt16
    let certificateFile: String
    let keyFile: String
    let authorityFile: String

    init(certificateFile: String, keyFile: String, authorityFile: String) throws {
        port = try FreePort.find()
        (self.certificateFile, self.keyFile, self.authorityFile) = (certificateFile, keyFile, authorityFile)
    }

    /// What makes a redis-server listen there, too.
    var arguments: [String] {
        [
            "--tls-port", "\(port)", "--tls-cert-file", certificateFile, "--tls-key-file", keyFile, "--tls-ca-cert-file", authorityFile,
            "--tls-auth-clients", "no",
        ]
    }

    /// The way in over TLS, with the password of the server's options.
    func endpoint(_ options: RedisServerProcess.Options) -> RedisEndpoint {
        var endpoint = RedisEndpoint(place: .tcp(Authority(host: "127.0.0.1", port: port)))
        endpoint.password = options.password
        endpoint.isSecure = true
        endpoint.authorityFile = authorityFile
        return endpoint
    }
}
