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
    INLINE bool token(Value value, bool is_text, std::string_view &out) {
        if (value.raw_json_token().get(out)) return false;
        while (!out.empty() && uint8_t(out.back()) <= ' ') out.remove_suffix(1);
        if (!is_text) return !out.empty() && out[0] != '"';
        if (out.size() < 2 || out.front() != '"' || out.back() != '"') return false;
        out = out.substr(1, out.size() - 2);
        return true;
    }

    template <bool ordered, class Object>
    INLINE bool place(Object &object, std::string_view key, bool is_text, const char *message, Kline &out, Field name) {
        std::string_view text;
        if (!token(field<ordered>(object, key), is_text, text) || text.size() - 1 >= number_max) return false;
        out.at[name] = uint16_t(text.data() - message);
        out.length[name] = uint8_t(text.size());
        return true;
    }

    template <bool ordered, class Object>
    INLINE bool number(Object &object, std::string_view key, int64_t &out) { return !field<ordered>(object, key).get_int64().get(out); }

    /// A string's characters, unescaped and copied.
    template <bool ordered, size_t room, class Object>
    INLINE bool characters(Object &object, std::string_view key, Text<room> &out) {
        std::string_view text;
        if (field<ordered>(object, key).get_string().get(text) || text.size() - 1 >= room) return false;
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
        if (!token(field<ordered>(envelope, "stream"), true, word)) return false;
        if (field<ordered>(envelope, "data").get_object().get(event)) return false;
        if (!token(field<ordered>(event, "e"), true, word) || word != "kline") return false;
        if (!place<ordered>(event, "E", false, message, out, event_time)) return false;
        if (!token(field<ordered>(event, "s"), true, symbol)) return false;
        if (field<ordered>(event, "k").get_object().get(bar)) return false;
        if (!place<ordered>(bar, "t", false, message, out, open_time)) return false;
        if (!place<ordered>(bar, "T", false, message, out, close_time)) return false;
        if (!token(field<ordered>(bar, "s"), true, own) || own != symbol || own.size() - 1 >= symbol_max) return false;
        out.symbol_at = uint16_t(own.data() - message);
        out.symbol_length = uint8_t(own.size());
        if (!token(field<ordered>(bar, "i"), true, word)) return false;
        out.interval = interval_key(word.data(), word.size());
        if (!place<ordered>(bar, "f", false, message, out, first_trade)) return false;
        if (!place<ordered>(bar, "L", false, message, out, last_trade)) return false;
        if (!place<ordered>(bar, "o", true, message, out, open_price)) return false;
        if (!place<ordered>(bar, "c", true, message, out, close_price)) return false;
        if (!place<ordered>(bar, "h", true, message, out, high_price)) return false;
        if (!place<ordered>(bar, "l", true, message, out, low_price)) return false;
        if (!place<ordered>(bar, "v", true, message, out, volume)) return false;
        if (!place<ordered>(bar, "n", false, message, out, trade_count)) return false;
        if (!token(field<ordered>(bar, "x"), false, word) || (word != "true" && word != "false")) return false;
        out.closed = word[0] == 't';
        if (!place<ordered>(bar, "q", true, message, out, quote_volume)) return false;
        if (!place<ordered>(bar, "V", true, message, out, taker_volume)) return false;
        if (!place<ordered>(bar, "Q", true, message, out, taker_quote)) return false;
        out.message_length = uint16_t(length);
        return true;
    }

    /// The same fields as values: what On-Demand's own accessors check and convert, into a record of its own.
    template <bool ordered>
    __attribute__((noinline)) bool values(const char *message, size_t length, Values &out) {
        simdjson::ondemand::document document;
        simdjson::ondemand::object envelope, event, bar;
        std::string_view word, symbol;
        if (parser.iterate(message, length, length + simdjson::SIMDJSON_PADDING).get(document)) return false;
        if (document.get_object().get(envelope)) return false;
        if (field<ordered>(envelope, "stream").get_string().get(word)) return false;
        if (field<ordered>(envelope, "data").get_object().get(event)) return false;
        if (field<ordered>(event, "e").get_string().get(word) || word != "kline") return false;
        if (!number<ordered>(event, "E", out.event_time)) return false;
        if (field<ordered>(event, "s").get_string().get(symbol)) return false;
        if (field<ordered>(event, "k").get_object().get(bar)) return false;
        if (!number<ordered>(bar, "t", out.open_time) || !number<ordered>(bar, "T", out.close_time)) return false;
        if (!characters<ordered>(bar, "s", out.symbol) || symbol != std::string_view(out.symbol.bytes, out.symbol.length)) return false;
        if (!characters<ordered>(bar, "i", out.interval)) return false;
        if (!number<ordered>(bar, "f", out.first_trade) || !number<ordered>(bar, "L", out.last_trade)) return false;
        if (!characters<ordered>(bar, "o", out.open) || !characters<ordered>(bar, "c", out.close)) return false;
        if (!characters<ordered>(bar, "h", out.high) || !characters<ordered>(bar, "l", out.low)) return false;
        if (!characters<ordered>(bar, "v", out.volume) || !number<ordered>(bar, "n", out.trade_count)) return false;
        if (field<ordered>(bar, "x").get_bool().get(out.closed)) return false;
        return characters<ordered>(bar, "q", out.quote_volume) && characters<ordered>(bar, "V", out.taker_volume) &&
            characters<ordered>(bar, "Q", out.taker_quote);
    }
};

}  // namespace reference
