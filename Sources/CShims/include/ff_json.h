// Kline events through simdjson: one call per message fills one fixed-size record.
#ifndef FF_JSON_H
#define FF_JSON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Decimal text and, in the last byte, its length. Mirrors Swift's DecimalText.
typedef struct ff_decimal {
    char text[31];
    uint8_t length;
} ff_decimal;

/// Mirrors Swift's Candle, field for field.
typedef struct ff_candle {
    uint32_t series_id;
    uint16_t generation;
    uint8_t flags;  ///< bit 0: closed
    uint8_t interval;
    int64_t open_time;
    int64_t close_time;
    int64_t event_time;
    int64_t first_trade_id;
    int64_t last_trade_id;
    int64_t trade_count;
    uint64_t received_ns;
    ff_decimal open, high, low, close, volume, quote_volume, taker_buy_volume, taker_buy_quote_volume;
} ff_candle;

enum { FF_JSON_PADDING = 256 };

/// What a message turned out to be. From FF_KLINE_MALFORMED on: a rejection.
typedef enum ff_kline_result {
    FF_KLINE = 0,
    FF_KLINE_OTHER = 1,         ///< valid JSON that is not a kline event: an acknowledgement, an error, another event
    FF_KLINE_MALFORMED = 2,     ///< not JSON, or deeper or longer than the limits
    FF_KLINE_NOT_UTF8 = 3,
    FF_KLINE_MISSING = 4,       ///< a field that every kline has is not there
    FF_KLINE_TYPE = 5,          ///< a field of the wrong JSON type
    FF_KLINE_LONG = 6,          ///< a decimal or symbol longer than its field
    FF_KLINE_NUMBER = 7,        ///< a decimal or integer that is not one, or out of range
    FF_KLINE_REPEATED = 8,      ///< the same field twice
    FF_KLINE_INTERVAL = 9,      ///< an interval token that does not exist
    FF_KLINE_CONTRADICTION = 10 ///< fields that contradict each other (two symbols, close before open)
} ff_kline_result;

/// The symbol of a parsed kline as the exchange wrote it (upper case), inside the message's bytes; where it was written with escapes,
/// in memory of this thread that the next such message uses again. 32 bytes from its start are readable.
typedef struct ff_kline_symbol {
    const char *bytes;
    size_t length;
} ff_kline_symbol;

typedef struct ff_kline_parser ff_kline_parser;

/// A reusable parser for messages of at most `capacity` bytes; the best kernel for this CPU is chosen here.
ff_kline_parser *ff_kline_parser_create(size_t capacity);
void ff_kline_parser_free(ff_kline_parser *parser);
/// The name of the simdjson kernel in use ("icelake", "haswell", ...).
const char *ff_kline_parser_kernel(void);
/// How many bytes of a foreseen field are looked at together.
typedef enum ff_kline_lanes {
    FF_LANES_NONE = 0,    ///< nothing is foreseen: every message goes member by member
    FF_LANES_NARROW = 1,  ///< 16 bytes
    FF_LANES_WIDE = 2     ///< 32 bytes: AVX2 and BMI
} ff_kline_lanes;

/// The widest that this processor has.
ff_kline_lanes ff_kline_parser_lanes(const ff_kline_parser *parser);
/// From now on at most these: for comparing them.
void ff_kline_parser_limit_lanes(ff_kline_parser *parser, ff_kline_lanes lanes);

/// Parses one message, raw or in the combined envelope. The whole message is validated as JSON; key order
/// is free; unknown members are checked and skipped. `bytes` must be readable for FF_JSON_PADDING more.
/// On FF_KLINE all fields of `out` are set but series_id, generation and received_ns.
ff_kline_result ff_kline_parse(ff_kline_parser *parser, const char *bytes, size_t length, ff_candle *out,
                               ff_kline_symbol *symbol);

/// The same over simdjson's structural positions: what does not have the exchange's own layout to the byte comes here by itself.
/// A bar's members in the exchange's order are read without looking up their keys, as far as they go; the others in any order.
ff_kline_result ff_kline_walk(ff_kline_parser *parser, const char *bytes, size_t length, ff_candle *out,
                              ff_kline_symbol *symbol);
/// How many messages were read that way.
uint64_t ff_kline_walk_count(const ff_kline_parser *parser);

/// True when `bytes` are well-formed UTF-8.
int ff_utf8_is_valid(const char *bytes, size_t length);

/// A message that is not a kline: what the exchange says about the connection.
typedef enum ff_notice_kind {
    FF_NOTICE_UNKNOWN = 0,   ///< an event of another type, or nothing we know
    FF_NOTICE_RESULT = 1,    ///< {"result":…,"id":…}
    FF_NOTICE_ERROR = 2,     ///< {"error":{"code":…,"msg":…},"id":…} or the flat form
    FF_NOTICE_SHUTDOWN = 3   ///< serverShutdown
} ff_notice_kind;

typedef struct ff_notice {
    uint8_t kind;       ///< ff_notice_kind
    uint8_t has_id;     ///< `id` is an integer
    uint8_t msg_length;
    uint8_t event_length;
    int64_t id;
    int64_t code;
    char msg[160];
    char event[32];     ///< `e` of another event
} ff_notice;

/// Reads a notice. Control path: may allocate. Returns 0, or -1 when the bytes are not JSON.
int ff_notice_parse(const char *bytes, size_t length, ff_notice *out);

#ifdef __cplusplus
}
#endif
#endif
