// Inside json.cpp: what both kinds of lanes of the layout parser have in common.

#ifndef FF_KLINE_LANES_H
#define FF_KLINE_LANES_H

#include "kline_values.h"

#if defined(__SSE2__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FF_HAS_LAYOUT 1
#if defined(__x86_64__) && defined(__clang__)
#define FF_HAS_WIDE_LAYOUT 1
#include <immintrin.h>
#endif

namespace {

FF_INLINE uint64_t word(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

FF_INLINE __m128i half(const uint8_t *p) { return _mm_loadu_si128(reinterpret_cast<const __m128i *>(p)); }

FF_INLINE uint32_t bits(__m128i v) { return uint32_t(_mm_movemask_epi8(v)); }

/// A bit for each of 32 bytes that equals `c`.
FF_INLINE uint32_t matches(__m128i low, __m128i high, char c) {
    const __m128i all = _mm_set1_epi8(c);
    return bits(_mm_cmpeq_epi8(low, all)) | bits(_mm_cmpeq_epi8(high, all)) << 16;
}

/// A bit for each of 16 bytes that is a digit.
FF_INLINE uint32_t digits16(__m128i v) {
    v = _mm_sub_epi8(v, _mm_set1_epi8('0'));
    return bits(_mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(9)), v));
}

/// A bit for each of 16 bytes that may stand in a string as it is: ASCII, no control, quote or backslash.
FF_INLINE uint32_t plain16(__m128i v) {
    __m128i visible = _mm_cmpgt_epi8(v, _mm_set1_epi8(0x1F));  // signed: what is not ASCII is negative
    __m128i special = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\\')), _mm_cmpeq_epi8(v, _mm_set1_epi8('"')));
    return bits(_mm_andnot_si128(special, visible));
}

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
static const uint8_t tail[32] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

}  // namespace

#endif
#endif
