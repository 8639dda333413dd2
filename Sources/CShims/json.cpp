// Stage 1 (UTF-8, strings, structural characters) is simdjson's, with the kernel it picks for the CPU at
// run time. Stage 2 is our own walk over the structural positions, because On-Demand leaves what it does
// not touch unchecked and its iterators cost half as much again under clang: here every token of the
// message is visited once, and the known fields are copied as they pass.
//
// Fixed helpers are force-inlined: clang otherwise leaves them as calls, at 2.4 times the cost.

#include "ff_json.h"

#include <cstring>
#include <memory>
#include <new>
#include <simdjson.h>

static_assert(sizeof(ff_decimal) == 32 && sizeof(ff_candle) == 320, "shared with Swift's Candle");
static_assert(FF_JSON_PADDING >= simdjson::SIMDJSON_PADDING, "the buffers promise this many bytes");

#define FF_INLINE static inline __attribute__((always_inline))

struct ff_kline_parser {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> stage;
    size_t capacity;
};

namespace {

enum { depth_max = 64 };

enum field : uint32_t {
    f_k = 1u << 0, f_e = 1u << 1, f_event_time = 1u << 2, f_s = 1u << 3,
    k_t = 1u << 4, k_T = 1u << 5, k_s = 1u << 6, k_i = 1u << 7, k_f = 1u << 8, k_L = 1u << 9,
    k_o = 1u << 10, k_c = 1u << 11, k_h = 1u << 12, k_l = 1u << 13, k_v = 1u << 14, k_n = 1u << 15,
    k_x = 1u << 16, k_q = 1u << 17, k_V = 1u << 18, k_Q = 1u << 19,
    f_data = 1u << 20, f_stream = 1u << 21,
};
const uint32_t required = f_k | f_e | f_event_time | k_t | k_T | k_s | k_i | k_f | k_L | k_o | k_c | k_h | k_l |
                          k_v | k_n | k_x | k_q | k_V | k_Q;

/// One message being walked. `index` moves over the structural positions; `failed` means not JSON.
struct walk {
    const uint8_t *bytes;
    const uint32_t *index;
    const uint32_t *end;
    ff_candle *out;
    uint32_t seen = 0;
    uint32_t fault = FF_KLINE;  // the first field fault; reported only if the event is a kline
    bool is_kline = false;
    bool failed = false;
    const uint8_t *symbol = nullptr, *event_symbol = nullptr;
    size_t symbol_length = 0, event_symbol_length = 0;
};

struct text {
    const uint8_t *bytes;
    size_t length;
};

FF_INLINE bool is_space(uint8_t c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/// The token at the cursor: from its structural position to the next one, trailing white space cut.
FF_INLINE text token(const walk &w) {
    const uint8_t *first = w.bytes + w.index[0];
    const uint8_t *last = w.bytes + w.index[1];
    while (last > first && is_space(last[-1])) last--;
    return {first, size_t(last - first)};
}

FF_INLINE void note(walk &w, uint32_t fault) {
    if (w.fault == FF_KLINE) w.fault = fault;
}

/// The body of the string token at the cursor, still escaped. Stage 1 has proved that it is closed.
FF_INLINE text string_body(const walk &w) {
    text t = token(w);
    if (t.length < 2 || t.bytes[t.length - 1] != '"') return {nullptr, 0};
    return {t.bytes + 1, t.length - 2};
}

bool hex4(const uint8_t *p, const uint8_t *end) {
    if (end - p < 4) return false;
    for (int i = 0; i < 4; i++) {
        uint8_t c = p[i] | 0x20;
        if (!((p[i] >= '0' && p[i] <= '9') || (c >= 'a' && c <= 'f'))) return false;
    }
    return true;
}

bool escapes_are_valid(text t) {
    const uint8_t *p = t.bytes, *end = t.bytes + t.length;
    while ((p = static_cast<const uint8_t *>(memchr(p, '\\', size_t(end - p)))) != nullptr) {
        if (++p == end) return false;
        if (*p == 'u') {
            if (!hex4(p + 1, end)) return false;
            p += 5;
        } else {
            if (memchr("\"\\/bfnrt", *p, 8) == nullptr) return false;
            p++;
        }
        if (p == end) break;
    }
    return true;
}

bool number_is_valid(text t) {
    const uint8_t *p = t.bytes, *end = t.bytes + t.length;
    auto digits = [&] { const uint8_t *from = p; while (p < end && *p >= '0' && *p <= '9') p++; return p > from; };
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

FF_INLINE bool is(text t, const char *word, size_t length) {
    return t.length == length && memcmp(t.bytes, word, length) == 0;
}

/// A string, number, true, false or null that nobody reads: checked, and stepped over.
void skip_scalar(walk &w) {
    text t = token(w);
    bool valid;
    if (t.length == 0) valid = false;
    else if (t.bytes[0] == '"') {
        text body = string_body(w);
        valid = body.bytes != nullptr && escapes_are_valid(body);
    } else if (t.bytes[0] == '-' || (t.bytes[0] >= '0' && t.bytes[0] <= '9')) valid = number_is_valid(t);
    else valid = is(t, "true", 4) || is(t, "false", 5) || is(t, "null", 4);
    if (!valid) w.failed = true;
    w.index++;
}

/// Any value that nobody reads, without recursion: a bit per level says whether it is an object.
void skip_value(walk &w, int depth) {
    uint64_t objects = 0;
    int level = 0;
    for (;;) {
        if (w.index >= w.end) { w.failed = true; return; }
        uint8_t c = w.bytes[*w.index];
        if (c == '{' || c == '[') {
            if (depth + ++level > depth_max) { w.failed = true; return; }
            objects = (objects << 1) | (c == '{');
            w.index++;
            if (w.index >= w.end) { w.failed = true; return; }
            uint8_t next = w.bytes[*w.index];
            if (next != (c == '{' ? '}' : ']')) {
                if (c == '[') continue;
                goto key;
            }
            // empty: fall through to the closing below
        } else if (c == '}' || c == ']' || c == ',' || c == ':') {
            w.failed = true;
            return;
        } else {
            skip_scalar(w);
            if (w.failed) return;
            if (level == 0) return;
        }
        // After a value: separators and closings until the next value begins.
        for (;;) {
            if (w.index >= w.end) { w.failed = true; return; }
            c = w.bytes[*w.index++];
            if (c == ',') break;
            if (c != ((objects & 1) ? '}' : ']')) { w.failed = true; return; }
            objects >>= 1;
            if (--level == 0) return;
        }
        if (!(objects & 1)) continue;
    key:
        if (w.end - w.index < 2) { w.failed = true; return; }
        text body = string_body(w);
        if (w.bytes[*w.index] != '"' || body.bytes == nullptr || !escapes_are_valid(body) ||
            w.bytes[w.index[1]] != ':') {
            w.failed = true;
            return;
        }
        w.index += 2;
    }
}

/// Marks a field as seen; a second sighting is a fault. Returns false when the value must be skipped.
FF_INLINE bool first_sight(walk &w, uint32_t bit, int depth) {
    if (__builtin_expect((w.seen & bit) == 0, 1)) {
        w.seen |= bit;
        return true;
    }
    note(w, FF_KLINE_REPEATED);
    skip_value(w, depth);
    return false;
}

/// The string value at the cursor, stepped over; null bytes (and the fault noted) when it is none.
FF_INLINE text take_string(walk &w, int depth) {
    if (__builtin_expect(w.bytes[*w.index] != '"', 0)) {
        note(w, FF_KLINE_TYPE);
        skip_value(w, depth);
        return {nullptr, 0};
    }
    text body = string_body(w);
    if (body.bytes == nullptr) w.failed = true;
    w.index++;
    return body;
}

FF_INLINE void take_decimal(walk &w, uint32_t bit, ff_decimal *out, int depth) {
    if (!first_sight(w, bit, depth)) return;
    text t = take_string(w, depth);
    if (t.bytes == nullptr) return;
    if (__builtin_expect(t.length > sizeof out->text, 0)) {
        note(w, FF_KLINE_LONG);
        if (!escapes_are_valid(t)) w.failed = true;
        return;
    }
    const uint8_t *p = t.bytes, *end = p + t.length;
    if (p < end && *p == '-') p++;
    size_t whole = 0, fraction = 0;
    while (p < end && uint8_t(*p - '0') < 10) { p++; whole++; }
    bool point = p < end && *p == '.';
    if (point) {
        p++;
        while (p < end && uint8_t(*p - '0') < 10) { p++; fraction++; }
    }
    if (__builtin_expect(p != end || whole == 0 || (point && fraction == 0), 0)) {
        note(w, FF_KLINE_NUMBER);
        if (!escapes_are_valid(t)) w.failed = true;
        return;
    }
    // Zero the tail, so that equal texts are equal bytes.
    memset(out, 0, sizeof *out);
    memcpy(out->text, t.bytes, t.length);
    out->length = uint8_t(t.length);
}

FF_INLINE void take_integer(walk &w, uint32_t bit, int64_t *out, int depth) {
    if (!first_sight(w, bit, depth)) return;
    text t = token(w);
    if (__builtin_expect(!(t.bytes[0] == '-' || uint8_t(t.bytes[0] - '0') < 10), 0)) {
        note(w, FF_KLINE_TYPE);
        skip_value(w, depth);
        return;
    }
    w.index++;
    size_t i = t.bytes[0] == '-' ? 1 : 0, first = i;
    uint64_t value = 0;
    for (; i < t.length && uint8_t(t.bytes[i] - '0') < 10 && i - first < 18; i++) value = value * 10 + (t.bytes[i] - '0');
    if (__builtin_expect(i == first || i != t.length || (t.bytes[first] == '0' && t.length - first > 1), 0)) {
        if (!number_is_valid(t)) w.failed = true;
        note(w, FF_KLINE_NUMBER);
        return;
    }
    *out = first == 1 ? -int64_t(value) : int64_t(value);
}

/// Unix time in ms, from ms or µs (16 digits), as either time unit of the stream gives it.
FF_INLINE void take_time(walk &w, uint32_t bit, int64_t *out, int depth) {
    take_integer(w, bit, out, depth);
    if (*out >= 100000000000000) *out /= 1000;
}

FF_INLINE void take_interval(walk &w, int depth) {
    if (!first_sight(w, k_i, depth)) return;
    text t = take_string(w, depth);
    if (t.bytes == nullptr) return;
    static const char tokens[16][4] = {"1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h",
                                       "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"};
    for (uint8_t code = 0; code < 16; code++) {
        if (is(t, tokens[code], strlen(tokens[code]))) {
            w.out->interval = code;
            return;
        }
    }
    if (!escapes_are_valid(t)) w.failed = true;
    note(w, FF_KLINE_INTERVAL);
}

FF_INLINE void take_symbol(walk &w, uint32_t bit, const uint8_t **bytes, size_t *length, int depth) {
    if (!first_sight(w, bit, depth)) return;
    text t = take_string(w, depth);
    if (t.bytes == nullptr) return;
    if (!escapes_are_valid(t)) w.failed = true;
    if (t.length == 0 || t.length > 255) note(w, FF_KLINE_LONG);
    *bytes = t.bytes;
    *length = t.length;
}

FF_INLINE void take_closed(walk &w, int depth) {
    if (!first_sight(w, k_x, depth)) return;
    text t = token(w);
    if (is(t, "false", 5)) {
        w.out->flags = 0;
        w.index++;
    } else if (is(t, "true", 4)) {
        w.out->flags = 1;
        w.index++;
    } else {
        note(w, FF_KLINE_TYPE);
        skip_value(w, depth);
    }
}

/// Steps over `"key":` and returns the key. The cursor is at the value afterwards.
FF_INLINE text take_key(walk &w) {
    if (__builtin_expect(w.end - w.index < 3 || w.bytes[*w.index] != '"' || w.bytes[w.index[1]] != ':', 0)) {
        w.failed = true;
        return {nullptr, 0};
    }
    text key = string_body(w);
    if (key.bytes == nullptr) w.failed = true;
    w.index += 2;
    return key;
}

/// After a member: true when another follows, false at the object's end (or on failure).
FF_INLINE bool another(walk &w) {
    if (w.index >= w.end) {
        w.failed = true;
        return false;
    }
    uint8_t c = w.bytes[*w.index++];
    if (__builtin_expect(c == ',', 1)) return true;
    if (c != '}') w.failed = true;
    return false;
}

/// Enters an object: true when it has members.
FF_INLINE bool enter(walk &w) {
    w.index++;
    if (w.index < w.end && w.bytes[*w.index] == '}') {
        w.index++;
        return false;
    }
    return true;
}

FF_INLINE void skip_member(walk &w, text key, int depth) {
    if (!escapes_are_valid(key)) w.failed = true;
    skip_value(w, depth);
}

void walk_bar(walk &w, int depth) {
    if (w.bytes[*w.index] != '{') {
        note(w, FF_KLINE_TYPE);
        skip_value(w, depth);
        return;
    }
    if (!enter(w)) return;
    do {
        text key = take_key(w);
        if (w.failed) return;
        switch (key.length == 1 ? key.bytes[0] : 0) {
        case 't': take_time(w, k_t, &w.out->open_time, depth); break;
        case 'T': take_time(w, k_T, &w.out->close_time, depth); break;
        case 's': take_symbol(w, k_s, &w.symbol, &w.symbol_length, depth); break;
        case 'i': take_interval(w, depth); break;
        case 'f': take_integer(w, k_f, &w.out->first_trade_id, depth); break;
        case 'L': take_integer(w, k_L, &w.out->last_trade_id, depth); break;
        case 'o': take_decimal(w, k_o, &w.out->open, depth); break;
        case 'c': take_decimal(w, k_c, &w.out->close, depth); break;
        case 'h': take_decimal(w, k_h, &w.out->high, depth); break;
        case 'l': take_decimal(w, k_l, &w.out->low, depth); break;
        case 'v': take_decimal(w, k_v, &w.out->volume, depth); break;
        case 'n': take_integer(w, k_n, &w.out->trade_count, depth); break;
        case 'x': take_closed(w, depth); break;
        case 'q': take_decimal(w, k_q, &w.out->quote_volume, depth); break;
        case 'V': take_decimal(w, k_V, &w.out->taker_buy_volume, depth); break;
        case 'Q': take_decimal(w, k_Q, &w.out->taker_buy_quote_volume, depth); break;
        default: skip_member(w, key, depth); break;
        }
        if (w.failed) return;
    } while (another(w));
}

/// The event object, or the envelope around it: `data` leads one level down.
void walk_event(walk &w, int depth) {
    if (!enter(w)) return;
    do {
        text key = take_key(w);
        if (w.failed) return;
        if (is(key, "e", 1)) {
            if (first_sight(w, f_e, depth)) {
                if (w.bytes[*w.index] == '"') w.is_kline = is(string_body(w), "kline", 5);
                skip_value(w, depth);
            }
        } else if (is(key, "E", 1)) {
            take_time(w, f_event_time, &w.out->event_time, depth);
        } else if (is(key, "s", 1)) {
            take_symbol(w, f_s, &w.event_symbol, &w.event_symbol_length, depth);
        } else if (is(key, "k", 1)) {
            if (first_sight(w, f_k, depth)) walk_bar(w, depth + 1);
        } else if (depth == 1 && is(key, "data", 4)) {
            if (!first_sight(w, f_data, depth)) {
            } else if (w.bytes[*w.index] == '{') walk_event(w, depth + 1);
            else skip_value(w, depth);
        } else if (depth == 1 && is(key, "stream", 6)) {
            if (first_sight(w, f_stream, depth)) skip_value(w, depth);
        } else {
            skip_member(w, key, depth);
        }
        if (w.failed) return;
    } while (another(w));
}

ff_kline_result judge(const walk &w, ff_kline_symbol *symbol) {
    if (!w.is_kline) return FF_KLINE_OTHER;
    if (w.fault != FF_KLINE) return ff_kline_result(w.fault);
    if ((w.seen & required) != required) return FF_KLINE_MISSING;
    const ff_candle &c = *w.out;
    if (w.event_symbol != nullptr && (w.event_symbol_length != w.symbol_length ||
                                      memcmp(w.event_symbol, w.symbol, w.symbol_length) != 0)) {
        return FF_KLINE_CONTRADICTION;
    }
    if (c.open_time < 0 || c.event_time < 0 || c.trade_count < 0) return FF_KLINE_NUMBER;
    if (c.open_time >= 100000000000000 || c.close_time < c.open_time) return FF_KLINE_CONTRADICTION;
    symbol->bytes = reinterpret_cast<const char *>(w.symbol);
    symbol->length = w.symbol_length;
    return FF_KLINE;
}

}  // namespace

extern "C" {

ff_kline_parser *ff_kline_parser_create(size_t capacity) {
    auto *parser = new (std::nothrow) ff_kline_parser();
    if (parser == nullptr) return nullptr;
    auto error = simdjson::get_active_implementation()->create_dom_parser_implementation(capacity, depth_max, parser->stage);
    parser->capacity = capacity;
    if (!error) return parser;
    delete parser;
    return nullptr;
}

void ff_kline_parser_free(ff_kline_parser *parser) { delete parser; }

const char *ff_kline_parser_kernel(void) {
    static const std::string name = simdjson::get_active_implementation()->name();
    return name.c_str();
}

ff_kline_result ff_kline_parse(ff_kline_parser *parser, const char *bytes, size_t length, ff_candle *out,
                               ff_kline_symbol *symbol) {
    if (length == 0 || length > parser->capacity) return FF_KLINE_MALFORMED;
    auto &stage = *parser->stage;
    auto error = stage.stage1(reinterpret_cast<const uint8_t *>(bytes), length, simdjson::stage1_mode::regular);
    if (__builtin_expect(error != simdjson::SUCCESS, 0)) {
        return error == simdjson::UTF8_ERROR ? FF_KLINE_NOT_UTF8 : FF_KLINE_MALFORMED;
    }
    // Stage 1 leaves the length as a sentinel behind the last position, so index[1] is always readable.
    walk w;
    w.bytes = reinterpret_cast<const uint8_t *>(bytes);
    w.index = stage.structural_indexes.get();
    w.end = w.index + stage.n_structural_indexes;
    w.out = out;
    if (w.bytes[*w.index] == '{') walk_event(w, 1);
    else skip_value(w, 0);
    if (w.failed || w.index != w.end) return FF_KLINE_MALFORMED;
    return judge(w, symbol);
}

int ff_utf8_is_valid(const char *bytes, size_t length) { return simdjson::validate_utf8(bytes, length); }

int ff_notice_parse(const char *bytes, size_t length, ff_notice *out) {
    memset(out, 0, sizeof *out);
    simdjson::dom::parser parser;
    simdjson::dom::object object;
    auto document = parser.parse(bytes, length);
    if (document.error()) return -1;
    if (document.get_object().get(object)) return 0;  // valid JSON, but no object: nothing we know
    simdjson::dom::object data;
    if (!object["data"].get_object().get(data)) object = data;
    simdjson::dom::element id;
    if (!object["id"].get(id)) out->has_id = !id.get_int64().get(out->id);
    auto keep = [](std::string_view from, char *to, size_t room) {
        size_t kept = from.size() < room ? from.size() : room;
        memcpy(to, from.data(), kept);
        return uint8_t(kept);
    };
    std::string_view view;
    simdjson::dom::object error;
    if (object["error"].get_object().get(error)) error = object;
    if (!error["code"].get_int64().get(out->code) && !error["msg"].get_string().get(view)) {
        out->kind = FF_NOTICE_ERROR;
        out->msg_length = keep(view, out->msg, sizeof out->msg);
    } else if (!object["e"].get_string().get(view)) {
        out->kind = view == "serverShutdown" ? FF_NOTICE_SHUTDOWN : FF_NOTICE_UNKNOWN;
        out->event_length = keep(view, out->event, sizeof out->event);
    } else if (simdjson::dom::element result; !object["result"].get(result)) {
        out->kind = FF_NOTICE_RESULT;
    }
    return 0;
}

}  // extern "C"
