// Klines by the same stage 2 as the stream's (kline_values.h): every token is visited once. exchangeInfo and the 24 h tickers, rare
// and read in a few places only, by simdjson's DOM, which validates all of them.

#include "ff_rest_json.h"
#include "kline_values.h"

#include <cstdlib>
#include <memory>
#include <simdjson.h>

namespace {

enum { columns = 12 };

/// The value of one column. `at` is at its first token.
position take_column(message &m, int column, position at) {
    ff_candle &row = *m.out;
    switch (column) {
    case 0: return take_time(m, at, &row.open_time, 2);
    case 1: return take_decimal(m, at, &row.open, 2);
    case 2: return take_decimal(m, at, &row.high, 2);
    case 3: return take_decimal(m, at, &row.low, 2);
    case 4: return take_decimal(m, at, &row.close, 2);
    case 5: return take_decimal(m, at, &row.volume, 2);
    case 6: return take_time(m, at, &row.close_time, 2);
    case 7: return take_decimal(m, at, &row.quote_volume, 2);
    case 8: return take_integer(m, at, &row.trade_count, 2);
    case 9: return take_decimal(m, at, &row.taker_buy_volume, 2);
    case 10: return take_decimal(m, at, &row.taker_buy_quote_volume, 2);
    default: return skip_value(m.bytes, at, m.end, 2);
    }
}

/// A row's bracket is behind `at`. NULL when the bytes are not JSON; a refused value is noted.
position walk_row(message &m, position at, ff_klines_fault &fault) {
    int column = 0;
    if (at < m.end && m.bytes[*at] == ']') at++;
    else {
        for (;;) {
            if (at >= m.end) return nullptr;
            bool was_fine = m.fault == FF_KLINE;
            at = column < columns ? take_column(m, column, at) : skip_value(m.bytes, at, m.end, 2);
            if (was_fine && m.fault != FF_KLINE) fault.column = column;
            if (at == nullptr || at >= m.end) return nullptr;
            if (column <= columns) column++;
            uint8_t c = m.bytes[*at++];
            if (c == ']') break;
            if (c != ',') return nullptr;
        }
    }
    if (column < columns) note(m.fault, FF_KLINE_MISSING);
    if (column > columns) note(m.fault, FF_KLINE_LONG);
    return at;
}

/// A row against itself and the one before it.
void judge_row(message &m, const ff_candle &row, const ff_candle *before) {
    const int64_t month_ms = 31LL * 86400000;
    if (row.open_time < 0 || row.trade_count < 0) note(m.fault, FF_KLINE_NUMBER);
    else if (row.close_time < row.open_time || row.close_time - row.open_time >= month_ms) note(m.fault, FF_KLINE_CONTRADICTION);
    else if (before != nullptr && row.open_time <= before->open_time) note(m.fault, FF_KLINE_CONTRADICTION);
}

/// The array of rows, all of it even behind a fault: what is not JSON is to be called that. NULL when it is not.
position walk_rows(message &m, position at, ff_candle *rows, size_t rows_max, size_t &count, ff_klines_fault &fault) {
    ff_candle spare;
    if (at < m.end && m.bytes[*at] == ']') return at + 1;
    for (;;) {
        if (at >= m.end) return nullptr;
        bool was_fine = m.fault == FF_KLINE;
        bool fits = count < rows_max;
        if (!fits) note(m.fault, FF_KLINE_LONG);
        m.out = fits && was_fine ? rows + count : &spare;
        memset(m.out, 0, sizeof *m.out);
        m.out->first_trade_id = m.out->last_trade_id = -1;
        if (m.bytes[*at] == '[') {
            at = walk_row(m, at + 1, fault);
            if (m.fault == FF_KLINE) judge_row(m, *m.out, count > 0 ? rows + count - 1 : nullptr);
        } else {
            note(m.fault, FF_KLINE_TYPE);
            at = skip_value(m.bytes, at, m.end, 1);
        }
        if (at == nullptr || at >= m.end) return nullptr;
        if (was_fine) fault.row = count;
        if (m.fault == FF_KLINE) count++;
        uint8_t c = m.bytes[*at++];
        if (c == ']') return at;
        if (c != ',') return nullptr;
    }
}

}  // namespace

