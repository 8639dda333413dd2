// The newest state of each series, its closed candles that are still to be written, and how all of that becomes
// commands for Redis: the very commands, keys and values that FastFeed writes.
//
//   closed candles: XADD candles:{SYMBOL}:INTERVAL MAXLEN ~ HISTORY OPEN_TIME-0 and fourteen fields
//   newest states:  one HSET latest:INTERVAL for all symbols of the interval
//   updates:        PUBLISH updates:{SYMBOL}:INTERVAL for each series, closed candles first
//
// Messages of a series are taken in the order in which they come: the newest one wins, without comparison.

#pragma once

#include "kline.h"
#include "output.h"

#include <vector>

namespace reference {

constexpr uint32_t none = UINT32_MAX;

/// A message that is kept, whole.
struct State {
    Kline kline;
    uint32_t next;  ///< the next closed candle of the series
    uint64_t received_ns;
    char text[message_max + 64];

    inline __attribute__((always_inline)) void keep(const char *message, const Kline &found, uint64_t now) {
        kline = found;
        received_ns = now;
        // In whole steps: both ends have room for it.
        for (size_t done = 0; done < found.message_length; done += 64) memcpy(text + done, message + done, 64);
    }
};

/// What of a batch its replies must be matched with.
struct Batch {
    size_t replies = 0, candles = 0, closed = 0;
    std::vector<uint64_t> received_ns;

    void clear() {
        replies = candles = closed = 0;
        received_ns.clear();
    }
};

class Store {
    struct Series {
        std::string append, publish, json, name;  ///< the constant parts of its commands
        uint32_t interval_place;
        uint32_t updates = 0;
        uint32_t closed_first = none, closed_last = none, closed_count = 0;
        uint32_t json_at = 0, json_length = 0;  ///< in the batch being built
        bool is_dirty = false;
    };
    struct Interval {
        uint32_t key;
        std::string head;  ///< HSET latest:INTERVAL
        std::vector<uint32_t> dirty;
        size_t taken = 0;  ///< of `dirty`
    };
    struct Entry {
        uint64_t symbol[2];
        uint32_t interval, id;
    };

    std::vector<Series> series;
    std::vector<State> newest;
    std::vector<Interval> intervals;
    std::vector<Entry> index;
    int index_shift;
    std::vector<State> closed;
    std::vector<uint32_t> closed_free;
    size_t dirty_count = 0;

    /// The first `length` bytes, the rest zero.
    INLINE void symbol_key(const char *text, size_t length, uint64_t key[2]) {
        memcpy(key, text, 16);
        uint64_t low = length >= 8 ? ~0ull : (1ull << 8 * length) - 1;
        uint64_t high = length <= 8 ? 0 : (1ull << 8 * (length - 8)) - 1;
        key[0] &= low;
        key[1] &= high;
    }
    size_t place(const uint64_t symbol[2], uint32_t interval) const {
        uint64_t mixed = (symbol[0] ^ interval) * 0x9E3779B97F4A7C15 ^ symbol[1] * 0xC2B2AE3D27D4EB4F;
        mixed ^= mixed >> 29;
        return size_t(mixed * 0xBF58476D1CE4E5B9 >> index_shift);
    }

    uint32_t interval_place(const std::string &token);
    void add(const std::string &symbol, const std::string &interval, size_t history);
    void put_json(Output &out, const Series &own, const State &state);
    void put_append(Output &out, const Series &own, const State &state);
    void put_update(Output &out, const Series &own, const State &state);
    size_t json_length(const Series &own, const Kline &kline) const;

public:
    /// - Parameter symbols: in lower case.
    Store(const std::vector<std::string> &symbols, const std::vector<std::string> &names, size_t history);

    bool is_dirty() const { return dirty_count > 0; }
    size_t closed_waiting() const { return closed.size() - closed_free.size(); }
    size_t series_count() const { return series.size(); }

    /// The series of a message; `none` when nobody asked for it.
    inline __attribute__((always_inline)) uint32_t find(const char *message, const Kline &kline) const {
        uint64_t key[2];
        symbol_key(message + kline.symbol_at, kline.symbol_length, key);
        for (size_t at = place(key, kline.interval);; at = (at + 1) & (index.size() - 1)) {
            const Entry &entry = index[at];
            if (((entry.symbol[0] ^ key[0]) | (entry.symbol[1] ^ key[1]) | (entry.interval ^ kline.interval)) == 0) return entry.id;
            if (entry.id == none) return none;
        }
    }

    /// The series has a state that is not written: another message would replace it.
    bool would_coalesce(uint32_t id) const { return series[id].is_dirty; }

    inline __attribute__((always_inline)) void accept(uint32_t id, const char *message, const Kline &kline, uint64_t now) {
        Series &own = series[id];
        newest[id].keep(message, kline, now);
        own.updates++;
        if (__builtin_expect(kline.closed, 0)) accept_closed(own, message, kline, now);
        if (own.is_dirty) return;
        own.is_dirty = true;
        intervals[own.interval_place].dirty.push_back(id);
        dirty_count++;
    }
    void accept_closed(Series &own, const char *message, const Kline &kline, uint64_t now);

    /// Writes the commands for what is dirty, about `most` candles, behind what `out` and `batch` have already.
    void build(Output &out, Batch &batch, size_t most);
};

}  // namespace reference
