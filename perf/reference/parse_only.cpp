// What the parsers cost alone: thread CPU time over many distinct messages, several rounds, the median.

#include "histogram.h"
#include "ondemand.h"
#include "options.h"
#include "scanner.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <stdexcept>

namespace reference {

namespace {

/// Messages one behind the other, padded only at the end: as in the receive buffer.
struct Messages {
    std::vector<size_t> at, length;
    std::string bytes;

    void add(const std::string &text) {
        at.push_back(bytes.size());
        length.push_back(text.size());
        bytes += text;
        bytes += std::string(4, '\x7e');  // where a frame's header would be
    }
};

uint64_t random_state = 42;
uint64_t random_below(uint64_t bound) {
    random_state = random_state * 6364136223846793005 + 1442695040888963407;
    return (random_state >> 33) % bound;
}

std::string decimal(uint64_t from, uint64_t until) {
    std::string fraction = std::to_string(random_below(100000000));
    return std::to_string(from + random_below(until - from)) + "." + std::string(8 - fraction.size(), '0') + fraction;
}

Messages made_up(size_t count) {
    Messages messages;
    for (size_t index = 0; index < count; index++) {
        uint64_t open = 1790001240000 + index / 60 * 60000, first = 4100000000 + index * 120;
        std::string price[4];
        for (std::string &one : price) one = decimal(60000, 80000);
        messages.add(
            "{\"stream\":\"btcusdt@kline_1m\",\"data\":{\"e\":\"kline\",\"E\":" + std::to_string(open + index % 60 * 1000 + 4) +
            ",\"s\":\"BTCUSDT\",\"k\":{\"t\":" + std::to_string(open) + ",\"T\":" + std::to_string(open + 59999) +
            ",\"s\":\"BTCUSDT\",\"i\":\"1m\",\"f\":" + std::to_string(first) + ",\"L\":" + std::to_string(first + 119) + ",\"o\":\"" +
            price[0] + "\",\"c\":\"" + price[1] + "\",\"h\":\"" + price[2] + "\",\"l\":\"" + price[3] + "\",\"v\":\"" +
            decimal(0, 100) + "\",\"n\":120,\"x\":" + (index % 60 == 59 ? "true" : "false") + ",\"q\":\"" +
            decimal(10000, 10000000) + "\",\"V\":\"" + decimal(0, 50) + "\",\"Q\":\"" + decimal(10000, 1000000) +
            "\",\"B\":\"0\"}}}");
    }
    return messages;
}

Messages from_file(const std::string &path) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path);
    Messages messages;
    for (std::string line; std::getline(file, line);)
        if (!line.empty()) messages.add(line);
    return messages;
}

template <class Result, class Parse>
double nanoseconds(const Messages &messages, size_t rounds, Parse parse) {
    std::vector<double> costs;
    for (size_t round = 0; round <= rounds; round++) {
        uint64_t before = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        for (size_t index = 0; index < messages.at.size(); index++) {
            Result result;
            if (!parse(messages.bytes.data() + messages.at[index], messages.length[index], result))
                throw std::runtime_error("a message is refused: " + messages.bytes.substr(messages.at[index], messages.length[index]));
            asm volatile("" : : "r"(&result) : "memory");  // every field is used
        }
        double cost = double(clock_ns(CLOCK_THREAD_CPUTIME_ID) - before) / double(messages.at.size());
        if (round > 0) costs.push_back(cost);  // the first one warms the caches
    }
    std::sort(costs.begin(), costs.end());
    return costs[costs.size() / 2];
}

bool is_number(const char *message, const Kline &kline, Field name, int64_t value) {
    return std::string(message + kline.at[name], kline.length[name]) == std::to_string(value);
}

template <size_t room>
bool is_text(const char *message, const Kline &kline, Field name, const Text<room> &text) {
    return kline.length[name] == text.length && memcmp(message + kline.at[name], text.bytes, text.length) == 0;
}

