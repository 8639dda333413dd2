// Durations in buckets a thirty-second wide; and the clocks.

#pragma once

#include <cstdint>
#include <ctime>

namespace reference {

inline uint64_t clock_ns(clockid_t clock) {
    timespec now;
    clock_gettime(clock, &now);
    return uint64_t(now.tv_sec) * 1000000000 + uint64_t(now.tv_nsec);
}
inline uint64_t now_ns() { return clock_ns(CLOCK_MONOTONIC); }

class Histogram {
    uint64_t buckets[64 * 32] = {};

    static int bucket(uint64_t value) {
        if (value < 32) return int(value);
        int exponent = 63 - __builtin_clzll(value);
        return (exponent - 4) * 32 + int(value >> (exponent - 5) & 31);
    }
    static uint64_t upper_end(int bucket) {
        if (bucket < 32) return uint64_t(bucket);
        int exponent = bucket / 32 + 4;
        return (uint64_t(32 + bucket % 32 + 1) << (exponent - 5)) - 1;
    }

public:
    uint64_t count = 0;

    void record(uint64_t value) {
        buckets[bucket(value)]++;
        count++;
    }
    /// The value below which this share of all lies.
    uint64_t at(double share) const {
        uint64_t wanted = uint64_t(double(count) * share), below = 0;
        for (int index = 0; index < 64 * 32; index++) {
            below += buckets[index];
            if (below > wanted) return upper_end(index);
        }
        return 0;
    }
};

}  // namespace reference
