// Answers of the exchange's REST interface through simdjson: one call per answer. Control path: these may
// allocate. `bytes` must be readable for FF_JSON_PADDING more in all of them.
#ifndef FF_REST_JSON_H
#define FF_REST_JSON_H

#include "ff_json.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Where an array of klines was refused.
typedef struct ff_klines_fault {
    size_t row;     ///< from 0
    int32_t column; ///< from 0; -1: not one value
} ff_klines_fault;

/// Reads `[[openTime,"o","h","l","c","v",closeTime,"quote",count,"takerBuy","takerBuyQuote",ignored],…]`: twelve
/// values per row, open times ascending. The whole text is validated as JSON. Returns FF_KLINE and the number of
/// rows in `count`, or the reason why nothing of it may be used; more than `rows_max` rows are one.
/// Sets open_time, close_time, trade_count and the decimals of each row, and trade ids to -1.
ff_kline_result ff_klines_parse(const char *bytes, size_t length, ff_candle *rows, size_t rows_max, size_t *count,
                                ff_klines_fault *fault);

typedef struct ff_instrument {
    char symbol[32];  ///< upper case, [A-Z0-9_] and what is not ASCII, in UTF-8
    char status[30];  ///< as the exchange has it
    char base[32], quote[32];  ///< of the same bytes as a symbol
    uint8_t symbol_length, status_length;
    uint8_t base_length, quote_length;  ///< 0 when absent, or not 1 to 32 bytes of these
} ff_instrument;

typedef struct ff_exchange_info {
    ff_instrument *instruments;
    size_t count;
    size_t skipped;          ///< entries whose symbol is not 1 to 32 bytes of these
    int64_t server_time;     ///< milliseconds; -1 when absent
    int64_t weight_per_minute; ///< the limit REQUEST_WEIGHT per 1 MINUTE; -1 when absent
} ff_exchange_info;

/// Reads an exchangeInfo. Unknown members are ignored, but the whole text is validated. More than `rows_max` symbols are refused
/// (FF_KLINE_LONG). On FF_KLINE `out` is to be
/// freed with ff_exchange_info_free.
ff_kline_result ff_exchange_info_parse(const char *bytes, size_t length, size_t rows_max, ff_exchange_info *out);
void ff_exchange_info_free(ff_exchange_info *info);

/// What was traded of a symbol in the last 24 hours.
typedef struct ff_ticker {
    char symbol[32];  ///< as in ff_instrument
    ff_decimal last_price, price_change_percent, quote_volume;
    int64_t count;  ///< trades
    uint8_t symbol_length;
} ff_ticker;

typedef struct ff_tickers {
    ff_ticker *rows;
    size_t count;
    size_t skipped;  ///< rows that lack something, or whose values are not what they should be
} ff_tickers;

/// Reads the 24 h tickers of all symbols: an array of objects. Unknown members are ignored, but the whole text is
/// validated. More than `rows_max` rows are refused (FF_KLINE_LONG). On FF_KLINE `out` is to be freed with ff_tickers_free.
ff_kline_result ff_tickers_parse(const char *bytes, size_t length, size_t rows_max, ff_tickers *out);
void ff_tickers_free(ff_tickers *tickers);

#ifdef __cplusplus
}
#endif
#endif
