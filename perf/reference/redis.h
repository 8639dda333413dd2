// The connection to Redis: one buffer of commands, batches in flight, replies counted and not parsed. An error reply,
// or the end of the connection, ends the program: this is a yardstick, not a service.

#pragma once

#include "histogram.h"
#include "store.h"

#include <string>

namespace reference {

class Redis {
    static constexpr size_t batches_max = 64;
    /// A batch of fewer candles is a small one: with `lazy` many of them may be in flight.
    static constexpr size_t small_batch = 64, small_batches_max = 32, unread_max = 8;
    enum class At : uint8_t { start, line, head, body };

    int fd;
    bool lazy;
    size_t in_flight_max;
    Output out;
    size_t sent = 0;
    Batch batches[batches_max];  ///< a ring; the one behind the last in flight is being built
    size_t first = 0, in_flight = 0, large_in_flight = 0, answered = 0;
    At at = At::start;
    char input[64 * 1024];

    Batch &building() { return batches[(first + in_flight) % batches_max]; }
    void settle(size_t replies);
    size_t count_replies(const char *bytes, size_t length);

public:
    uint64_t candles = 0, closed = 0, batch_count = 0;
    Histogram latency;

    /// - Parameter where: the path of a Unix socket, or ADDRESS:PORT.
    Redis(const std::string &where, size_t in_flight_max, bool lazy);
    ~Redis();

    int descriptor() const { return fd; }
    /// The socket would not take all of it.
    bool has_unsent() const { return sent < out.count; }
    bool is_idle() const { return in_flight == 0; }
    bool is_building() { return building().replies > 0; }
    bool may_build() { return is_building() || can_take(); }
    /// So many batches may be in flight; of small ones, with `lazy`, 32.
    bool can_take() const {
        if (has_unsent()) return false;
        return in_flight < in_flight_max || (lazy && large_in_flight < in_flight_max && in_flight < small_batches_max);
    }
    /// Nothing is to be woken for: with `lazy` the replies are read in passing.
    bool may_wait() const { return lazy && can_take(); }
    bool has_many_unread() const { return in_flight >= unread_max; }

    /// Appends what the store has to the batch that is being built; `seal` ends and sends it.
    void build(Store &store, size_t most) {
        Batch &batch = building();
        if (batch.replies == 0) out.count = sent = 0;
        store.build(out, batch, most);
    }
    size_t building_count() { return building().candles; }
    void seal();
    void send_rest();
    /// Reads what there is.
    void read_replies();
};

}  // namespace reference
