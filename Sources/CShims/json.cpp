// A message of the exchange's own layout is read by kline_layout.h; any other JSON here, where kline_order.h helps as long as a
// bar's members come in the exchange's order.
//
// Stage 1 (UTF-8, strings, structural characters) is simdjson's, with the kernel it picks for the CPU at
// run time. Stage 2 is our own walk over the structural positions, because On-Demand leaves what it does
// not touch unchecked: here every token of the message is visited once, and the known fields are copied
// as they pass.

#include "kline_lanes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include <memory>
#include <new>
#include <simdjson.h>
#include <utility>

static_assert(sizeof(ff_decimal) == 32 && sizeof(ff_candle) == 320, "shared with Swift's Candle");
static_assert(FF_JSON_PADDING >= simdjson::SIMDJSON_PADDING, "the buffers promise this many bytes");

namespace narrow {
#include "kline_lanes_narrow.h"
#include "kline_layout.h"
#include "kline_order.h"
}  // namespace narrow

#if defined(__x86_64__)
// The compiler may use these instructions only here; whether the processor has them is asked when a parser is made.
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2"))), apply_to = function)
namespace wide {
#include "kline_lanes_wide.h"
#include "kline_layout.h"
#include "kline_order.h"
}  // namespace wide
#pragma clang attribute pop
#else
namespace wide = narrow;
#endif

static ff_kline_lanes widest_lanes() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")) return FF_LANES_WIDE;
#endif
    return FF_LANES_NARROW;
}

/// Reads a message of one layout; false when it has another.
typedef bool layout_reader(const uint8_t *bytes, size_t size, message &m);

struct ff_kline_parser {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> stage;
    size_t capacity;
    uint64_t walk_count = 0;
    ff_kline_lanes lanes;
    layout_reader *foreseen, *other;

    explicit ff_kline_parser(ff_kline_lanes widest) { use(widest); }

    void use(ff_kline_lanes which) {
        lanes = which;
        if (which == FF_LANES_WIDE) { foreseen = wide::read<false>; other = wide::read<true>; }
        else if (which == FF_LANES_NARROW) { foreseen = narrow::read<false>; other = narrow::read<true>; }
        else foreseen = other = [](const uint8_t *, size_t, message &) { return false; };
    }
};

