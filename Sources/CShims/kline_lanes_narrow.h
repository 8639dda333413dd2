// Inside json.cpp: lanes for every processor, 16 bytes at a time (see kline_layout.h). Pure.

/// Where the text is read next, and whether all of it was as foreseen so far.
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    uint64_t bad = 0;
    // The first five digits of the time before, and as a number, times 10^8: other times mostly begin alike, since these
    // digits change once in 28 hours. To begin with what no text is.
    uint64_t days = 1;
    int64_t days_value = 0;

    FF_INLINE_MEMBER cursor(const uint8_t *bytes, size_t size) : at(bytes), end(bytes + size) {}
};

FF_INLINE bool is_wrong(const cursor &c) { return c.bad != 0; }

/// A literal of at most 24 bytes: words that overlap at the end. Nothing branches.
template <size_t N> FF_INLINE void expect(cursor &c, const char (&literal)[N]) {
    constexpr size_t length = N - 1;
    if constexpr (length <= 8) {
        c.bad |= unlike(c.at, literal);
    } else {
        for (size_t i = 0; i + 8 <= length; i += 8) c.bad |= word(c.at + i) ^ word_of(literal, i, 8);
        if (length % 8 != 0) c.bad |= word(c.at + length - 8) ^ word_of(literal, length - 8, 8);
    }
    c.at += length;
}

FF_INLINE uint64_t first_five(const uint8_t *p) { return word(p) << 24; }

FF_INLINE void take_days(cursor &c) {
    c.days = first_five(c.at);
    uint64_t digits = c.days ^ 0x3030303030000000;
    c.bad |= (digits | (digits + 0x7676767676000000)) & 0x8080808080000000;
    c.bad |= (digits & 0xFF000000) == 0;  // no number begins with a zero
    c.days_value = int64_t(eight_digits(digits) * 100000000);
}

/// A time of 13 digits.
FF_INLINE int64_t take_time(cursor &c) {
    uint64_t digits = word(c.at + 5) ^ 0x3030303030303030;
    c.bad |= (digits | (digits + 0x7676767676767676)) & 0x8080808080808080;
    if (__builtin_expect(first_five(c.at) != c.days, 0)) take_days(c);
    c.at += 13;
    return c.days_value + int64_t(eight_digits(digits));
}

FF_INLINE int64_t take_first_time(cursor &c) {
    take_days(c);
    return take_time(c);
}

/// An integer of at most 15 digits. At least 16 bytes of text lie before it.
FF_INLINE int64_t take_integer(cursor &c, bool is_mostly_short) {
    const uint8_t *p = c.at;
    uint32_t count = uint32_t(__builtin_ctz(~digits16(half(p))));
    c.bad |= (count - 1 > 14) | ((p[0] == '0') & (count > 1));
    const uint8_t *end = p + count;
    c.at = end;
    // The digits at the right end of two words, zeros in front of them.
    uint64_t value = eight_digits((word(end - 8) ^ 0x3030303030303030) & word(tail + 8 + count));
    uint64_t high = (word(end - 16) ^ 0x3030303030303030) & word(tail + count);
    if (!is_mostly_short || __builtin_expect(count > 8, 0)) value += eight_digits(high) * 100000000;
    return int64_t(value);
}

/// 32 bytes of text, and a bit for each that is not a digit; the bits from 32 on are set.
struct block {
    bytes16 low, high;
    uint64_t other;
};

FF_INLINE block look(const uint8_t *p) {
    bytes16 low = half(p), high = half(p + 16);
    return {low, high, ~(digits16(low) | uint64_t(digits16(high)) << 16)};
}

/// The first bytes of a block; the others become zero, so that equal texts are equal bytes.
struct keeping {
    bytes16 low, high;
};

FF_INLINE keeping keep(size_t length) { return {half(front + 32 - length), half(front + 48 - length)}; }

FF_INLINE void store(const block &b, const keeping &kept, ff_decimal *out) {
    put(out->text, b.low & kept.low);
    put(out->text + 16, b.high & kept.high);
}
