// Inside json.cpp: the fast path. The exchange writes every kline of a market alike, so the message is compared with that
// layout instead of being taken apart: literals are literals, values are checked and copied as they pass. There are two layouts, which
// differ in the space between the members of a bar: spot has none, USDⓈ-M has one behind each comma. What deviates
// by a single byte is left to the parser that takes any JSON, so this path never refuses anything, and what it accepts
// it reads as that one does (the tests and a fuzz target compare them).
//
// Included once for each kind of lanes (kline_lanes_narrow.h, kline_lanes_wide.h), in a namespace of its own: those say how
// many bytes are looked at together, this how a message looks.

/// True when the text has ended before here. It stands often enough that between two of them at most FF_JSON_PADDING bytes
/// are passed or looked at: nothing is read that is not there.
FF_INLINE bool overran(const cursor &c) { return __builtin_expect(c.at > c.end, 0); }

FF_INLINE int64_t take_count(cursor &c) { return take_integer(c, true); }

/// A trade's id, short or long, which no branch must guess; it is −1 where there was no trade.
FF_INLINE int64_t take_id(cursor &c) {
    bool is_negative = c.at[0] == '-';
    if (__builtin_expect(is_negative, 0)) c.at++;
    int64_t value = take_integer(c, false);
    return __builtin_expect(is_negative, 0) ? -value : value;
}

/// Where a decimal has its point and its end, kept for those that are probably of the same shape: the prices of a bar.
/// (Its volumes are not alike often enough: a wrong guess costs more than waiting.)
struct shape {
    uint64_t other;  // bits of the point and of the byte behind the last
    uint64_t mask;   // the bits up to that one
    size_t length;
    size_t point;    // `length` when there is none
    uint8_t at_point;
    keeping kept;
};

FF_INLINE void copy(cursor &c, const block &b, const shape &s, ff_decimal *out) {
    store(b, s.kept, out);
    out->length = uint8_t(s.length);
    c.at += s.length;
}

/// A decimal of any shape: digits, a point, digits, of 31 bytes at most; or digits alone.
FF_INLINE shape take_decimal(cursor &c, const block &b, ff_decimal *out) {
    shape s;
    s.point = size_t(__builtin_ctzll(b.other));
    uint64_t rest = b.other & (b.other - 1);
    s.at_point = c.at[s.point];
    if (__builtin_expect(s.at_point == '.', 1)) {
        s.length = size_t(__builtin_ctzll(rest));
        c.bad |= s.length == s.point + 1;
    } else {
        s.length = s.point;
    }
    c.bad |= (b.other & 1) | s.length >> 5;
    s.length &= 31;
    s.mask = (2ull << s.length) - 1;
    s.other = b.other & s.mask;
    s.kept = keep(s.length);
    copy(c, b, s, out);
    return s;
}

FF_INLINE shape take_decimal(cursor &c, ff_decimal *out) { return take_decimal(c, look(c.at), out); }

/// A decimal that probably has the shape of another: then where the next field begins is known without waiting for this
/// one to be looked through.
FF_INLINE void take_decimal(cursor &c, const shape &like, ff_decimal *out) {
    block b = look(c.at);
    if (__builtin_expect(((b.other ^ like.other) & like.mask) == 0, 1)) {
        c.bad |= c.at[like.point] ^ like.at_point;
        copy(c, b, like, out);
    } else {
        take_decimal(c, b, out);
    }
}

#define FF_EITHER(dense, spaced) \
    do { \
        if constexpr (is_spaced) expect(c, spaced); \
        else expect(c, dense); \
    } while (0)
/// The next member of a bar: what ends the one before it, and its key.
#define FF_MEMBER(end, key) FF_EITHER(end "," key, end ", " key)

