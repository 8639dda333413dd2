// A REST call's failure as a person reads it: a sentence, and nothing of the program's own notation.

import FastFeed
import Testing

struct RestFailureTests {
    static let table: [(RestFailure, String)] = [
        (.busy, "too many requests wait for the exchange"), (.stopped, "the exchange is not asked any more"),
        (.badRequest("limit must be 1...5, not 6"), "limit must be 1...5, not 6"),
        (.unknownSymbol, "the exchange does not know the symbol"),
        (.limited(waitMs: 61_500), "the exchange's limits allow no request for 61 s"),
        (.limited(waitMs: 0), "the exchange's limits allow no request for 1 s"),
        (.limited(waitMs: .max), "the exchange's limits never allow this request"),
        (.refused(status: 403, code: 0, message: ""), "the exchange answered 403"),
        (
            .refused(status: 451, code: 0, message: "Service unavailable from a restricted location"),
            "the exchange answered 451: Service unavailable from a restricted location"
        ),
        (
            .refused(status: 400, code: -1_100, message: "Illegal characters"),
            "the exchange answered 400: Illegal characters (-1100)"
        ),
        (.unavailable("the exchange answered 503"), "the exchange answered 503"),
        (.malformed("klines: row 0: not JSON"), "the exchange's answer cannot be used: klines: row 0: not JSON"),
    ]

    @Test(arguments: table) func sentences(failure: RestFailure, sentence: String) { #expect("\(failure)" == sentence) }
}
