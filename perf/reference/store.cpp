#include "store.h"

#include <stdexcept>

namespace reference {

Store::Store(const std::vector<std::string> &symbols, const std::vector<std::string> &names, size_t history) {
    size_t count = symbols.size() * names.size(), size = 64;
    while (size < count * 4) size *= 2;
    index.assign(size, Entry{{0, 0}, 0, none});
    index_shift = 64 - __builtin_ctzll(size);
    series.reserve(count);
    newest.resize(count);
    for (const std::string &name : names)
        for (const std::string &symbol : symbols) add(symbol, name, history);
}

uint32_t Store::interval_place(const std::string &token) {
    std::string padded = token + std::string(4, '\0');
    uint32_t key = interval_key(padded.data(), token.size());
    if (key == 0) throw std::invalid_argument("no interval: " + token);
    for (size_t at = 0; at < intervals.size(); at++)
        if (intervals[at].key == key) return uint32_t(at);
    intervals.push_back(Interval{key, bulk("HSET") + bulk("latest:" + token), {}, 0});
    return uint32_t(intervals.size() - 1);
}

void Store::add(const std::string &symbol, const std::string &interval, size_t history) {
    if (symbol.empty() || symbol.size() > symbol_max) throw std::invalid_argument("a symbol has 1 to 15 characters: " + symbol);
    uint32_t id = uint32_t(series.size());
    std::string key = "{" + symbol + "}:" + interval;
    Series own;
    own.append = "*34\r\n" + bulk("XADD") + bulk("candles:" + key) + bulk("MAXLEN") + bulk("~") + bulk(std::to_string(history));
    own.publish = "*3\r\n" + bulk("PUBLISH") + bulk("updates:" + key);
    own.json = "{\"symbol\":\"" + symbol + "\",\"interval\":\"" + interval + "\",";
    own.name = bulk(symbol);
    own.interval_place = interval_place(interval);
    series.push_back(own);

    std::string upper = symbol + std::string(16, '\0');
    for (char &c : upper)
        if (c >= 'a' && c <= 'z') c = char(c - 32);
    Entry entry{{0, 0}, intervals[own.interval_place].key, id};
    symbol_key(upper.data(), symbol.size(), entry.symbol);
    size_t at = place(entry.symbol, entry.interval);
    while (index[at].id != none) at = (at + 1) & (index.size() - 1);
    index[at] = entry;
}

void Store::accept_closed(Series &own, const char *message, const Kline &kline, uint64_t now) {
    uint32_t node;
    if (closed_free.empty()) {
        node = uint32_t(closed.size());
        closed.emplace_back();
    } else {
        node = closed_free.back();
        closed_free.pop_back();
    }
    closed[node].keep(message, kline, now);
    closed[node].next = none;
    (own.closed_first == none ? own.closed_first : closed[own.closed_last].next) = node;
    own.closed_last = node;
    own.closed_count++;
}

// MARK: Commands

namespace {
/// All of a candle's JSON that is the same for each, without the opening part and the fields.
constexpr char json_words[] =
    "\"open_time\":,\"open\":\"\",\"high\":\"\",\"low\":\"\",\"close\":\"\",\"volume\":\"\",\"close_time\":,\"quote_volume\":\"\",\"count\":,"
    "\"taker_buy_volume\":\"\",\"taker_buy_quote_volume\":\"\",\"first_trade_id\":,\"last_trade_id\":,\"source\":\"live\",\"revision\":0,"
    "\"closed\":,\"event_time\":}";
/// More than the commands of one series take, closed candles apart, and than one closed candle takes.
constexpr size_t series_bytes_max = 4096;
}  // namespace

size_t Store::json_length(const Series &own, const Kline &kline) const {
    size_t length = own.json.size() + sizeof json_words - 1 + (kline.closed ? 4 : 5);
    for (uint8_t field : kline.length) length += field;
    return length;
}

void Store::put_json(Output &out, const Series &own, const State &state) {
    const char *text = state.text;
    const Kline &kline = state.kline;
    out.put(own.json);
    out.literal("\"open_time\":");
    out.field(text, kline, open_time);
    out.literal(",\"open\":\"");
    out.field(text, kline, open_price);
    out.literal("\",\"high\":\"");
    out.field(text, kline, high_price);
    out.literal("\",\"low\":\"");
    out.field(text, kline, low_price);
    out.literal("\",\"close\":\"");
    out.field(text, kline, close_price);
    out.literal("\",\"volume\":\"");
    out.field(text, kline, volume);
    out.literal("\",\"close_time\":");
    out.field(text, kline, close_time);
    out.literal(",\"quote_volume\":\"");
    out.field(text, kline, quote_volume);
    out.literal("\",\"count\":");
    out.field(text, kline, trade_count);
    out.literal(",\"taker_buy_volume\":\"");
    out.field(text, kline, taker_volume);
    out.literal("\",\"taker_buy_quote_volume\":\"");
    out.field(text, kline, taker_quote);
    out.literal("\",\"first_trade_id\":");
    out.field(text, kline, first_trade);
    out.literal(",\"last_trade_id\":");
    out.field(text, kline, last_trade);
    if (kline.closed) out.literal(",\"source\":\"live\",\"revision\":0,\"closed\":true,\"event_time\":");
    else out.literal(",\"source\":\"live\",\"revision\":0,\"closed\":false,\"event_time\":");
    out.field(text, kline, event_time);
    out.literal("}");
}

void Store::put_append(Output &out, const Series &own, const State &state) {
    const char *text = state.text;
    const Kline &kline = state.kline;
    out.put(own.append);
    out.bulk_head(kline.length[open_time] + 2);
    out.field(text, kline, open_time);
    out.literal("-0\r\n$4\r\nopen\r\n");
    out.field_bulk(text, kline, open_price);
    out.literal("$4\r\nhigh\r\n");
    out.field_bulk(text, kline, high_price);
    out.literal("$3\r\nlow\r\n");
    out.field_bulk(text, kline, low_price);
    out.literal("$5\r\nclose\r\n");
    out.field_bulk(text, kline, close_price);
    out.literal("$6\r\nvolume\r\n");
    out.field_bulk(text, kline, volume);
    out.literal("$10\r\nclose_time\r\n");
    out.field_bulk(text, kline, close_time);
    out.literal("$12\r\nquote_volume\r\n");
    out.field_bulk(text, kline, quote_volume);
    out.literal("$5\r\ncount\r\n");
    out.field_bulk(text, kline, trade_count);
    out.literal("$16\r\ntaker_buy_volume\r\n");
    out.field_bulk(text, kline, taker_volume);
    out.literal("$22\r\ntaker_buy_quote_volume\r\n");
    out.field_bulk(text, kline, taker_quote);
    out.literal("$14\r\nfirst_trade_id\r\n");
    out.field_bulk(text, kline, first_trade);
    out.literal("$13\r\nlast_trade_id\r\n");
    out.field_bulk(text, kline, last_trade);
    out.literal("$6\r\nsource\r\n$4\r\nlive\r\n$8\r\nrevision\r\n$1\r\n0\r\n");
}

/// `{…,"rows":R,"updates":U,"candles":[…]}`. The newest state is listed once, be it the last of the closed ones.
void Store::put_update(Output &out, const Series &own, const State &state) {
    bool lists_newest = !state.kline.closed || own.closed_first == none;
    size_t rows = own.closed_count + (lists_newest ? 1 : 0);
    size_t length = own.json.size() + sizeof "\"rows\":,\"updates\":,\"candles\":[]}" - 1 + digit_count(rows) + digit_count(own.updates);
    length += rows - 1 + (lists_newest ? own.json_length : 0);
    for (uint32_t node = own.closed_first; node != none; node = closed[node].next) length += json_length(own, closed[node].kline);
    out.put(own.publish);
    out.bulk_head(length);
    out.put(own.json);
    out.literal("\"rows\":");
    out.number(rows);
    out.literal(",\"updates\":");
    out.number(own.updates);
    out.literal(",\"candles\":[");
    for (uint32_t node = own.closed_first; node != none; node = closed[node].next) {
        if (node != own.closed_first) out.literal(",");
        put_json(out, own, closed[node]);
    }
    if (lists_newest) {
        if (own.closed_first != none) out.literal(",");
        out.put(out.start() + own.json_at, own.json_length);
    }
    out.literal("]}\r\n");
}

void Store::build(Output &out, Batch &batch, size_t most) {
    for (Interval &interval : intervals) {
        if (batch.candles >= most) return;
        size_t first = interval.taken, last = interval.dirty.size();
        if (last - first > most - batch.candles) last = first + most - batch.candles;
        if (first == last) continue;
        for (size_t at = first; at < last; at++) {
            Series &own = series[interval.dirty[at]];
            for (uint32_t node = own.closed_first; node != none; node = closed[node].next) {
                out.reserve(series_bytes_max);
                put_append(out, own, closed[node]);
                batch.received_ns.push_back(closed[node].received_ns);
                batch.closed++;
                batch.candles++;
                batch.replies++;
            }
        }
        out.reserve(series_bytes_max);
        out.literal("*");
        out.number(2 + 2 * (last - first));
        out.literal("\r\n");
        out.put(interval.head);
        for (size_t at = first; at < last; at++) {
            uint32_t id = interval.dirty[at];
            Series &own = series[id];
            const State &state = newest[id];
            out.reserve(series_bytes_max);
            out.put(own.name);
            own.json_length = uint32_t(json_length(own, state.kline));
            out.bulk_head(own.json_length);
            own.json_at = uint32_t(out.count);
            put_json(out, own, state);
            out.literal("\r\n");
            if (state.kline.closed) continue;
            batch.received_ns.push_back(state.received_ns);
            batch.candles++;
        }
        for (size_t at = first; at < last; at++) {
            uint32_t id = interval.dirty[at];
            Series &own = series[id];
            out.reserve(series_bytes_max * (1 + own.closed_count));
            put_update(out, own, newest[id]);
            for (uint32_t node = own.closed_first; node != none; node = closed[node].next) closed_free.push_back(node);
            own.closed_first = own.closed_last = none;
            own.closed_count = own.updates = 0;
            own.is_dirty = false;
        }
        batch.replies += 1 + (last - first);
        dirty_count -= last - first;
        interval.taken = last;
        if (last == interval.dirty.size()) {
            interval.dirty.clear();
            interval.taken = 0;
        }
    }
}

}  // namespace reference