bool agrees(const char *message, const Kline &kline, const Values &values) {
    return is_number(message, kline, event_time, values.event_time) && is_number(message, kline, open_time, values.open_time) &&
        is_number(message, kline, close_time, values.close_time) && is_number(message, kline, first_trade, values.first_trade) &&
        is_number(message, kline, last_trade, values.last_trade) && is_number(message, kline, trade_count, values.trade_count) &&
        is_text(message, kline, open_price, values.open) && is_text(message, kline, close_price, values.close) &&
        is_text(message, kline, high_price, values.high) && is_text(message, kline, low_price, values.low) &&
        is_text(message, kline, volume, values.volume) && is_text(message, kline, quote_volume, values.quote_volume) &&
        is_text(message, kline, taker_volume, values.taker_volume) && is_text(message, kline, taker_quote, values.taker_quote) &&
        interval_key(values.interval.bytes, values.interval.length) == kline.interval && values.closed == (kline.closed != 0) &&
        std::string(values.symbol.bytes, values.symbol.length) == std::string(message + kline.symbol_at, kline.symbol_length);
}

bool scan_spot(const char *message, size_t length, Kline &out) { return scan_kline(message, length, out); }
bool scan_futures(const char *message, size_t length, Kline &out) { return scan_kline<true>(message, length, out); }

/// All of them must find the same, or a figure would mean nothing. Returns whether the scanner knows the layout at all.
template <class Scan>
bool compare(Scan scan, const Messages &messages, OnDemand &on_demand) {
    bool is_known = false;
    for (size_t index = 0; index < messages.at.size(); index++) {
        const char *message = messages.bytes.data() + messages.at[index];
        Kline found[3];
        memset(found, 0, sizeof found);
        bool is_scanned = scan(message, messages.length[index], found[0]);
        if (index == 0) is_known = is_scanned;
        bool all = is_scanned == is_known && on_demand.parse<true>(message, messages.length[index], found[1]) &&
            on_demand.parse<false>(message, messages.length[index], found[2]);
        Values values;
        all = all && on_demand.values(message, messages.length[index], values) && agrees(message, found[1], values);
        if (!all || (is_known && memcmp(&found[0], &found[1], sizeof(Kline)) != 0) || memcmp(&found[1], &found[2], sizeof(Kline)) != 0)
            throw std::runtime_error("the parsers disagree: " + std::string(message, messages.length[index]));
    }
    return is_known;
}

}  // namespace

/// `scanner_ns` is 0 when the messages have a layout that it leaves to simdjson.
void parse_only(const Options &options) {
    Messages messages = options.parse_file.empty() ? made_up(options.parse_frames) : from_file(options.parse_file);
    if (messages.at.empty()) throw std::runtime_error("no messages");
    size_t bytes = messages.bytes.size() - 4 * messages.at.size();
    messages.bytes += std::string(slack, '\0');
    OnDemand on_demand(message_max);
    double scanner = 0;
    if (compare(scan_spot, messages, on_demand)) {
        scanner = nanoseconds<Kline>(messages, options.parse_rounds, [](const char *p, size_t n, Kline &out) { return scan_kline(p, n, out); });
    } else if (compare(scan_futures, messages, on_demand)) {
        scanner = nanoseconds<Kline>(messages, options.parse_rounds, [](const char *p, size_t n, Kline &out) { return scan_kline<true>(p, n, out); });
    }
    double ordered = nanoseconds<Kline>(messages, options.parse_rounds, [&](const char *p, size_t n, Kline &out) { return on_demand.parse<true>(p, n, out); });
    double any_order = nanoseconds<Kline>(messages, options.parse_rounds, [&](const char *p, size_t n, Kline &out) { return on_demand.parse<false>(p, n, out); });
    double values = nanoseconds<Values>(messages, options.parse_rounds, [&](const char *p, size_t n, Values &out) { return on_demand.values(p, n, out); });
    printf("{\"program\":\"reference\",\"simdjson\":\"%s\",\"kernel\":\"%s\",\"messages\":%zu,\"bytes_per_message\":%zu,"
           "\"scanner_ns\":%.1f,\"ondemand_ns\":%.1f,\"ondemand_any_order_ns\":%.1f,\"ondemand_values_ns\":%.1f}\n",
           SIMDJSON_STRINGIFY(SIMDJSON_VERSION), simdjson::get_active_implementation()->name().c_str(), messages.at.size(),
           bytes / messages.at.size(), scanner, ordered, any_order, values);
}

}  // namespace reference
