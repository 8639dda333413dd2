// Inside json.cpp: the fast path. The exchange writes every kline alike, so the message is compared with that one
// layout instead of being taken apart: literals are literals, values are checked and copied as they pass. What deviates
// by a single byte is left to the parser that takes any JSON, so this path never refuses anything, and what it accepts
// it reads as that one does (the tests and a fuzz target compare the two).

#ifndef FF_KLINE_LAYOUT_H
#define FF_KLINE_LAYOUT_H

#include "kline_values.h"

#if defined(__SSE2__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FF_HAS_LAYOUT 1

namespace layout {

/// Where the text is read next, and whether all of it was as foreseen so far. `overran` stands often enough that between
/// two of them at most FF_JSON_PADDING bytes are read: nothing is that is not there.
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    uint64_t bad;
};

FF_INLINE uint64_t word(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

FF_INLINE __m128i half(const uint8_t *p) { return _mm_loadu_si128(reinterpret_cast<const __m128i *>(p)); }

FF_INLINE uint32_t bits(__m128i v) { return uint32_t(_mm_movemask_epi8(v)); }

/// A bit for each of 32 bytes that equals `c`.
FF_INLINE uint32_t matches(__m128i low, __m128i high, char c) {
    const __m128i all = _mm_set1_epi8(c);
    return bits(_mm_cmpeq_epi8(low, all)) | bits(_mm_cmpeq_epi8(high, all)) << 16;
}

/// A bit for each of 16 bytes that is a digit.
FF_INLINE uint32_t digits16(__m128i v) {
    v = _mm_sub_epi8(v, _mm_set1_epi8('0'));
    return bits(_mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(9)), v));
}

/// A bit for each of 16 bytes that may stand in a string as it is: ASCII, no control, quote or backslash.
FF_INLINE uint32_t plain16(__m128i v) {
    __m128i visible = _mm_cmpgt_epi8(v, _mm_set1_epi8(0x1F));  // signed: what is not ASCII is negative
    __m128i special = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\\')), _mm_cmpeq_epi8(v, _mm_set1_epi8('"')));
    return bits(_mm_andnot_si128(special, visible));
}

/// A literal of at most 32 bytes: words that overlap at the end. Nothing branches.
template <size_t N> FF_INLINE void expect(cursor &c, const char (&literal)[N]) {
    constexpr size_t length = N - 1;
    static_assert(length >= 4 && length <= 32, "four bytes at least");
    auto *text = reinterpret_cast<const uint8_t *>(literal);
    if constexpr (length >= 8) {
        for (size_t i = 0; i + 8 <= length; i += 8) c.bad |= word(c.at + i) ^ word(text + i);
        if (length % 8 != 0) c.bad |= word(c.at + length - 8) ^ word(text + length - 8);
    } else {
        uint32_t there[2], wanted[2];
        memcpy(&there[0], c.at, 4);
        memcpy(&there[1], c.at + length - 4, 4);
        memcpy(&wanted[0], text, 4);
        memcpy(&wanted[1], text + length - 4, 4);
        c.bad |= (there[0] ^ wanted[0]) | (there[1] ^ wanted[1]);
    }
    c.at += length;
}

/// True when the text is at its end already.
FF_INLINE bool overran(const cursor &c) { return __builtin_expect(c.at > c.end, 0); }

/// A time of 13 digits; the first five of them change once in 28 hours, so they are mostly those of the event time.
struct time_text {
    uint64_t first;  // the first five digits, in the high bytes
    int64_t value;   // as a number, times 10^8
};

FF_INLINE uint64_t first_five(const uint8_t *p) { return word(p) << 24; }

FF_INLINE time_text take_days(cursor &c) {
    uint64_t days = first_five(c.at), digits = days ^ 0x3030303030000000;
    c.bad |= (digits | (digits + 0x7676767676000000)) & 0x8080808080000000;
    c.bad |= (digits & 0xFF000000) == 0;  // no number begins with a zero
    return {days, int64_t(eight_digits(digits) * 100000000)};
}

