// Inside json.cpp: the middle path. A bar whose members come in the exchange's order and in its shapes, with white space around
// values and whatever around the bar: read over the structural positions without looking a key up. A key that deviates, and
// what follows it, is left to the loop that takes members in any order; of a value that deviates the whole bar is.
//
// Included once for each kind of lanes, as kline_layout.h is, whose fields it reads the same way.

/// A bar that is being read in order.
struct in_order {
    const uint8_t *bytes;
    position at;
    cursor c;
    text value = {nullptr, 0};

    /// Whether the next member has this key, and one token as its value with a comma behind it; then steps over it.
    FF_INLINE_MEMBER bool next(uint8_t letter) {
        uint32_t key, wanted = uint32_t('"') | uint32_t(letter) << 8 | uint32_t('"') << 16 | uint32_t(':') << 24;
        memcpy(&key, bytes + at[0], 4);
        if (__builtin_expect(key != wanted || bytes[at[3]] != ',', 0)) return false;
        value = token(bytes, at + 2);
        c.at = value.bytes;
        at += 4;
        return true;
    }

    /// The field must end where its token does.
    FF_INLINE_MEMBER void end_here() { c.bad |= uint64_t(c.at != value.bytes + value.length); }

    FF_INLINE_MEMBER bool time(uint8_t letter, int64_t *out) {
        if (!next(letter)) return false;
        *out = take_time(c);
        end_here();
        return true;
    }

    FF_INLINE_MEMBER bool id(uint8_t letter, int64_t *out) {
        if (!next(letter)) return false;
        *out = take_id(c);
        end_here();
        return true;
    }

    /// A string's text, without its quotes.
    FF_INLINE_MEMBER bool string(uint8_t letter) {
        if (!next(letter)) return false;
        c.bad |= uint64_t(value.bytes[0] ^ '"') | uint64_t(value.bytes[value.length - 1] ^ '"');
        value = {value.bytes + 1, value.length - 2};
        return true;
    }

    FF_INLINE_MEMBER bool decimal(uint8_t letter, ff_decimal *out) {
        if (!string(letter)) return false;
        size_t length = value.length & 31;
        block b = look(value.bytes);
        uint64_t behind = 1ull << length, other = b.other & (behind - 1), ends = 1 | behind >> 1;
        uint8_t point = value.bytes[__builtin_ctzll(other | behind)];
        c.bad |= (other & (other - 1)) | (b.other & ends) | (value.length ^ length) | uint64_t(other != 0 && point != '.');
        store(b, keep(length), out);
        out->length = uint8_t(length);
        return true;
    }

    FF_INLINE_MEMBER bool symbol(uint8_t letter, text *out) {
        if (!string(letter)) return false;
        c.bad |= uint64_t(value.length - 1 > 14) | (~plain16(half(value.bytes)) & ((1u << (value.length & 15)) - 1));
        *out = value;
        return true;
    }

    FF_INLINE_MEMBER bool interval(uint8_t letter, uint8_t *out) {
        if (!string(letter)) return false;
        *out = interval_code(value);
        c.bad |= *out >> 4;
        return true;
    }

    FF_INLINE_MEMBER bool closed(uint8_t letter, uint8_t *flags) {
        if (!next(letter)) return false;
        bool is_true = is(value, "true");
        c.bad |= uint64_t(!is_true && !is(value, "false"));
        *flags = is_true;
        return true;
    }
};

/// Takes what it can of a bar; `at` is behind its opening brace. Returns the position of the first member that it has not taken.
__attribute__((noinline)) static position take_in_order(message &m, position at) {
    // Four positions for each of 16 members and one for what follows; and 16 bytes of text before the first number.
    if (m.end - at <= 4 * 16 || *at < 16) return at;
    ff_candle &out = *m.out;
    text symbol = m.symbol;
    in_order bar{m.bytes, at, cursor(m.bytes, 0)};
    (void)(bar.time('t', &out.open_time) && bar.time('T', &out.close_time) && bar.symbol('s', &symbol) &&
           bar.interval('i', &out.interval) && bar.id('f', &out.first_trade_id) && bar.id('L', &out.last_trade_id) &&
           bar.decimal('o', &out.open) && bar.decimal('c', &out.close) && bar.decimal('h', &out.high) && bar.decimal('l', &out.low) &&
           bar.decimal('v', &out.volume) && bar.id('n', &out.trade_count) && bar.closed('x', &out.flags) &&
           bar.decimal('q', &out.quote_volume) && bar.decimal('V', &out.taker_buy_volume) &&
           bar.decimal('Q', &out.taker_buy_quote_volume));
    if (__builtin_expect(is_wrong(bar.c), 0)) return at;
    m.symbol = symbol;
    m.seen |= (1u << (bar.at - at) / 4) - 1;  // four positions each; the bits are in the exchange's order
    return bar.at;
}
