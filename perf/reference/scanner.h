// The schema scanner: the one layout in which the exchange writes its combined kline events, byte for byte. Every
// literal is compared, every number is checked to be one, with SSE2 alone (what each x86-64 has). Whatever looks
// different is not refused but left to simdjson.
//
// All helpers are force-inlined: clang leaves them as calls otherwise, which costs more than twice the time.

#pragma once

#include "kline.h"

#include <emmintrin.h>

namespace reference {
namespace scan {

template <size_t size>
INLINE bool literal(const char *&p, const char (&word)[size]) {
    bool same = __builtin_memcmp(p, word, size - 1) == 0;
    p += size - 1;
    return same;
}

INLINE __m128i load(const char *p) { return _mm_loadu_si128(reinterpret_cast<const __m128i *>(p)); }
INLINE uint32_t mask(__m128i bytes) { return uint32_t(_mm_movemask_epi8(bytes)); }
INLINE uint32_t digits(__m128i bytes) {
    __m128i value = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
    return mask(_mm_cmpeq_epi8(_mm_min_epu8(value, _mm_set1_epi8(9)), value));
}
INLINE uint32_t points(__m128i bytes) { return mask(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('.'))); }
INLINE uint32_t quotes(__m128i bytes) { return mask(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'))); }
/// Bytes that a plain string does not have: control characters, the backslash, anything beyond ASCII.
INLINE uint32_t strange(__m128i bytes) {
    return mask(_mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))));
}

INLINE void found(Kline &out, Field field, const char *message, const char *p, size_t length) {
    out.at[field] = uint16_t(p - message);
    out.length[field] = uint8_t(length);
}

/// Digits with at most one point between them, up to a quote.
INLINE bool decimal(const char *&p, const char *message, Kline &out, Field field) {
    __m128i low = load(p);
    uint32_t digit = digits(low), point = points(low);
    if (__builtin_expect((digit | point) == 0xFFFF, 0)) {
        __m128i high = load(p + 16);
        digit |= digits(high) << 16;
        point |= points(high) << 16;
        if ((digit | point) == 0xFFFFFFFF) return false;
    }
    uint32_t length = uint32_t(__builtin_ctz(~(digit | point)));
    uint32_t inside = (1u << length) - 1;
    point &= inside;
    uint32_t ends = 1u | (1u << length >> 1);
    bool good = (point & (point - 1)) == 0 && (digit & ends) == ends && p[length] == '"';
    found(out, field, message, p, length);
    p += length;
    return good;
}

/// Digits, at most fifteen, the first no zero unless it is the only one.
INLINE bool integer(const char *&p, const char *message, Kline &out, Field field) {
    uint32_t length = uint32_t(__builtin_ctz(~digits(load(p))));
    bool good = uint32_t(length - 1) < 15 && (p[0] != '0' || length == 1);
    found(out, field, message, p, length);
    p += length;
    return good;
}

/// The same, or -1: the ids of a bar without trades.
INLINE bool trade_id(const char *&p, const char *message, Kline &out, Field field) {
    if (__builtin_expect(p[0] != '-', 1)) return integer(p, message, out, field);
    bool good = p[1] == '1' && p[2] == ',';
    found(out, field, message, p, 2);
    p += 2;
    return good;
}

/// A plain string of less than 32 bytes that nobody keeps.
INLINE bool text(const char *&p) {
    __m128i low = load(p), high = load(p + 16);
    uint32_t quote = quotes(low) | quotes(high) << 16;
    if (quote == 0) return false;
    uint32_t length = uint32_t(__builtin_ctz(quote));
    bool good = ((strange(low) | strange(high) << 16) & ((1u << length) - 1)) == 0;
    p += length;
    return good;
}

}  // namespace scan

// What ends a member of a bar, the comma, in the USDⓈ-M market a space, and the next key.
#define NEXT(end, key) (spaced ? literal(p, end ", " key) : literal(p, end "," key))

/// True when the message has exactly the expected layout; then all of `out` is set.
/// `spaced`: that of the USDⓈ-M market.
template <bool spaced = false>
INLINE bool scan_kline(const char *message, size_t length, Kline &out) {
    using namespace scan;
    const char *p = message;
    if (!literal(p, "{\"stream\":\"") || !text(p)) return false;
    if (!literal(p, "\",\"data\":{\"e\":\"kline\",\"E\":") || !integer(p, message, out, event_time)) return false;
    if (!literal(p, ",\"s\":\"")) return false;
    __m128i symbol = load(p);
    uint32_t quote = quotes(symbol);
    if (quote == 0) return false;
    uint32_t symbol_length = uint32_t(__builtin_ctz(quote));
    uint32_t inside = (1u << symbol_length) - 1;
    if (symbol_length == 0 || (strange(symbol) & inside) != 0) return false;
    p += symbol_length;
    if (!literal(p, "\",\"k\":{\"t\":") || !integer(p, message, out, open_time)) return false;
    if (!NEXT("", "\"T\":") || !integer(p, message, out, close_time)) return false;
    if (!NEXT("", "\"s\":\"")) return false;
    // The same symbol once more, and the quote behind it.
    uint32_t with_quote = inside << 1 | 1;
    if ((mask(_mm_cmpeq_epi8(symbol, load(p))) & with_quote) != with_quote) return false;
    out.symbol_at = uint16_t(p - message);
    out.symbol_length = uint8_t(symbol_length);
    p += symbol_length;
    if (!NEXT("\"", "\"i\":\"")) return false;
    size_t interval_length = p[2] == '"' ? 2 : 3;
    out.interval = interval_key(p, interval_length);
    p += interval_length;
    if (!NEXT("\"", "\"f\":") || !trade_id(p, message, out, first_trade)) return false;
    if (!NEXT("", "\"L\":") || !trade_id(p, message, out, last_trade)) return false;
    if (!NEXT("", "\"o\":\"") || !decimal(p, message, out, open_price)) return false;
    if (!NEXT("\"", "\"c\":\"") || !decimal(p, message, out, close_price)) return false;
    if (!NEXT("\"", "\"h\":\"") || !decimal(p, message, out, high_price)) return false;
    if (!NEXT("\"", "\"l\":\"") || !decimal(p, message, out, low_price)) return false;
    if (!NEXT("\"", "\"v\":\"") || !decimal(p, message, out, volume)) return false;
    if (!NEXT("\"", "\"n\":") || !integer(p, message, out, trade_count)) return false;
    if (!NEXT("", "\"x\":")) return false;
    out.closed = *p == 't';
    if (!(out.closed ? NEXT("true", "\"q\":\"") : NEXT("false", "\"q\":\""))) return false;
    if (!decimal(p, message, out, quote_volume)) return false;
    if (!NEXT("\"", "\"V\":\"") || !decimal(p, message, out, taker_volume)) return false;
    if (!NEXT("\"", "\"Q\":\"") || !decimal(p, message, out, taker_quote)) return false;
    if (!NEXT("\"", "\"B\":\"") || !text(p) || !literal(p, "\"}}}")) return false;
    out.message_length = uint16_t(length);
    return p == message + length && length <= message_max;
}

#undef NEXT

}  // namespace reference
