// Certificates for one day on one machine: what the exchange shows where it speaks TLS. Any thread.

import CAuthority
package import FastFeed

package enum LocalAuthority {
    /// Writes `ca.pem`, `cert.pem` and `key.pem` for localhost into a directory; valid for a day.
    package static func make(directory: String) throws(FeedError) {
        var error = [CChar](repeating: 0, count: 256)
        guard unsafe ff_authority_make(directory, &error, error.count) != 0 else { return }
        throw FeedError(.tls, Ascii.printable(error.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, limit: 256))
    }
}
