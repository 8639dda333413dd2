// Inside json.cpp: lanes for processors with AVX2 and BMI (x86-64-v3), 32 bytes at a time (see kline_layout.h). Pure.

/// Where the text is read next, and whether all of it was as foreseen so far: then these are all zero.
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    uint64_t bad = 0;
    __m256i bad_literals = _mm256_setzero_si256();
    __m128i bad_digits = _mm_setzero_si128();

    FF_INLINE_MEMBER cursor(const uint8_t *bytes, size_t size) : at(bytes), end(bytes + size) {}
};

FF_INLINE bool is_wrong(const cursor &c) {
    __m256i all = _mm256_or_si256(c.bad_literals, _mm256_zextsi128_si256(c.bad_digits));
    return (c.bad != 0) | !_mm256_testz_si256(all, all);
}

template <size_t N> FF_INLINE __m256i lanes_of(const char (&literal)[N]) {
    return _mm256_setr_epi64x(
        int64_t(word_of(literal, 0, 8)), int64_t(word_of(literal, 8, N - 1 < 16 ? N - 9 : 8)),
        N - 1 > 16 ? int64_t(word_of(literal, 16, N - 1 > 16 ? N - 17 : 0)) : 0, 0);
}

/// A literal of at most 24 bytes.
template <size_t N> FF_INLINE void expect(cursor &c, const char (&literal)[N]) {
    constexpr size_t length = N - 1;
    static_assert(length <= 24, "three words");
    if constexpr (length <= 8) {
        c.bad |= unlike(c.at, literal);
    } else {
        __m256i there = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(c.at));
        __m256i mask = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(front + 32 - length));
        c.bad_literals = _mm256_or_si256(c.bad_literals, _mm256_and_si256(_mm256_xor_si256(there, lanes_of(literal)), mask));
    }
    c.at += length;
}

/// Sixteen digits, the most significant first, as a number: pairs, then fours, then eights.
FF_INLINE int64_t sixteen_digits(__m128i digits) {
    __m128i pairs = _mm_maddubs_epi16(digits, _mm_set1_epi16(0x010A));
    __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi32(0x00010064));
    __m128i eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), _mm_set1_epi32(0x00012710));
    uint64_t both = uint64_t(_mm_cvtsi128_si64(eights));
    return int64_t((both & 0xFFFFFFFF) * 100000000 + (both >> 32));
}

/// The `count` digits that end at `end`, zeros in front of them. A byte that is not a digit is noted.
FF_INLINE int64_t digits_before(cursor &c, const uint8_t *end, size_t count) {
    __m128i digits = __m128i((half(end - 16) - '0') & half(tail + count));
    c.bad_digits = _mm_or_si128(c.bad_digits, _mm_subs_epu8(digits, _mm_set1_epi8(9)));
    return sixteen_digits(digits);
}

/// A time of 13 digits. At least 16 bytes of text lie before it.
FF_INLINE int64_t take_time(cursor &c) {
    c.bad |= c.at[0] == '0';  // no number begins with a zero
    c.at += 13;
    return digits_before(c, c.at, 13);
}

FF_INLINE int64_t take_first_time(cursor &c) { return take_time(c); }

/// An integer of at most 15 digits. At least 16 bytes of text lie before it.
FF_INLINE int64_t take_integer(cursor &c, bool) {
    const uint8_t *p = c.at;
    uint32_t count = uint32_t(__builtin_ctz(~digits16(half(p))));
    c.bad |= (count - 1 > 14) | ((p[0] == '0') & (count > 1));
    c.at = p + count;
    return digits_before(c, c.at, count);
}

/// 32 bytes of text, and a bit for each that is not a digit; the bits from 32 on are set.
struct block {
    __m256i all;
    uint64_t other;
};

FF_INLINE block look(const uint8_t *p) {
    __m256i all = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(p));
    __m256i digits = _mm256_sub_epi8(all, _mm256_set1_epi8('0'));
    __m256i is_digit = _mm256_cmpeq_epi8(_mm256_min_epu8(digits, _mm256_set1_epi8(9)), digits);
    return {all, ~uint64_t(uint32_t(_mm256_movemask_epi8(is_digit)))};
}

/// The first bytes of a block; the others become zero, so that equal texts are equal bytes.
struct keeping {
    __m256i all;
};

FF_INLINE keeping keep(size_t length) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i *>(front + 32 - length))}; }

FF_INLINE void store(const block &b, const keeping &kept, ff_decimal *out) {
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(out->text), _mm256_and_si256(b.all, kept.all));
}
