// Inside json.cpp: the tokens of a kline message and the values of its fields. Everything here works on the
// structural positions that simdjson's first stage has found. Pure.

#ifndef FF_KLINE_VALUES_H
#define FF_KLINE_VALUES_H

#include "bytes16.h"
#include "ff_json.h"

namespace {

enum { depth_max = 64 };

// Which fields were seen. The bar's come first, in the order of the exchange's own messages.
enum field : uint32_t {
    k_t = 1u << 0, k_T = 1u << 1, k_s = 1u << 2, k_i = 1u << 3, k_f = 1u << 4, k_L = 1u << 5, k_o = 1u << 6,
    k_c = 1u << 7, k_h = 1u << 8, k_l = 1u << 9, k_v = 1u << 10, k_n = 1u << 11, k_x = 1u << 12, k_q = 1u << 13,
    k_V = 1u << 14, k_Q = 1u << 15,
    f_e = 1u << 16, f_event_time = 1u << 17, f_s = 1u << 18, f_k = 1u << 19, f_data = 1u << 20, f_stream = 1u << 21,
};
const uint32_t required = 0xFFFF | f_e | f_event_time | f_k;

struct text {
    const uint8_t *bytes;
    size_t length;
};

/// One message: its bytes, where its structural positions end, and what has been found in it.
struct message {
    const uint8_t *bytes;
    const uint32_t *end;
    ff_candle *out;
    uint32_t seen = 0;
    uint32_t fault = FF_KLINE;  // the first field fault; it counts only if the event is a kline
    bool is_kline = false;
    int lanes = FF_LANES_NONE;
    text symbol = {nullptr, 0}, event_symbol = {nullptr, 0};
};

// A position is a pointer into the structural indexes. Functions take the position of a value and return the
// position behind it, or NULL when the bytes are not JSON.
typedef const uint32_t *position;

FF_INLINE bool is_space(uint8_t c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
FF_INLINE bool is_digit(uint8_t c) { return uint8_t(c - '0') < 10; }

/// The token at `at`, which lies before the end: up to the next structural position, trailing white space cut. The cutting ends at
/// the token's first byte at the latest, which is not white space.
FF_INLINE text token(const uint8_t *bytes, position at) {
    const uint8_t *first = bytes + at[0];
    const uint8_t *last = bytes + at[1];
    if (__builtin_expect(last[-1] <= ' ', 0)) while (is_space(last[-1])) last--;
    return {first, size_t(last - first)};
}

/// The body of the string token at `at`, still escaped; NULL bytes when something else is glued to it.
FF_INLINE text string_body(const uint8_t *bytes, position at) {
    text t = token(bytes, at);
    if (__builtin_expect(t.length < 2 || t.bytes[t.length - 1] != '"', 0)) return {nullptr, 0};
    return {t.bytes + 1, t.length - 2};
}

template <size_t N> FF_INLINE bool is(text t, const char (&word)[N]) {
    return t.length == N - 1 && __builtin_memcmp(t.bytes, word, N - 1) == 0;
}

bool hex4(const uint8_t *p, const uint8_t *end) {
    if (end - p < 4) return false;
    for (int i = 0; i < 4; i++) {
        uint8_t c = p[i] | 0x20;
        if (!(is_digit(p[i]) || (c >= 'a' && c <= 'f'))) return false;
    }
    return true;
}

/// Whether a string of at most 31 bytes has no escape, by one look. The message is padded.
FF_INLINE bool is_short_and_plain(text t) {
    uint32_t low = equal16(half(t.bytes), '\\'), high = equal16(half(t.bytes + 16), '\\');
    return t.length < 32 && ((low | high << 16) & ((1u << t.length) - 1)) == 0;
}

__attribute__((noinline)) bool long_escapes_are_valid(text t) {
    const uint8_t *p = t.bytes, *end = t.bytes + t.length;
    while (p < end && (p = static_cast<const uint8_t *>(memchr(p, '\\', size_t(end - p)))) != nullptr) {
        if (++p == end) return false;
        if (*p == 'u') {
            if (!hex4(p + 1, end)) return false;
            p += 5;
        } else {
            if (memchr("\"\\/bfnrt", *p, 8) == nullptr) return false;
            p++;
        }
    }
    return true;
}

/// The hexadecimal digits at `p`, which are valid.
uint32_t hex_unit(const uint8_t *p) {
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++) unit = unit << 4 | (is_digit(p[i]) ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
    return unit;
}

uint8_t *put_utf8(uint32_t scalar, uint8_t *to) {
    if (scalar < 0x80) *to++ = uint8_t(scalar);
    else {
        int tail = scalar < 0x800 ? 1 : scalar < 0x10000 ? 2 : 3;
        *to++ = uint8_t((0xF80 >> tail) | scalar >> 6 * tail);  // 0xC0, 0xE0 or 0xF0
        while (tail-- > 0) *to++ = uint8_t(0x80 | (scalar >> 6 * tail & 0x3F));
    }
    return to;
}

/// A name with its escapes taken out, in one of two places of this thread; NULL bytes when they are not valid. A name stays as it
/// was written when it has none or is longer than a name can be, or where they stand for a control character (names are compared
/// padded with zeros) or for half a character.
__attribute__((noinline)) text unescaped(text t, bool is_second) {
    static thread_local uint8_t places[2][256 + 32];
    if (!long_escapes_are_valid(t)) return {nullptr, 0};
    if (t.length > 255 || memchr(t.bytes, '\\', t.length) == nullptr) return t;
    const uint8_t *p = t.bytes, *end = t.bytes + t.length;
    uint8_t *to = places[is_second];
    while (p < end) {
        uint32_t scalar = *p++;
        if (scalar != '\\') {
            *to++ = uint8_t(scalar);
            continue;
        }
        scalar = *p++;
        if (scalar == 'u') {
            scalar = hex_unit(p);
            p += 4;
            if (scalar >= 0xDC00 && scalar < 0xE000) return t;
            if (scalar >= 0xD800 && scalar < 0xDC00) {
                uint32_t low = end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hex_unit(p + 2) : 0;
                if (low < 0xDC00 || low >= 0xE000) return t;
                scalar = 0x10000 + ((scalar - 0xD800) << 10 | (low - 0xDC00));
                p += 6;
            }
        } else if (scalar != '"' && scalar != '\\' && scalar != '/') return t;
        if (scalar < 0x20) return t;
        to = put_utf8(scalar, to);
    }
    return {places[is_second], size_t(to - places[is_second])};
}

FF_INLINE bool escapes_are_valid(text t) { return __builtin_expect(is_short_and_plain(t), 1) || long_escapes_are_valid(t); }

bool number_is_valid(text t) {
    const uint8_t *p = t.bytes, *end = t.bytes + t.length;
    auto digits = [&] { const uint8_t *from = p; while (p < end && is_digit(*p)) p++; return p > from; };
    if (p < end && *p == '-') p++;
    if (p < end && *p == '0') p++;
    else if (!digits()) return false;
    if (p < end && *p == '.') { p++; if (!digits()) return false; }
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        if (!digits()) return false;
    }
    return p == end;
}

/// A string, number, true, false or null that nobody reads.
position skip_scalar(const uint8_t *bytes, position at) {
    text t = token(bytes, at);
    bool valid;
    if (t.length == 0) valid = false;
    else if (t.bytes[0] == '"') {
        text body = string_body(bytes, at);
        valid = body.bytes != nullptr && escapes_are_valid(body);
    } else if (t.bytes[0] == '-' || is_digit(t.bytes[0])) valid = number_is_valid(t);
    else valid = is(t, "true") || is(t, "false") || is(t, "null");
    return valid ? at + 1 : nullptr;
}

/// `"key":` of a member nobody reads.
position skip_key(const uint8_t *bytes, position at, position end) {
    if (end - at < 3 || bytes[at[0]] != '"' || bytes[at[1]] != ':') return nullptr;
    text body = string_body(bytes, at);
    return body.bytes != nullptr && escapes_are_valid(body) ? at + 2 : nullptr;
}

/// Any value that nobody reads, without recursion: a bit per level says whether it is an object.
__attribute__((noinline)) position skip_value(const uint8_t *bytes, position at, position end, int depth) {
    uint64_t objects = 0;
    int level = 0;
    for (;;) {
        if (at >= end) return nullptr;
        uint8_t c = bytes[*at];
        if (c == '{' || c == '[') {
            if (depth + ++level > depth_max) return nullptr;
            objects = (objects << 1) | (c == '{');
            if (++at >= end) return nullptr;
            if (bytes[*at] != (c == '{' ? '}' : ']')) {
                if (c == '{' && (at = skip_key(bytes, at, end)) == nullptr) return nullptr;
                continue;
            }
        } else if (c == '}' || c == ']' || c == ',' || c == ':') {
            return nullptr;
        } else {
            if ((at = skip_scalar(bytes, at)) == nullptr) return nullptr;
            if (level == 0) return at;
        }
        // After a value: closings, until a comma says that another follows.
        for (;;) {
            if (at >= end) return nullptr;
            c = bytes[*at++];
            if (c == ',') break;
            if (c != ((objects & 1) ? '}' : ']')) return nullptr;
            objects >>= 1;
            if (--level == 0) return at;
        }
        if ((objects & 1) && (at = skip_key(bytes, at, end)) == nullptr) return nullptr;
    }
}

/// The same, where it most probably is a string.
FF_INLINE position skip_string(const uint8_t *bytes, position at, position end, int depth) {
    text t = token(bytes, at);
    bool is_plain = t.length >= 2 && t.bytes[0] == '"' && t.bytes[t.length - 1] == '"' && is_short_and_plain({t.bytes + 1, t.length - 2});
    return __builtin_expect(is_plain, 1) ? at + 1 : skip_value(bytes, at, end, depth);
}

// MARK: Field values

/// `length` bytes of digits, at most one point, not at either end; a minus sign may stand in front.
bool is_decimal_slow(const uint8_t *p, size_t length) {
    const uint8_t *end = p + length;
    if (p < end && *p == '-') p++;
    size_t whole = 0, fraction = 0;
    while (p < end && is_digit(*p)) { p++; whole++; }
    if (p == end) return whole > 0;
    if (*p++ != '.') return false;
    while (p < end && is_digit(*p)) { p++; fraction++; }
    return p == end && whole > 0 && fraction > 0;
}

/// Checks and copies a decimal with two 16-byte loads. The message is padded, so reading past the text is
/// allowed; what is not text becomes zero, so that equal texts are equal bytes.
FF_INLINE bool copy_decimal(const uint8_t *p, size_t length, ff_decimal *out) {
    bytes16 low = half(p), high = half(p + 16);
    uint32_t all = (1u << length) - 1;
    uint32_t digits = (digits16(low) | digits16(high) << 16) & all;
    uint32_t points = (equal16(low, '.') | equal16(high, '.') << 16) & all;
    uint32_t ends = 1u | 1u << (length - 1);
    bool plain = (digits | points) == all && (points & (points - 1)) == 0 && (digits & ends) == ends;
    if (__builtin_expect(!plain, 0) && !is_decimal_slow(p, length)) return false;
    const uint8_t *mask = front + 32 - length;
    put(out->text, low & half(mask));
    put(out->text + 16, high & half(mask + 16));
    out->length = uint8_t(length);
    return true;
}

/// Eight digit values, the first in the lowest byte, as a number.
FF_INLINE uint64_t eight_digits(uint64_t v) {
    v = v * 10 + (v >> 8);
    return (((v & 0x000000FF000000FF) * 0x000F424000000064) + (((v >> 16) & 0x000000FF000000FF) * 0x0000271000000001)) >> 32;
}

/// The first `count` (1…8) bytes at `p` as digits. Sets `bad` if one is not a digit.
FF_INLINE uint64_t some_digits(const uint8_t *p, size_t count, uint64_t &bad) {
    uint64_t v = word(p) - 0x3030303030303030;
    v <<= 8 * (8 - count);  // digits before the first are zero
    bad |= (v | (v + 0x7676767676767676)) & 0x8080808080808080;
    return eight_digits(v);
}

/// A JSON integer of at most 18 digits.
FF_INLINE bool read_integer(text t, int64_t *out) {
    bool negative = t.bytes[0] == '-';
    const uint8_t *p = t.bytes + negative;
    size_t count = t.length - negative;
    if (__builtin_expect(count == 0 || count > 18 || (p[0] == '0' && count > 1), 0)) return false;
    uint64_t bad = 0;
    size_t first = (count - 1) % 8 + 1;
    uint64_t value = some_digits(p, first, bad);
    for (p += first, count -= first; count > 0; p += 8, count -= 8) value = value * 100000000 + some_digits(p, 8, bad);
    *out = negative ? -int64_t(value) : int64_t(value);
    return bad == 0;
}

/// Unix time in ms, from ms or µs (16 digits), as either time unit of the stream gives it.
FF_INLINE int64_t milliseconds(int64_t time) { return __builtin_expect(time >= 100000000000000, 0) ? time / 1000 : time; }

/// The interval's code, or 16.
FF_INLINE uint8_t interval_code(text t) {
    if (t.length < 2 || t.length > 3) return 16;
    // With the length in it: a third byte of zero is not none.
    uint32_t key = t.bytes[0] | t.bytes[1] << 8 | (t.length == 3 ? t.bytes[2] << 16 : 0) | uint32_t(t.length) << 24;
#define TOKEN2(a, b) ((a) | (b) << 8 | 2 << 24)
#define TOKEN3(a, b, c) ((a) | (b) << 8 | (c) << 16 | 3 << 24)
    switch (key) {
    case TOKEN2('1', 's'): return 0;
    case TOKEN2('1', 'm'): return 1;
    case TOKEN2('3', 'm'): return 2;
    case TOKEN2('5', 'm'): return 3;
    case TOKEN3('1', '5', 'm'): return 4;
    case TOKEN3('3', '0', 'm'): return 5;
    case TOKEN2('1', 'h'): return 6;
    case TOKEN2('2', 'h'): return 7;
    case TOKEN2('4', 'h'): return 8;
    case TOKEN2('6', 'h'): return 9;
    case TOKEN2('8', 'h'): return 10;
    case TOKEN3('1', '2', 'h'): return 11;
    case TOKEN2('1', 'd'): return 12;
    case TOKEN2('3', 'd'): return 13;
    case TOKEN2('1', 'w'): return 14;
    case TOKEN2('1', 'M'): return 15;
    default: return 16;
    }
#undef TOKEN2
#undef TOKEN3
}

FF_INLINE void note(uint32_t &fault, uint32_t reason) {
    if (fault == FF_KLINE) fault = reason;
}

/// A field whose value is refused: the fault is noted, and the value still has to be JSON.
__attribute__((noinline)) position refuse(message &m, uint32_t reason, position at, int depth) {
    note(m.fault, reason);
    return skip_value(m.bytes, at, m.end, depth);
}

FF_INLINE position take_decimal(message &m, position at, ff_decimal *out, int depth) {
    if (__builtin_expect(m.bytes[*at] != '"', 0)) return refuse(m, FF_KLINE_TYPE, at, depth);
    text t = string_body(m.bytes, at);
    if (__builtin_expect(t.bytes == nullptr, 0)) return nullptr;
    if (__builtin_expect(t.length - 1 >= sizeof out->text, 0)) return refuse(m, t.length == 0 ? FF_KLINE_NUMBER : FF_KLINE_LONG, at, depth);
    if (__builtin_expect(!copy_decimal(t.bytes, t.length, out), 0)) return refuse(m, FF_KLINE_NUMBER, at, depth);
    return at + 1;
}

FF_INLINE position take_integer(message &m, position at, int64_t *out, int depth) {
    text t = token(m.bytes, at);
    if (__builtin_expect(!(is_digit(t.bytes[0]) || t.bytes[0] == '-'), 0)) return refuse(m, FF_KLINE_TYPE, at, depth);
    if (__builtin_expect(!read_integer(t, out), 0)) return refuse(m, FF_KLINE_NUMBER, at, depth);
    return at + 1;
}

FF_INLINE position take_time(message &m, position at, int64_t *out, int depth) {
    int64_t time = 0;
    at = take_integer(m, at, &time, depth);
    *out = milliseconds(time);
    return at;
}

FF_INLINE position take_symbol(message &m, position at, text *out, int depth) {
    if (__builtin_expect(m.bytes[*at] != '"', 0)) return refuse(m, FF_KLINE_TYPE, at, depth);
    text t = string_body(m.bytes, at);
    if (__builtin_expect(t.bytes == nullptr, 0)) return nullptr;
    if (__builtin_expect(!is_short_and_plain(t), 0) && (t = unescaped(t, out == &m.event_symbol)).bytes == nullptr) return nullptr;
    if (t.length == 0 || t.length > 255) note(m.fault, FF_KLINE_LONG);
    *out = t;
    return at + 1;
}

FF_INLINE position take_interval(message &m, position at, int depth) {
    if (__builtin_expect(m.bytes[*at] != '"', 0)) return refuse(m, FF_KLINE_TYPE, at, depth);
    text t = string_body(m.bytes, at);
    if (__builtin_expect(t.bytes == nullptr, 0)) return nullptr;
    uint8_t code = interval_code(t);
    if (__builtin_expect(code == 16, 0)) return refuse(m, FF_KLINE_INTERVAL, at, depth);
    m.out->interval = code;
    return at + 1;
}

FF_INLINE position take_closed(message &m, position at, int depth) {
    text t = token(m.bytes, at);
    if (is(t, "false")) m.out->flags = 0;
    else if (is(t, "true")) m.out->flags = 1;
    else return refuse(m, FF_KLINE_TYPE, at, depth);
    return at + 1;
}

}  // namespace

#endif