FF_INLINE int64_t take_time(cursor &c, const time_text &days) {
    uint64_t digits = word(c.at + 5) ^ 0x3030303030303030;
    c.bad |= (digits | (digits + 0x7676767676767676)) & 0x8080808080808080;
    int64_t value = days.value;
    if (__builtin_expect(first_five(c.at) != days.first, 0)) value = take_days(c).value;
    c.at += 13;
    return value + int64_t(eight_digits(digits));
}

/// The bytes of a right-aligned number that are not in front of it: 16 − n from `tail + n`.
static const uint8_t tail[32] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

/// An integer of at most 15 digits. At least 16 bytes of text lie before it.
FF_INLINE int64_t take_integer(cursor &c, bool is_mostly_short) {
    const uint8_t *p = c.at;
    uint32_t count = uint32_t(__builtin_ctz(~digits16(half(p))));
    c.bad |= (count - 1 > 14) | ((p[0] == '0') & (count > 1));
    const uint8_t *end = p + count;
    c.at = end;
    // The digits at the right end of two words, zeros in front of them.
    uint64_t value = eight_digits((word(end - 8) ^ 0x3030303030303030) & word(tail + 8 + count));
    uint64_t high = (word(end - 16) ^ 0x3030303030303030) & word(tail + count);
    if (!is_mostly_short || __builtin_expect(count > 8, 0)) value += eight_digits(high) * 100000000;
    return int64_t(value);
}

FF_INLINE int64_t take_count(cursor &c) { return take_integer(c, true); }

/// A trade's id, short or long, which no branch must guess; it is −1 where there was no trade.
FF_INLINE int64_t take_id(cursor &c) {
    bool is_negative = c.at[0] == '-';
    if (__builtin_expect(is_negative, 0)) c.at++;
    int64_t value = take_integer(c, false);
    return __builtin_expect(is_negative, 0) ? -value : value;
}

/// 32 bytes of text, and a bit for each that is no digit; none of the bits from 32 on is one.
struct block {
    __m128i low, high;
    uint64_t other;
};

FF_INLINE block look(const uint8_t *p) {
    __m128i low = half(p), high = half(p + 16);
    return {low, high, ~(digits16(low) | uint64_t(digits16(high)) << 16)};
}

/// Where a decimal has its point and its end, kept for those that are probably of the same shape: the prices of a bar.
/// (Its volumes are not alike often enough: a wrong guess costs more than waiting.)
struct shape {
    uint64_t other;  // bits of the point and of the byte behind the last
    uint64_t mask;   // the bits up to that one
    size_t length;
    size_t point;    // `length` when there is none
    uint8_t at_point;
    __m128i low, high;
};

FF_INLINE void copy(cursor &c, const block &b, const shape &s, ff_decimal *out) {
    _mm_storeu_si128(reinterpret_cast<__m128i *>(out->text), _mm_and_si128(b.low, s.low));
    _mm_storeu_si128(reinterpret_cast<__m128i *>(out->text + 16), _mm_and_si128(b.high, s.high));
    out->length = uint8_t(s.length);
    c.at += s.length;
}