extern "C" ff_kline_result ff_klines_parse(const char *bytes, size_t length, ff_candle *rows, size_t rows_max,
                                           size_t *count, ff_klines_fault *fault) {
    *count = 0;
    *fault = {0, -1};
    if (length == 0 || length > UINT32_MAX / 2) return FF_KLINE_MALFORMED;
    std::unique_ptr<simdjson::internal::dom_parser_implementation> stage;
    if (simdjson::get_active_implementation()->create_dom_parser_implementation(length, depth_max, stage)) return FF_KLINE_MALFORMED;
    if (stage->stage1(reinterpret_cast<const uint8_t *>(bytes), length, simdjson::stage1_mode::regular)) {
        return simdjson::validate_utf8(bytes, length) ? FF_KLINE_MALFORMED : FF_KLINE_NOT_UTF8;
    }
    message m;
    m.bytes = reinterpret_cast<const uint8_t *>(bytes);
    position at = stage->structural_indexes.get();
    m.end = at + stage->n_structural_indexes;
    if (m.bytes[*at] == '[') at = walk_rows(m, at + 1, rows, rows_max, *count, *fault);
    else {
        at = skip_value(m.bytes, at, m.end, 0);
        note(m.fault, FF_KLINE_TYPE);
    }
    if (at != m.end) return FF_KLINE_MALFORMED;
    return ff_kline_result(m.fault);
}

// MARK: exchangeInfo

namespace {

/// What is not ASCII is UTF-8 here; whether it is letters and numbers the caller knows.
bool is_symbol(std::string_view text) {
    if (text.empty() || text.size() > sizeof(ff_instrument::symbol)) return false;
    for (char c : text) {
        if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80))) return false;
    }
    return true;
}

/// A member that is a symbol or an asset, into its field; its length, 0 when it is neither.
template <size_t N> uint8_t take_name(simdjson::dom::object entry, const char *key, char (&to)[N]) {
    std::string_view text;
    if (entry[key].get_string().get(text) || text.size() > N || !is_symbol(text)) return 0;
    memcpy(to, text.data(), text.size());
    return uint8_t(text.size());
}

/// The root of an answer.
ff_kline_result parse_root(simdjson::dom::parser &parser, const char *bytes, size_t length, simdjson::dom::element &root) {
    auto error = parser.parse(bytes, length, false).get(root);
    if (error) return error == simdjson::UTF8_ERROR ? FF_KLINE_NOT_UTF8 : FF_KLINE_MALFORMED;
    return FF_KLINE;
}

size_t count_of(simdjson::dom::array list) {
    size_t count = 0;  // array.size() saturates at 24 bits
    for (simdjson::dom::element each : list) { (void)each; count++; }
    return count;
}

/// One entry of `symbols`.
ff_kline_result take_instrument(simdjson::dom::element element, ff_exchange_info *out) {
    simdjson::dom::object entry;
    if (element.get_object().get(entry)) return FF_KLINE_TYPE;
    simdjson::dom::element symbol, status;
    // Coin-margined futures call it contractStatus.
    if (entry["symbol"].get(symbol) || (entry["status"].get(status) && entry["contractStatus"].get(status))) return FF_KLINE_MISSING;
    std::string_view name, state;
    if (symbol.get_string().get(name) || status.get_string().get(state)) return FF_KLINE_TYPE;
    if (!is_symbol(name)) {
        out->skipped++;
        return FF_KLINE;
    }
    ff_instrument &instrument = out->instruments[out->count];
    if (state.empty() || state.size() > sizeof instrument.status) return FF_KLINE_LONG;
    memcpy(instrument.symbol, name.data(), name.size());
    memcpy(instrument.status, state.data(), state.size());
    instrument.symbol_length = uint8_t(name.size());
    instrument.status_length = uint8_t(state.size());
    instrument.base_length = take_name(entry, "baseAsset", instrument.base);
    instrument.quote_length = take_name(entry, "quoteAsset", instrument.quote);
    out->count++;
    return FF_KLINE;
}

/// The published weight of a minute; -1 when there is none, or none that can be meant.
int64_t weight_limit(simdjson::dom::object document) {
    simdjson::dom::array limits;
    if (document["rateLimits"].get_array().get(limits)) return -1;
    for (simdjson::dom::element limit : limits) {
        std::string_view type, interval;
        int64_t number = 0, value = 0;
        bool is_read = !limit["rateLimitType"].get_string().get(type) && !limit["interval"].get_string().get(interval) &&
                       !limit["intervalNum"].get_int64().get(number) && !limit["limit"].get_int64().get(value);
        if (is_read && type == "REQUEST_WEIGHT" && interval == "MINUTE" && number == 1 && value > 0) return value;
    }
    return -1;
}

}  // namespace