namespace {

// MARK: Objects

/// The bit of a bar's one-letter key, 0 for a letter that is not a key.
FF_INLINE uint32_t bar_field(uint8_t letter) {
    switch (letter) {
    case 't': return k_t;
    case 'T': return k_T;
    case 's': return k_s;
    case 'i': return k_i;
    case 'f': return k_f;
    case 'L': return k_L;
    case 'o': return k_o;
    case 'c': return k_c;
    case 'h': return k_h;
    case 'l': return k_l;
    case 'v': return k_v;
    case 'n': return k_n;
    case 'x': return k_x;
    case 'q': return k_q;
    case 'V': return k_V;
    case 'Q': return k_Q;
    default: return 0;
    }
}

FF_INLINE position take_bar_field(message &m, uint8_t letter, position at, int depth) {
    ff_candle &out = *m.out;
    switch (letter) {
    case 't': return take_time(m, at, &out.open_time, depth);
    case 'T': return take_time(m, at, &out.close_time, depth);
    case 's': return take_symbol(m, at, &m.symbol, depth);
    case 'i': return take_interval(m, at, depth);
    case 'f': return take_integer(m, at, &out.first_trade_id, depth);
    case 'L': return take_integer(m, at, &out.last_trade_id, depth);
    case 'o': return take_decimal(m, at, &out.open, depth);
    case 'c': return take_decimal(m, at, &out.close, depth);
    case 'h': return take_decimal(m, at, &out.high, depth);
    case 'l': return take_decimal(m, at, &out.low, depth);
    case 'v': return take_decimal(m, at, &out.volume, depth);
    case 'n': return take_integer(m, at, &out.trade_count, depth);
    case 'x': return take_closed(m, at, depth);
    case 'q': return take_decimal(m, at, &out.quote_volume, depth);
    case 'V': return take_decimal(m, at, &out.taker_buy_volume, depth);
    default: return take_decimal(m, at, &out.taker_buy_quote_volume, depth);
    }
}

/// A bar: `at` is behind its opening brace.
position walk_bar(message &m, position at, int depth) {
    if (at < m.end && m.bytes[*at] == '}') return at + 1;
    if (m.lanes == FF_LANES_WIDE) at = wide::take_in_order(m, at);
    else if (m.lanes == FF_LANES_NARROW) at = narrow::take_in_order(m, at);
    for (;;) {
        if (__builtin_expect(m.end - at < 4 || m.bytes[at[0]] != '"' || m.bytes[at[1]] != ':', 0)) return nullptr;
        // A key of one letter: its closing quote is the byte behind it.
        const uint8_t *key = m.bytes + at[0] + 1;
        uint32_t bit = key[1] == '"' ? bar_field(key[0]) : 0;
        if (__builtin_expect(bit != 0 && (m.seen & bit) == 0 && string_body(m.bytes, at).length == 1, 1)) {
            m.seen |= bit;
            at = take_bar_field(m, key[0], at + 2, depth);
        } else {
            if (bit != 0) note(m.fault, FF_KLINE_REPEATED);
            if ((at = skip_key(m.bytes, at, m.end)) == nullptr) return nullptr;
            at = skip_string(m.bytes, at, m.end, depth);
        }
        if (__builtin_expect(at == nullptr || at >= m.end, 0)) return nullptr;
        uint8_t c = m.bytes[*at++];
        if (c == '}') return at;
        if (__builtin_expect(c != ',', 0)) return nullptr;
    }
}

position walk_event(message &m, position at, int depth);

/// The value of an event's or an envelope's member.
FF_INLINE position take_event_field(message &m, text key, position at, int depth) {
    auto first = [&](uint32_t bit) {
        if ((m.seen & bit) != 0) {
            note(m.fault, FF_KLINE_REPEATED);
            return false;
        }
        m.seen |= bit;
        return true;
    };
    uint8_t opening = m.bytes[*at];
    if (key.length == 1) {
        switch (key.bytes[0]) {
        case 'e':
            if (first(f_e) && opening == '"') {
                text t = string_body(m.bytes, at);
                m.is_kline = t.bytes != nullptr && is(t, "kline");
            }
            break;
        case 'E': if (first(f_event_time)) return take_time(m, at, &m.out->event_time, depth); break;
        case 's': if (first(f_s)) return take_symbol(m, at, &m.event_symbol, depth); break;
        case 'k':
            if (first(f_k)) {
                if (opening == '{') return walk_bar(m, at + 1, depth + 1);
                note(m.fault, FF_KLINE_TYPE);
            }
            break;
        default: break;
        }
    } else if (depth == 1 && is(key, "data")) {
        if (first(f_data) && opening == '{') return walk_event(m, at + 1, 2);
    } else if (depth == 1 && is(key, "stream")) {
        first(f_stream);
    }
    return skip_string(m.bytes, at, m.end, depth);
}

/// An event object, or the envelope around one (`data` leads one level down). `at` is behind the brace.
position walk_event(message &m, position at, int depth) {
    if (at < m.end && m.bytes[*at] == '}') return at + 1;
    for (;;) {
        if (__builtin_expect(m.end - at < 4 || m.bytes[at[0]] != '"' || m.bytes[at[1]] != ':', 0)) return nullptr;
        text key = {m.bytes + at[0] + 1, 1};
        // Most keys are one letter with nothing around it.
        if (!(key.bytes[1] == '"' && key.bytes[2] == ':' && key.bytes[0] != '\\')) {
            key = string_body(m.bytes, at);
            if (__builtin_expect(key.bytes == nullptr || !escapes_are_valid(key), 0)) return nullptr;
        }
        at = take_event_field(m, key, at + 2, depth);
        if (__builtin_expect(at == nullptr || at >= m.end, 0)) return nullptr;
        uint8_t c = m.bytes[*at++];
        if (c == '}') return at;
        if (__builtin_expect(c != ',', 0)) return nullptr;
    }
}

ff_kline_result judge(const message &m, ff_kline_symbol *symbol) {
    if (!m.is_kline) return FF_KLINE_OTHER;
    if (m.fault != FF_KLINE) return ff_kline_result(m.fault);
    if ((m.seen & required) != required) return FF_KLINE_MISSING;
    const ff_candle &c = *m.out;
    if (m.event_symbol.bytes != nullptr && (m.event_symbol.length != m.symbol.length ||
                                            memcmp(m.event_symbol.bytes, m.symbol.bytes, m.symbol.length) != 0)) {
        return FF_KLINE_CONTRADICTION;
    }
    if (c.open_time < 0 || c.event_time < 0 || c.trade_count < 0) return FF_KLINE_NUMBER;
    // A bar is at most a month long and has opened before anybody reports on it; a clock's second is forgiven.
    const int64_t month_ms = 31LL * 86400000, second_ms = 1000;
    if (c.close_time < c.open_time || c.close_time - c.open_time >= month_ms || c.open_time > c.event_time + second_ms) {
        return FF_KLINE_CONTRADICTION;
    }
    symbol->bytes = reinterpret_cast<const char *>(m.symbol.bytes);
    symbol->length = m.symbol.length;
    return FF_KLINE;
}

/// A message of the layout that was not foreseen: from now on it is. A connection is of one market, and a market keeps to one.
__attribute__((noinline)) bool learn(ff_kline_parser *parser, const uint8_t *bytes, size_t size, message &m) {
    if (!parser->other(bytes, size, m)) return false;
    std::swap(parser->foreseen, parser->other);
    return true;
}

}  // namespace

