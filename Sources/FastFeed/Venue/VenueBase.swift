// What a user may name as the place of the streams. A plain value, any thread.
//
// Paths and stream names are appended to it, so a path of its own leads nowhere: the exchange upgrades such a connection and then
// says nothing. A path that the exchange's documents and most tutorials write there (`VenueDialect.barePaths`) is clear, and left out.

/// Scheme, host and port, checked.
package struct VenueBase: Sendable, Equatable {
    /// What paths are appended to.
    package let endpoint: WebSocketEndpoint
    /// One of the dialect's `barePaths`, where the URL had one; nil otherwise.
    package let leftOut: String?

    /// - Throws: a sentence, when there is a path of another kind or a query.
    package init(_ named: WebSocketEndpoint, _ dialect: any VenueDialect) throws(FeedError) {
        endpoint = WebSocketEndpoint(isSecure: named.isSecure, host: named.authority.host, port: named.authority.port)
        leftOut = dialect.barePaths.first { named.target == $0 || named.target == $0 + "/" }
        guard named.target == "/" || leftOut != nil else {
            let shown = Ascii.printable("\(named)".utf8)
            throw FeedError(
                .configuration,
                "venue '\(shown)': streams are asked for by --flux and commands, so path and query have no place here; write \(endpoint)")
        }
    }
}
