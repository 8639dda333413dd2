// The pipeline on its one thread. A turn: wait, read the sockets that are readable, parse each message where it lies,
// keep the newest state of its series, and, if Redis can take more, write what is dirty as one pipelined batch.

#pragma once

#include "ondemand.h"
#include "options.h"
#include "redis.h"
#include "scanner.h"
#include "venue.h"

#include <memory>

namespace reference {

class Pipeline {
    /// More closed candles than this may not wait for Redis: then the sockets are left alone.
    static constexpr size_t closed_waiting_max = 100000;
    /// The request with all stream names has to be a reasonable one.
    static constexpr size_t target_bytes_max = 12000;
    static constexpr uint64_t redis_token = UINT64_MAX;

    struct Link {
        std::unique_ptr<Venue> venue;
        bool is_stuck = false;  ///< its next message waits until Redis can take more
        bool has_more = false;  ///< what it has read already wakes nobody
        bool is_over = false;
    };

    const Options &options;
    std::unique_ptr<Store> store;
    std::unique_ptr<Redis> redis;
    OnDemand on_demand{message_max};
    SSL_CTX *context = nullptr;
    std::vector<Link> links;
    size_t open_count = 0, stuck_count = 0, more_count = 0;
    int poller;
    uint32_t redis_interest = 0;

    uint64_t frames = 0, klines = 0, others = 0, fallbacks = 0, turns = 0;
    uint64_t first_ns = 0, last_ns = 0;

    void watch(int what, int fd, uint32_t events, uint64_t token);
    void connect_all();
    void watch_redis();
    void wait_for_redis();
    void turn_redis(bool is_readable);
    void finish();
    bool wait(uint64_t &now, bool &redis_is_readable, std::vector<size_t> &ready);

    template <class Read>
    void turn_until_end(Read read);
    template <class Read>
    inline void turn(Link &link, Read read);
    template <bool every>
    inline bool take(const char *message, size_t length, uint64_t now);

public:
    explicit Pipeline(const Options &options);
    ~Pipeline();

    /// Until the exchange ends, or `stop`.
    void run();
    /// One line of JSON.
    void report() const;
    /// From a signal handler.
    static void stop();
};

}  // namespace reference
