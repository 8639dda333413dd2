// What to do with a closed candle that cannot simply be appended: it may be there already, there with other
// values, or older than the newest entry. Runs inside Redis, so it is atomic against other writers.

package enum HistoryScript {
    /// KEYS[1] the stream; ARGV[1] open time, ARGV[2] entries to keep, then the fourteen names and values.
    /// Returns 0 when nothing had to be done, 1 appended or put in its place, 2 corrected (revision + 1),
    /// 3 older than everything a full history keeps.
    ///
    /// A stream only grows at its end. To put an entry in the middle, the entries behind it are taken off, the
    /// stream's last id is set back, and all are appended again under their own ids, which keeps consumer groups
    /// alive (unlike deleting the key).
    package static let source = """
        local key, id, keep = KEYS[1], ARGV[1] .. '-0', tonumber(ARGV[2])
        local fields = {}
        for i = 3, #ARGV do fields[#fields + 1] = ARGV[i] end
        local here = redis.call('XRANGE', key, id, id)
        if here[1] then
          local old = here[1][2]
          local same, revision = #old == #fields, 0
          for i = 1, #old, 2 do
            if old[i] == 'revision' then revision = tonumber(old[i + 1])
            elseif old[i] ~= 'source' and (old[i] ~= fields[i] or old[i + 1] ~= fields[i + 1]) then same = false end
          end
          if same then return 0 end
          fields[#fields] = tostring(revision + 1)
        end
        local before = redis.call('XREVRANGE', key, '(' .. id, '-', 'COUNT', 1)
        local tail = redis.call('XRANGE', key, id, '+')
        if not before[1] and not here[1] and #tail >= keep then return 3 end
        for _, entry in ipairs(tail) do redis.call('XDEL', key, entry[1]) end
        if redis.call('EXISTS', key) == 1 then
          redis.call('XSETID', key, before[1] and before[1][1] or '0-0')
        end
        redis.call('XADD', key, id, unpack(fields))
        for _, entry in ipairs(tail) do
          if entry[1] ~= id then redis.call('XADD', key, entry[1], unpack(entry[2])) end
        end
        redis.call('XTRIM', key, 'MAXLEN', '~', keep)
        return here[1] and 2 or 1
        """

    /// `EVAL script 1 key open keep`, up to the fields: 6 + 28 arguments.
    package static func head(key: String, history: Int, openTimeMs: Int64) -> [UInt8] {
        Array("*34\r\n".utf8) + RESP.bulk("EVAL") + RESP.bulk(source) + RESP.bulk("1") + RESP.bulk(key)
            + RESP.bulk(String(openTimeMs)) + RESP.bulk(String(history))
    }

    /// The whole command as arguments, for clients and tests.
    package static func command(key: String, history: Int, _ candle: Candle) -> [String] {
        let fields: [(String, String)] = [
            ("open", candle.open.description), ("high", candle.high.description), ("low", candle.low.description),
            ("close", candle.close.description), ("volume", candle.volume.description), ("close_time", String(candle.closeTimeMs)),
            ("quote_volume", candle.quoteVolume.description), ("count", String(candle.tradeCount)),
            ("taker_buy_volume", candle.takerBuyVolume.description), ("taker_buy_quote_volume", candle.takerBuyQuoteVolume.description),
            ("first_trade_id", String(candle.firstTradeID)), ("last_trade_id", String(candle.lastTradeID)),
            ("source", candle.source.name), ("revision", "0"),
        ]
        return ["EVAL", source, "1", key, String(candle.openTimeMs), String(history)] + fields.flatMap { [$0.0, $0.1] }
    }
}