/// Reads a message of the foreseen layout, raw or combined. False: it has another one (or is not a kline), `m` and its
/// record hold rubbish.
template <bool is_spaced> __attribute__((noinline)) static bool read(const uint8_t *bytes, size_t size, message &m) {
    if (size < 200) return false;
    cursor c(bytes, size);
    ff_candle &out = *m.out;
    bool is_combined = bytes[2] == 's';
    if (is_combined) {
        expect(c, "{\"stream\":\"");
        bytes16 low = half(c.at), high = half(c.at + 16);
        uint32_t quotes = equal16(low, '"') | equal16(high, '"') << 16;
        uint32_t plain = plain16(low) | plain16(high) << 16;
        uint32_t length = uint32_t(__builtin_ctz(quotes | 1u << 31));
        c.bad |= ~plain & ((1u << length) - 1);
        c.at += length;
        expect(c, "\",\"data\":");
    }
    expect(c, "{\"e\":\"kline\",\"E\":");
    if (__builtin_expect(is_wrong(c), 0)) return false;  // most probably no kline at all
    out.event_time = take_first_time(c);
    expect(c, ",\"s\":\"");
    // The symbol: fifteen bytes at most, twice the same.
    bytes16 name = half(c.at);
    uint32_t quotes = equal16(name, '"');
    uint32_t length = uint32_t(__builtin_ctz(quotes | 1u << 16));
    uint32_t all = (1u << length) - 1;
    c.bad |= (~plain16(name) & all) | (length - 1 > 14);
    c.at += length;
    expect(c, "\",\"k\":{\"t\":");
    if (overran(c)) return false;
    out.open_time = take_time(c);
    FF_MEMBER("", "\"T\":");
    out.close_time = take_time(c);
    FF_MEMBER("", "\"s\":\"");
    c.bad |= ~bits(name == half(c.at)) & all;
    m.symbol = {c.at, length};
    c.at += length;
    FF_MEMBER("\"", "\"i\":\"");
    size_t token = c.at[2] == '"' ? 2 : 3;
    out.interval = interval_code({c.at, token});
    c.bad |= out.interval >> 4;
    c.at += token;
    FF_MEMBER("\"", "\"f\":");
    out.first_trade_id = take_id(c);
    FF_MEMBER("", "\"L\":");
    out.last_trade_id = take_id(c);
    FF_MEMBER("", "\"o\":\"");
    if (overran(c)) return false;
    shape price = take_decimal(c, &out.open);
    FF_MEMBER("\"", "\"c\":\"");
    take_decimal(c, price, &out.close);
    FF_MEMBER("\"", "\"h\":\"");
    take_decimal(c, price, &out.high);
    FF_MEMBER("\"", "\"l\":\"");
    take_decimal(c, price, &out.low);
    FF_MEMBER("\"", "\"v\":\"");
    take_decimal(c, &out.volume);
    FF_MEMBER("\"", "\"n\":");
    if (overran(c)) return false;
    out.trade_count = take_count(c);
    out.flags = c.at[5 + is_spaced] == 't';
    if (__builtin_expect(out.flags, 0)) FF_EITHER(",\"x\":true,\"q\":\"", ", \"x\":true, \"q\":\"");
    else FF_EITHER(",\"x\":false,\"q\":\"", ", \"x\":false, \"q\":\"");
    take_decimal(c, &out.quote_volume);
    FF_MEMBER("\"", "\"V\":\"");
    take_decimal(c, &out.taker_buy_volume);
    FF_MEMBER("\"", "\"Q\":\"");
    take_decimal(c, &out.taker_buy_quote_volume);
    // The exchange's field of no meaning: a number, mostly 0, that nobody reads.
    FF_MEMBER("\"", "\"B\":\"");
    uint32_t ignored = uint32_t(__builtin_ctz(~digits16(half(c.at)) | 1u << 16));
    c.at += ignored;
    if (is_combined) expect(c, "\"}}}");
    else expect(c, "\"}}");
    if (__builtin_expect(is_wrong(c) | (c.at != c.end), 0)) return false;
    m.is_kline = true;
    m.seen = required;
    return true;
}

#undef FF_MEMBER
#undef FF_EITHER
