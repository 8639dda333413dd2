// libcurl's client and its answers, owned. `wake` is for any thread, everything else for one.

import CShims

@safe final class RestTransport: @unchecked Sendable {
    // Closed by its thread after the last `wake`: RestInbox wakes under its lock and not after it was stopped.
    private var rest: OpaquePointer?
    private let way: RestWay

    /// - Parameter usedWeightHeader: `VenueDialect.usedWeightHeader`, copied.
    init(_ base: RestEndpoint, _ settings: RestSettings, usedWeightHeader: String, authorityFile: String?) throws(FeedError) {
        let tls = base.isSecure ? try TLSContext.client(authorityFile: authorityFile) : nil
        var error = [CChar](repeating: 0, count: 256)
        let made = unsafe settings.userAgent.withCString { agent in
            unsafe usedWeightHeader.withCString { weightHeader in
                var options = unsafe ff_rest_options(
                    tls: tls?.pointer, user_agent: agent, used_weight_header: weightHeader,
                    connect_timeout_ms: settings.connectTimeoutMs, header_bytes_max: settings.headerBytesMax,
                    connections_max: Int32(clamping: settings.concurrencyMax), allows_plain_remote: settings.allowsPlainRemote ? 1 : 0)
                return unsafe ff_rest_create(&options, &error, error.count)
            }
        }
        guard let made = unsafe made else {
            throw FeedError(.venue, Ascii.printable(error.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }))
        }
        unsafe rest = unsafe made
        way = RestWay(place: base.authority, proxy: settings.proxy, tls: tls)
        if let proxy = settings.proxy { unsafe ff_rest_use_proxy(made, "\(proxy)", proxy.user, proxy.password) }
    }

    deinit { close() }

    /// Breaks off what is under way and closes every connection.
    func close() {
        unsafe ff_rest_free(rest)
        unsafe rest = nil
    }

    func get(_ url: String, token: UInt64, bytesMax: Int, timeoutMs: Int) -> Bool {
        unsafe ff_rest_get(rest, url, token, bytesMax, timeoutMs) == 0
    }

    func turn(timeoutMs: Int32) { unsafe ff_rest_turn(rest, timeoutMs) }

    func wake() { unsafe ff_rest_wake(rest) }

    func take() -> RestAnswer? {
        var response = unsafe ff_rest_response()
        guard unsafe ff_rest_take(rest, &response) == 1 else { return nil }
        return unsafe RestAnswer(response, way)
    }
}

/// How the exchange is reached.
struct RestWay {
    let place: Authority
    let proxy: ProxyEndpoint?
    /// Borrowed by the C side for its life.
    let tls: TLSContext?

    /// What a person is told of an answer that did not come.
    func sentence(_ reason: String, connectStatus: Int, socksCode: Int) -> String {
        let refusal: ProxyRefusal? =
            switch (connectStatus, socksCode) {
            case (300..., _): .status(connectStatus)
            case (_, Int(FF_SOCKS_CREDENTIALS)): .credentials
            case (_, 1...255): .socks(UInt8(socksCode))
            default: nil
            }
        guard let proxy else { return "the exchange cannot be reached: \(tls?.advised(reason) ?? reason)" }
        if let refusal { return "the exchange cannot be reached: \(proxy.sentence(refusal, place))" }
        return "the exchange cannot be reached through the proxy \(proxy): \(tls?.advised(reason) ?? reason)"
    }
}

/// What came of one request.
@safe struct RestAnswer: ~Copyable {
    let token: UInt64
    let status: Int
    let retryAfterSeconds: Int?
    let usedWeight: Int?
    /// The exchange's clock, whole seconds.
    let dateMs: Int64?
    /// Why there is no answer: `.unavailable` may pass.
    let failure: RestFailure?
    /// Owned; its body is what is lent.
    private var response: ff_rest_response

    init(_ response: ff_rest_response, _ way: RestWay) {
        unsafe self.response = response
        unsafe (token, status) = (response.token, Int(response.status))
        retryAfterSeconds = unsafe response.retry_after_s >= 0 ? Int(response.retry_after_s) : nil
        usedWeight = unsafe response.used_weight >= 0 ? Int(response.used_weight) : nil
        dateMs = unsafe response.date_s > 0 ? response.date_s * 1_000 : nil
        let reason = unsafe withUnsafeBytes(of: response.reason) { unsafe Ascii.printable($0.prefix { $0 != 0 }) }
        failure =
            switch unsafe ff_rest_failure(rawValue: UInt32(response.failure)) {
            case FF_REST_OK: nil
            case FF_REST_TRANSPORT:
                unsafe .unavailable(
                    way.sentence(reason, connectStatus: Int(response.connect_status), socksCode: Int(response.socks_code)))
            default: .malformed(reason)
            }
    }

    deinit {
        var mine = unsafe response
        unsafe ff_rest_response_free(&mine)
    }

    /// Lends the body of one that has not failed.
    func withBody<Result>(_ read: (PaddedBytes) -> Result) -> Result {
        unsafe read(PaddedBytes(start: response.body, count: response.length))
    }
}
