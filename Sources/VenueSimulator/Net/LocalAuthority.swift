// Certificates for localhost, for whoever serves TLS to itself. Any thread.

import CShims
package import FastFeed

package enum LocalAuthority {
    /// Writes `ca.pem`, `cert.pem` and `key.pem` for localhost into a directory; valid for a day.
    package static func make(directory: String) throws(FeedError) {
        var error = [CChar](repeating: 0, count: 256)
        guard unsafe ff_tls_make_authority(directory, &error, error.count) == 0 else {
            throw FeedError(.tls, String(decoding: error.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
    }
}