extern "C" ff_kline_result ff_exchange_info_parse(const char *bytes, size_t length, size_t rows_max, ff_exchange_info *out) {
    *out = {nullptr, 0, 0, -1, -1};
    simdjson::dom::parser parser;
    simdjson::dom::element root;
    ff_kline_result parsed = parse_root(parser, bytes, length, root);
    if (parsed != FF_KLINE) return parsed;
    simdjson::dom::object document;
    simdjson::dom::element list;
    simdjson::dom::array symbols;
    if (root.get_object().get(document)) return FF_KLINE_TYPE;
    if (document["symbols"].get(list)) return FF_KLINE_MISSING;
    if (list.get_array().get(symbols)) return FF_KLINE_TYPE;
    size_t count = count_of(symbols);
    if (count > rows_max) return FF_KLINE_LONG;
    out->instruments = static_cast<ff_instrument *>(calloc(count + 1, sizeof(ff_instrument)));
    if (out->instruments == nullptr) return FF_KLINE_LONG;
    for (simdjson::dom::element element : symbols) {
        ff_kline_result result = take_instrument(element, out);
        if (result == FF_KLINE) continue;
        ff_exchange_info_free(out);
        return result;
    }
    if (document["serverTime"].get_int64().get(out->server_time)) out->server_time = -1;
    out->weight_per_minute = weight_limit(document);
    return FF_KLINE;
}

extern "C" void ff_exchange_info_free(ff_exchange_info *info) {
    free(info->instruments);
    info->instruments = nullptr;
}

// MARK: 24 h tickers

namespace {

/// A member that is a decimal as text: `-?digits[.digits]`, at most 31 bytes.
bool take_decimal_text(simdjson::dom::object entry, const char *key, ff_decimal &to) {
    std::string_view text;
    if (entry[key].get_string().get(text) || text.size() > sizeof to.text) return false;
    size_t digits = 0, points = 0;
    for (size_t i = !text.empty() && text[0] == '-'; i < text.size(); i++) {
        if (text[i] == '.' && digits > 0 && points == 0) points++, digits = 0;
        else if (is_digit(uint8_t(text[i]))) digits++;
        else return false;
    }
    if (digits == 0) return false;
    memcpy(to.text, text.data(), text.size());
    to.length = uint8_t(text.size());
    return true;
}

bool take_ticker(simdjson::dom::element element, ff_ticker &row) {
    simdjson::dom::object entry;
    if (element.get_object().get(entry)) return false;
    row.symbol_length = take_name(entry, "symbol", row.symbol);
    return row.symbol_length > 0 && take_decimal_text(entry, "lastPrice", row.last_price) &&
           take_decimal_text(entry, "priceChangePercent", row.price_change_percent) &&
           take_decimal_text(entry, "quoteVolume", row.quote_volume) && !entry["count"].get_int64().get(row.count) && row.count >= 0;
}

}  // namespace

extern "C" ff_kline_result ff_tickers_parse(const char *bytes, size_t length, size_t rows_max, ff_tickers *out) {
    *out = {nullptr, 0, 0};
    simdjson::dom::parser parser;
    simdjson::dom::element root;
    ff_kline_result parsed = parse_root(parser, bytes, length, root);
    if (parsed != FF_KLINE) return parsed;
    simdjson::dom::array list;
    if (root.get_array().get(list)) return FF_KLINE_TYPE;
    size_t count = count_of(list);
    if (count > rows_max) return FF_KLINE_LONG;
    out->rows = static_cast<ff_ticker *>(calloc(count + 1, sizeof(ff_ticker)));
    if (out->rows == nullptr) return FF_KLINE_LONG;
    for (simdjson::dom::element element : list) {
        ff_ticker row = {};
        if (take_ticker(element, row)) out->rows[out->count++] = row;
        else out->skipped++;
    }
    return FF_KLINE;
}

extern "C" void ff_tickers_free(ff_tickers *tickers) {
    free(tickers->rows);
    tickers->rows = nullptr;
}
