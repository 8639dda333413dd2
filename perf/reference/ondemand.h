// The same fields by simdjson On-Demand, looked for in the order in which the exchange writes them; with `ordered` false any
// order will do: the way out when a message looks different. Either raw tokens, which is all that the pipeline needs, or values.

#pragma once

#include "kline.h"

#include <simdjson.h>
#include <string_view>

namespace reference {

class OnDemand {
    simdjson::ondemand::parser parser;

    template <bool ordered, class Object>
    INLINE auto field(Object &object, std::string_view key) {
        if constexpr (ordered) return object.find_field(key);
        else return object.find_field_unordered(key);
    }

    /// The token of a number, or of a string without its quotes.
    template <class Value>
    INLINE bool take(Value value, bool is_text, std::string_view &out) {
        if (value.raw_json_token().get(out)) return false;
        while (!out.empty() && uint8_t(out.back()) <= ' ') out.remove_suffix(1);
        if (!is_text) return !out.empty() && out[0] != '"';
        if (out.size() < 2 || out.front() != '"' || out.back() != '"') return false;
        out = out.substr(1, out.size() - 2);
        return true;
    }

    template <bool ordered, class Object>
    INLINE bool keep(Object &object, std::string_view key, bool is_text, const char *message, Kline &out, Field place) {
        std::string_view text;
        if (!take(field<ordered>(object, key), is_text, text) || text.size() - 1 >= number_max) return false;
        out.at[place] = uint16_t(text.data() - message);
        out.length[place] = uint8_t(text.size());
        return true;
    }

    template <class Object>
    INLINE bool number(Object &object, std::string_view key, int64_t &out) { return !field<true>(object, key).get_int64().get(out); }

    /// A string's characters, unescaped and copied.
    template <size_t room, class Object>
    INLINE bool characters(Object &object, std::string_view key, Text<room> &out) {
        std::string_view text;
        if (field<true>(object, key).get_string().get(text) || text.size() - 1 >= room) return false;
        memcpy(out.bytes, text.data(), text.size());
        out.length = uint8_t(text.size());
        return true;
    }

public:
    explicit OnDemand(size_t capacity) { if (parser.allocate(capacity)) throw std::bad_alloc(); }

    /// True when it is a kline event with all fields; then all of `out` is set. What lies between its tokens is not checked.
    template <bool ordered>
    __attribute__((noinline)) bool parse(const char *message, size_t length, Kline &out) {
        if (length > message_max) return false;
        simdjson::ondemand::document document;
        simdjson::ondemand::object envelope, event, bar;
        std::string_view word, symbol, own;
        if (parser.iterate(message, length, length + simdjson::SIMDJSON_PADDING).get(document)) return false;
        if (document.get_object().get(envelope)) return false;
        if (!take(field<ordered>(envelope, "stream"), true, word)) return false;
        if (field<ordered>(envelope, "data").get_object().get(event)) return false;
        if (!take(field<ordered>(event, "e"), true, word) || word != "kline") return false;
        if (!keep<ordered>(event, "E", false, message, out, event_time)) return false;
        if (!take(field<ordered>(event, "s"), true, symbol)) return false;
        if (field<ordered>(event, "k").get_object().get(bar)) return false;
        if (!keep<ordered>(bar, "t", false, message, out, open_time)) return false;
        if (!keep<ordered>(bar, "T", false, message, out, close_time)) return false;
        if (!take(field<ordered>(bar, "s"), true, own) || own != symbol || own.size() - 1 >= symbol_max) return false;
        out.symbol_at = uint16_t(own.data() - message);
        out.symbol_length = uint8_t(own.size());
        if (!take(field<ordered>(bar, "i"), true, word)) return false;
        out.interval = interval_key(word.data(), word.size());
        if (!keep<ordered>(bar, "f", false, message, out, first_trade)) return false;
        if (!keep<ordered>(bar, "L", false, message, out, last_trade)) return false;
        if (!keep<ordered>(bar, "o", true, message, out, open_price)) return false;
        if (!keep<ordered>(bar, "c", true, message, out, close_price)) return false;
        if (!keep<ordered>(bar, "h", true, message, out, high_price)) return false;
        if (!keep<ordered>(bar, "l", true, message, out, low_price)) return false;
        if (!keep<ordered>(bar, "v", true, message, out, volume)) return false;
        if (!keep<ordered>(bar, "n", false, message, out, trade_count)) return false;
        if (!take(field<ordered>(bar, "x"), false, word) || (word != "true" && word != "false")) return false;
        out.closed = word[0] == 't';
        if (!keep<ordered>(bar, "q", true, message, out, quote_volume)) return false;
        if (!keep<ordered>(bar, "V", true, message, out, taker_volume)) return false;
        if (!keep<ordered>(bar, "Q", true, message, out, taker_quote)) return false;
        out.message_length = uint16_t(length);
        return true;
    }

    /// The same fields as values, in the exchange's order: what On-Demand's own accessors check and convert, into a record of its own.
    __attribute__((noinline)) bool values(const char *message, size_t length, Values &out) {
        simdjson::ondemand::document document;
        simdjson::ondemand::object envelope, event, bar;
        std::string_view word, symbol;
        if (parser.iterate(message, length, length + simdjson::SIMDJSON_PADDING).get(document)) return false;
        if (document.get_object().get(envelope)) return false;
        if (field<true>(envelope, "stream").get_string().get(word)) return false;
        if (field<true>(envelope, "data").get_object().get(event)) return false;
        if (field<true>(event, "e").get_string().get(word) || word != "kline") return false;
        if (!number(event, "E", out.event_time)) return false;
        if (field<true>(event, "s").get_string().get(symbol)) return false;
        if (field<true>(event, "k").get_object().get(bar)) return false;
        if (!number(bar, "t", out.open_time) || !number(bar, "T", out.close_time)) return false;
        if (!characters(bar, "s", out.symbol) || symbol != std::string_view(out.symbol.bytes, out.symbol.length)) return false;
        if (!characters(bar, "i", out.interval)) return false;
        if (!number(bar, "f", out.first_trade) || !number(bar, "L", out.last_trade)) return false;
        if (!characters(bar, "o", out.open) || !characters(bar, "c", out.close)) return false;
        if (!characters(bar, "h", out.high) || !characters(bar, "l", out.low)) return false;
        if (!characters(bar, "v", out.volume) || !number(bar, "n", out.trade_count)) return false;
        if (field<true>(bar, "x").get_bool().get(out.closed)) return false;
        return characters(bar, "q", out.quote_volume) && characters(bar, "V", out.taker_volume) &&
            characters(bar, "Q", out.taker_quote);
    }
};

}  // namespace reference
