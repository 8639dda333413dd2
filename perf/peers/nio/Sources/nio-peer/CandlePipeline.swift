// An update of a candle becomes HSET, PUBLISH and, when it is closed, XADD: the keys and values of FastFeed's data
// contract, so that the same check can compare Redis with what the exchange said.

import Foundation
import NIOCore
import NIOFoundationCompat

/// Lives on one event loop, on which both channels are.
final class CandlePipeline: @unchecked Sendable {
    var redis: (any Channel)!
    var exchange: (any Channel)?
    private let history: String
    private let decoder = JSONDecoder()
    private var klines = 0
    private var others = 0
    private var closed = 0
    private var sent = 0
    private var replies = 0
    private var isOver = false

    init(history: Int) { self.history = String(history) }

    func onMessage(_ message: ByteBuffer) {
        do {
            let message = try decoder.decode(StreamMessage.self, from: message)
            guard let event = message.data else { return message.id == nil ? others += 1 : () }
            klines += 1
            write(event)
        } catch {
            fail("\(error): \(String(buffer: message))")
        }
    }

    func flush() { redis.flush() }

    private func write(_ event: KlineEvent) {
        let kline = event.kline
        let symbol = event.symbol.lowercased()
        let json = """
            {"symbol":"\(symbol)","interval":"\(kline.interval)","open_time":\(kline.openTime),"open":"\(kline.open)",\
            "high":"\(kline.high)","low":"\(kline.low)","close":"\(kline.close)","volume":"\(kline.volume)",\
            "close_time":\(kline.closeTime),"quote_volume":"\(kline.quoteVolume)","count":\(kline.count),\
            "taker_buy_volume":"\(kline.takerBuyVolume)","taker_buy_quote_volume":"\(kline.takerBuyQuoteVolume)",\
            "first_trade_id":\(kline.firstTradeId),"last_trade_id":\(kline.lastTradeId),"source":"live","revision":0,\
            "closed":\(kline.isClosed),"event_time":\(event.eventTime)}
            """
        var buffer = redis.allocator.buffer(capacity: 2_048)
        if kline.isClosed {
            closed += 1
            buffer.writeCommand([
                "XADD", "candles:{\(symbol)}:\(kline.interval)", "MAXLEN", "~", history, "\(kline.openTime)-0",
                "open", kline.open, "high", kline.high, "low", kline.low, "close", kline.close, "volume", kline.volume,
                "close_time", "\(kline.closeTime)", "quote_volume", kline.quoteVolume, "count", "\(kline.count)",
                "taker_buy_volume", kline.takerBuyVolume, "taker_buy_quote_volume", kline.takerBuyQuoteVolume,
                "first_trade_id", "\(kline.firstTradeId)", "last_trade_id", "\(kline.lastTradeId)", "source", "live", "revision", "0",
            ])
            sent += 1
        }
        buffer.writeCommand(["HSET", "latest:\(kline.interval)", symbol, json])
        buffer.writeCommand([
            "PUBLISH", "updates:{\(symbol)}:\(kline.interval)",
            #"{"symbol":"\#(symbol)","interval":"\#(kline.interval)","rows":1,"updates":1,"candles":[\#(json)]}"#,
        ])
        sent += 2
        redis.write(buffer, promise: nil)
    }

    func onReply() {
        replies += 1
        endWhenDone()
    }

    func onExchangeEnd() {
        isOver = true
        redis.flush()
        endWhenDone()
    }

    /// The exchange has ended and Redis has answered everything.
    private func endWhenDone() {
        guard isOver, replies == sent else { return }
        print(#"{"program":"nio-peer","klines":\#(klines),"closed_written":\#(closed),"others":\#(others),"fallbacks":0}"#)
        exit(0)
    }

    func fail(_ text: String) {
        FileHandle.standardError.write(Data("nio-peer: \(text)\n".utf8))
        exit(1)
    }
}
