// What a parser finds in one kline message: where each field's text lies. Nothing is converted: the exchange's digits
// are the digits that Redis gets, so a number only has to be proven to be one.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#define INLINE static inline __attribute__((always_inline))

namespace reference {

/// Readable bytes behind every message: the parsers load whole vectors, and a message that breaks off may lead them
/// on through what an earlier one has left there.
constexpr size_t slack = 1024;
/// A longer message is refused, so that every place fits 16 bits and every message a slot.
constexpr size_t message_max = 960;
/// The longest text of a number.
constexpr size_t number_max = 31;
constexpr size_t symbol_max = 15;

enum Field {
    event_time, open_time, close_time, first_trade, last_trade, open_price, close_price, high_price, low_price, volume,
    trade_count, quote_volume, taker_volume, taker_quote, field_count
};

struct Kline {
    uint16_t at[field_count];       ///< offset into the message
    uint8_t length[field_count];
    uint8_t symbol_length;
    uint8_t closed;
    uint16_t symbol_at;
    uint16_t message_length;
    uint32_t interval;              ///< its two or three characters, the first in the lowest byte
};

template <size_t room> struct Text {
    char bytes[room];
    uint8_t length;
};

/// The fields as values, integers converted and strings copied: what a program would keep that does more with them than pass them on.
struct Values {
    int64_t event_time, open_time, close_time, first_trade, last_trade, trade_count;
    Text<symbol_max> symbol;
    Text<3> interval;
    Text<number_max> open, close, high, low, volume, quote_volume, taker_volume, taker_quote;
    bool closed;
};

/// The two or three characters of an interval as a number; 0 when there are more or fewer.
INLINE uint32_t interval_key(const char *text, size_t length) {
    uint32_t word;
    memcpy(&word, text, 4);
    return length == 2 ? word & 0xFFFF : length == 3 ? word & 0xFFFFFF : 0;
}

}  // namespace reference
