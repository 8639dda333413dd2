#include "pipeline.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <poll.h>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

namespace reference {

namespace {
volatile sig_atomic_t is_told_to_stop = 0;
}

void Pipeline::stop() { is_told_to_stop = 1; }

Pipeline::Pipeline(const Options &options) : options(options), poller(epoll_create1(EPOLL_CLOEXEC)) {
    if (!options.drain) {
        store = std::make_unique<Store>(options.symbols, options.intervals, options.history);
        redis = std::make_unique<Redis>(options.redis, options.in_flight, options.lazy);
        redis_interest = EPOLLIN;
        watch(EPOLL_CTL_ADD, redis->descriptor(), redis_interest, redis_token);
    }
    connect_all();
}

Pipeline::~Pipeline() {
    links.clear();
    if (context != nullptr) SSL_CTX_free(context);
    close(poller);
}

void Pipeline::watch(int what, int fd, uint32_t events, uint64_t token) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = token;
    if (epoll_ctl(poller, what, fd, &event) != 0) throw std::runtime_error("epoll_ctl");
}

void Pipeline::connect_all() {
    VenueAddress address(options.venue);
    if (address.is_secure) {
        context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_read_ahead(context, 1);
        SSL_CTX_set_default_read_buffer_len(context, 64 * 1024);  // what is left is moved to the front at each record
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
        if (SSL_CTX_load_verify_locations(context, options.authority_file.c_str(), nullptr) != 1)
            throw std::runtime_error("cannot read the authority: " + options.authority_file);
    }
    std::string target;
    size_t streams = 0;
    auto connect = [&] {
        if (streams == 0) return;
        links.push_back(Link{std::make_unique<Venue>(address, target, context), false, true, false});
        watch(EPOLL_CTL_ADD, links.back().venue->descriptor(), EPOLLIN, links.size() - 1);
        open_count++;
        more_count++;  // frames may have come with the answer to the upgrade
        streams = 0;
    };
    for (const std::string &interval : options.intervals) {
        for (const std::string &symbol : options.symbols) {
            if (streams == options.streams_per_connection || target.size() > target_bytes_max) connect();
            target = (streams++ == 0 ? "/stream?streams=" : target + "/") + symbol + "@kline_" + interval;
        }
    }
    connect();
}

void Pipeline::run() {
    if (options.drain) {
        turn_until_end([this](Venue &venue, uint64_t) {
            return venue.frames([this](const char *, size_t) { return ++frames != 0; });
        });
    } else if (options.every) {
        turn_until_end([this](Venue &venue, uint64_t now) {
            return venue.frames([this, now](const char *message, size_t length) { return take<true>(message, length, now); });
        });
    } else {
        turn_until_end([this](Venue &venue, uint64_t now) {
            return venue.frames([this, now](const char *message, size_t length) { return take<false>(message, length, now); });
        });
    }
    if (redis) finish();
}

// MARK: Messages

/// False when the message must wait until Redis can take more.
template <bool every>
inline __attribute__((always_inline)) bool Pipeline::take(const char *message, size_t length, uint64_t now) {
    Kline kline;
    bool is_kline;
    if (options.use_simdjson) {
        is_kline = on_demand.parse<true>(message, length, kline);
    } else {
        is_kline = scan_kline(message, length, kline);
    }
    if (__builtin_expect(!is_kline, 0)) {
        is_kline = on_demand.parse<false>(message, length, kline);
        fallbacks += is_kline;
    }
    uint32_t id = is_kline ? store->find(message, kline) : none;
    if (__builtin_expect(id == none, 0)) {
        frames++;
        others++;
        return true;
    }
    if (every && store->would_coalesce(id)) {
        // What is there goes into the batch, as a group of commands of its own.
        if (!redis->may_build()) return false;
        redis->build(*store, SIZE_MAX);
        if (redis->building_count() >= options.batch) redis->seal();
    }
    if (__builtin_expect(kline.closed, 0) && store->closed_waiting() >= closed_waiting_max) return false;
    store->accept(id, message, kline, now);
    frames++;
    klines++;
    return true;
}

// MARK: Turns

template <class Read>
inline __attribute__((always_inline)) void Pipeline::turn(Link &link, Read read) {
    if (link.is_over) return;
    more_count -= link.has_more;
    stuck_count -= link.is_stuck;
    link.has_more = link.is_stuck ? link.has_more : link.venue->fill();
    link.is_stuck = !read(*link.venue);
    more_count += link.has_more;
    stuck_count += link.is_stuck;
    if (link.venue->is_open || link.is_stuck) return;
    link.is_over = true;
    more_count -= link.has_more;
    epoll_ctl(poller, EPOLL_CTL_DEL, link.venue->descriptor(), nullptr);
    open_count--;
}

