// Inside json.cpp: what both kinds of lanes of the layout parser have in common. Pure.

#ifndef FF_KLINE_LANES_H
#define FF_KLINE_LANES_H

#include "kline_values.h"

namespace {

/// The first of a literal's bytes as a word, the first in the lowest byte.
template <size_t N> FF_INLINE uint64_t word_of(const char (&literal)[N], size_t from, size_t count) {
    uint64_t wanted = 0;
    for (size_t i = 0; i < count; i++) wanted |= uint64_t(uint8_t(literal[from + i])) << (8 * i);
    return wanted;
}

/// 0 if the text here begins with this literal of at most eight bytes.
template <size_t N> FF_INLINE uint64_t unlike(const uint8_t *at, const char (&literal)[N]) {
    constexpr size_t length = N - 1;
    static_assert(length >= 1 && length <= 8, "one word");
    return (word(at) ^ word_of(literal, 0, length)) << (64 - 8 * length);
}

/// The bytes of a right-aligned number that are not in front of it: of n bytes, from `tail + n`.
const uint8_t tail[32] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

}  // namespace

#endif
