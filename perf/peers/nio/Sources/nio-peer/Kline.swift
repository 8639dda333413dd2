// What Binance sends, for JSONDecoder.

/// A kline, or the answer to a request: `{"result":null,"id":1}`.
struct StreamMessage: Decodable {
    let data: KlineEvent?
    let id: Int?
}

struct SubscribeRequest: Encodable {
    let method = "SUBSCRIBE"
    let params: [String]
    let id: Int
}

struct KlineEvent: Decodable {
    let eventTime: Int64
    let symbol: String
    let kline: Kline

    enum CodingKeys: String, CodingKey {
        case eventTime = "E"
        case symbol = "s"
        case kline = "k"
    }
}

struct Kline: Decodable {
    let openTime, closeTime, firstTradeId, lastTradeId, count: Int64
    let interval, open, close, high, low, volume, quoteVolume, takerBuyVolume, takerBuyQuoteVolume: String
    let isClosed: Bool

    enum CodingKeys: String, CodingKey {
        case openTime = "t"
        case closeTime = "T"
        case interval = "i"
        case firstTradeId = "f"
        case lastTradeId = "L"
        case open = "o"
        case close = "c"
        case high = "h"
        case low = "l"
        case volume = "v"
        case count = "n"
        case isClosed = "x"
        case quoteVolume = "q"
        case takerBuyVolume = "V"
        case takerBuyQuoteVolume = "Q"
    }
}