/// A decimal of any shape: digits, a point, digits, of 31 bytes at most; or digits alone.
FF_INLINE shape take_decimal(cursor &c, const block &b, ff_decimal *out) {
    static const uint8_t keep[64] = {
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
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
    s.low = half(keep + 32 - s.length);
    s.high = half(keep + 48 - s.length);
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

/// Reads a message of the foreseen layout, raw or combined. False: it has another one (or is no kline), `m` and its
/// record hold rubbish.
FF_INLINE bool read(const uint8_t *bytes, size_t size, message &m) {
    if (size < 200) return false;
    cursor c = {bytes, bytes + size, 0};
    ff_candle &out = *m.out;
    bool is_combined = bytes[2] == 's';
    if (is_combined) {
        expect(c, "{\"stream\":\"");
        __m128i low = half(c.at), high = half(c.at + 16);
        uint32_t quotes = matches(low, high, '"');
        uint32_t plain = plain16(low) | plain16(high) << 16;
        uint32_t length = uint32_t(__builtin_ctz(quotes | 1u << 31));
        c.bad |= ~plain & ((1u << length) - 1);
        c.at += length;
        expect(c, "\",\"data\":");
        if (overran(c)) return false;
    }
    expect(c, "{\"e\":\"kline\",\"E\":");
    time_text days = take_days(c);
    out.event_time = take_time(c, days);
    expect(c, ",\"s\":\"");
    if (__builtin_expect(c.bad != 0, 0)) return false;  // most probably no kline at all
    // The symbol: fifteen bytes at most, twice the same.
    __m128i name = half(c.at);
    uint32_t quotes = bits(_mm_cmpeq_epi8(name, _mm_set1_epi8('"')));
    uint32_t length = uint32_t(__builtin_ctz(quotes | 1u << 16));
    uint32_t all = (1u << length) - 1;
    c.bad |= (~plain16(name) & all) | (length - 1 > 14);
    if (overran(c)) return false;
    c.at += length;
    expect(c, "\",\"k\":{\"t\":");
    out.open_time = take_time(c, days);
    if (overran(c)) return false;
    expect(c, ",\"T\":");
    out.close_time = take_time(c, days);
    expect(c, ",\"s\":\"");
    c.bad |= ~bits(_mm_cmpeq_epi8(name, half(c.at))) & all;
    m.symbol = {c.at, length};
    c.at += length;
    expect(c, "\",\"i\":\"");
    if (overran(c)) return false;
    size_t token = c.at[2] == '"' ? 2 : 3;
    out.interval = interval_code({c.at, token});
    c.bad |= out.interval >> 4;
    c.at += token;
    expect(c, "\",\"f\":");
    out.first_trade_id = take_id(c);
    expect(c, ",\"L\":");
    out.last_trade_id = take_id(c);
    expect(c, ",\"o\":\"");
    if (overran(c)) return false;
    shape price = take_decimal(c, &out.open);
    expect(c, "\",\"c\":\"");
    if (overran(c)) return false;
    take_decimal(c, price, &out.close);
    expect(c, "\",\"h\":\"");
    if (overran(c)) return false;
    take_decimal(c, price, &out.high);
    expect(c, "\",\"l\":\"");
    if (overran(c)) return false;
    take_decimal(c, price, &out.low);
    expect(c, "\",\"v\":\"");
    if (overran(c)) return false;
    take_decimal(c, &out.volume);
    expect(c, "\",\"n\":");
    out.trade_count = take_count(c);
    expect(c, ",\"x\":");
    if (overran(c)) return false;
    out.flags = c.at[0] == 't';
    if (__builtin_expect(out.flags, 0)) expect(c, "true,\"q\":\"");
    else expect(c, "false,\"q\":\"");
    if (overran(c)) return false;
    take_decimal(c, &out.quote_volume);
    expect(c, "\",\"V\":\"");
    if (overran(c)) return false;
    take_decimal(c, &out.taker_buy_volume);
    expect(c, "\",\"Q\":\"");
    if (overran(c)) return false;
    take_decimal(c, &out.taker_buy_quote_volume);
    // The exchange's field of no meaning: a number, mostly 0, that nobody reads.
    expect(c, "\",\"B\":\"");
    if (overran(c)) return false;
    uint32_t ignored = uint32_t(__builtin_ctz(~digits16(half(c.at)) | 1u << 16));
    c.at += ignored;
    if (is_combined) {
        expect(c, "\"}}}");
    } else {
        c.bad |= memcmp(c.at, "\"}}", 3) != 0;
        c.at += 3;
    }
    if (__builtin_expect((c.bad != 0) | (c.at != c.end), 0)) return false;
    m.is_kline = true;
    m.seen = required;
    return true;
}

}  // namespace layout

#endif
#endif