template <class Read>
void Pipeline::turn_until_end(Read read) {
    std::vector<size_t> ready;
    uint64_t now = 0;
    first_ns = now_ns();
    while (open_count > 0 && !is_told_to_stop) {
        bool redis_is_readable = false;
        if (!wait(now, redis_is_readable, ready)) continue;
        turns++;
        auto read_now = [&](Venue &venue) { return read(venue, now); };
        if (stuck_count + more_count > 0) {
            for (Link &link : links)
                if (link.is_stuck || link.has_more) turn(link, read_now);
        }
        if (stuck_count == 0)
            for (size_t index : ready) turn(links[index], read_now);
        if (redis) turn_redis(redis_is_readable);
    }
    last_ns = now_ns();
}

/// Waits until something can be done. While a message waits for Redis, nothing else is looked at.
bool Pipeline::wait(uint64_t &now, bool &redis_is_readable, std::vector<size_t> &ready) {
    ready.clear();
    if (stuck_count > 0) {
        wait_for_redis();
        now = now_ns();
        return true;
    }
    if (options.pause_us > 0 && more_count == 0) usleep(options.pause_us);
    if (redis) watch_redis();
    epoll_event events[64];
    int count = epoll_wait(poller, events, 64, options.spin || more_count > 0 ? 0 : 1000);
    if (count <= 0 && more_count == 0) return false;
    now = now_ns();
    for (int index = 0; index < count; index++) {
        if (events[index].data.u64 == redis_token) redis_is_readable = true;
        else ready.push_back(size_t(events[index].data.u64));
    }
    return true;
}

void Pipeline::watch_redis() {
    uint32_t wanted = (redis->may_wait() ? 0 : uint32_t(EPOLLIN)) | (redis->has_unsent() ? uint32_t(EPOLLOUT) : 0);
    if (wanted == redis_interest) return;
    redis_interest = wanted;
    watch(EPOLL_CTL_MOD, redis->descriptor(), wanted, redis_token);
}

void Pipeline::wait_for_redis() {
    pollfd entry{redis->descriptor(), short(POLLIN | (redis->has_unsent() ? POLLOUT : 0)), 0};
    poll(&entry, 1, 1000);
    redis->send_rest();
    redis->read_replies();
}

void Pipeline::turn_redis(bool is_readable) {
    if (is_readable || redis->has_many_unread()) redis->read_replies();
    if (redis->is_building()) {
        redis->build(*store, SIZE_MAX);
        redis->seal();
    } else if (redis->has_unsent()) {
        redis->send_rest();
    }
    while (store->is_dirty() && redis->can_take()) {
        redis->build(*store, options.batch);
        redis->seal();
    }
}

/// Writes what is still there, and waits until Redis has it all.
void Pipeline::finish() {
    turn_redis(true);
    while (store->is_dirty() || !redis->is_idle()) {
        wait_for_redis();
        turn_redis(false);
    }
}

// MARK: The end

void Pipeline::report() const {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    auto seconds = [](const timeval &time) { return double(time.tv_sec) + double(time.tv_usec) / 1e6; };
    double cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    uint64_t bytes = 0;
    for (const Link &link : links) bytes += link.venue->bytes;
    double wall = double(last_ns - first_ns) / 1e9;
    printf("{\"program\":\"reference\",\"simdjson\":\"%s\",\"kernel\":\"%s\",\"parser\":\"%s\",\"mode\":\"%s\",", SIMDJSON_STRINGIFY(SIMDJSON_VERSION),
           simdjson::get_active_implementation()->name().c_str(), options.use_simdjson ? "simdjson" : "scanner",
           options.drain ? "drain" : options.every ? "every" : "coalesced");
    printf("\"frames\":%llu,\"klines\":%llu,\"others\":%llu,\"fallbacks\":%llu,\"bytes\":%llu,\"turns\":%llu,\"seconds\":%.6f,",
           (unsigned long long)frames, (unsigned long long)klines, (unsigned long long)others, (unsigned long long)fallbacks,
           (unsigned long long)bytes, (unsigned long long)turns, wall);
    printf("\"frames_per_second\":%.0f,\"cpu_seconds\":%.6f,\"user_seconds\":%.6f,\"system_seconds\":%.6f,\"cpu_us_per_frame\":%.4f,\"rss_max_kb\":%ld",
           double(frames) / wall, cpu, seconds(usage.ru_utime), seconds(usage.ru_stime), frames > 0 ? cpu * 1e6 / double(frames) : 0, usage.ru_maxrss);
    if (redis) {
        printf(",\"candles_written\":%llu,\"closed_written\":%llu,\"batches\":%llu,\"latency_p50_us\":%.1f,\"latency_p99_us\":%.1f",
               (unsigned long long)redis->candles, (unsigned long long)redis->closed, (unsigned long long)redis->batch_count,
               double(redis->latency.at(0.5)) / 1e3, double(redis->latency.at(0.99)) / 1e3);
    }
    printf("}\n");
}

}  // namespace reference