extern "C" {

ff_kline_parser *ff_kline_parser_create(size_t capacity) {
    auto *parser = new (std::nothrow) ff_kline_parser(widest_lanes());
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

// Without a guard of its stack, which would be half a percent of a message: it hands out addresses of single fields, and has no array.
__attribute__((no_stack_protector)) ff_kline_result ff_kline_parse(ff_kline_parser *parser, const char *bytes, size_t length, ff_candle *out,
                               ff_kline_symbol *symbol) {
    message m;
    m.out = out;
    auto text = reinterpret_cast<const uint8_t *>(bytes);
    bool is_foreseen = false;
    if (__builtin_expect(length <= parser->capacity, 1)) {
        is_foreseen = parser->foreseen(text, length, m);
        if (__builtin_expect(!is_foreseen, 0)) is_foreseen = learn(parser, text, length, m);
    }
    if (__builtin_expect(is_foreseen, 1)) return judge(m, symbol);
    return ff_kline_walk(parser, bytes, length, out, symbol);
}

ff_kline_lanes ff_kline_parser_lanes(const ff_kline_parser *parser) { return parser->lanes; }
void ff_kline_parser_limit_lanes(ff_kline_parser *parser, ff_kline_lanes lanes) {
    if (parser->lanes > lanes) parser->use(lanes);
}

__attribute__((noinline)) ff_kline_result ff_kline_walk(ff_kline_parser *parser, const char *bytes, size_t length,
                                                        ff_candle *out, ff_kline_symbol *symbol) {
    parser->walk_count++;
    if (length == 0 || length > parser->capacity) return FF_KLINE_MALFORMED;
    auto &stage = *parser->stage;
    auto error = stage.stage1(reinterpret_cast<const uint8_t *>(bytes), length, simdjson::stage1_mode::regular);
    if (__builtin_expect(error != simdjson::SUCCESS, 0)) {
        // Stage 1 names one fault of possibly several, and not every kernel the same; this one decides about the connection.
        return simdjson::validate_utf8(bytes, length) ? FF_KLINE_MALFORMED : FF_KLINE_NOT_UTF8;
    }
    // Stage 1 leaves the length as a sentinel behind the last position, so at[1] is always readable.
    message m;
    m.bytes = reinterpret_cast<const uint8_t *>(bytes);
    m.out = out;
    m.lanes = parser->lanes;
    position at = stage.structural_indexes.get();
    m.end = at + stage.n_structural_indexes;
    at = m.bytes[*at] == '{' ? walk_event(m, at + 1, 1) : skip_value(m.bytes, at, m.end, 0);
    if (at != m.end) return FF_KLINE_MALFORMED;
    return judge(m, symbol);
}

uint64_t ff_kline_walk_count(const ff_kline_parser *parser) { return parser->walk_count; }

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
