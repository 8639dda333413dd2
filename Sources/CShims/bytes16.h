// Sixteen bytes at a time, in the compiler's own vectors: on x86-64 they become SSE2, on ARM NEON. Pure.
//
// The small helpers are force-inlined: clang otherwise leaves them as calls.

#ifndef FF_BYTES16_H
#define FF_BYTES16_H

#include <cstdint>
#include <cstring>

#define FF_INLINE static inline __attribute__((always_inline))
#define FF_INLINE_MEMBER inline __attribute__((always_inline))

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are compared and read as numbers, the first byte the lowest");

namespace {

typedef uint8_t bytes16 __attribute__((vector_size(16)));
/// What a comparison of them gives: all bits of a byte for true, none for false.
typedef int8_t truths16 __attribute__((vector_size(16)));

FF_INLINE bytes16 half(const uint8_t *p) {
    bytes16 v;
    memcpy(&v, p, 16);
    return v;
}

FF_INLINE void put(char *p, bytes16 v) { memcpy(p, &v, 16); }

/// A bit for each byte.
FF_INLINE uint32_t bits(truths16 v) {
    typedef bool bools16 __attribute__((ext_vector_type(16)));
    return __builtin_bit_cast(uint16_t, __builtin_convertvector(v, bools16));
}

/// A bit for each of 16 bytes that equals `c`.
FF_INLINE uint32_t equal16(bytes16 v, uint8_t c) { return bits(v == c); }

/// A bit for each of 16 bytes that is a digit.
FF_INLINE uint32_t digits16(bytes16 v) { return bits(v - '0' < 10); }

/// A bit for each of 16 bytes that may stand in a string as it is: ASCII, no control, quote or backslash.
FF_INLINE uint32_t plain16(bytes16 v) {
    return bits((truths16(v) > 0x1F) & (v != '\\') & (v != '"'));  // signed: what is not ASCII is negative
}

FF_INLINE uint64_t word(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

/// The first n of 32 bytes, from `front + 32 - n`.
const uint8_t front[64] = {
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

}  // namespace

#endif
