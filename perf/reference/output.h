// Bytes for Redis, written one behind the other. Room is made once for each series, not for each piece.

#pragma once

#include "kline.h"

#include <cstdlib>
#include <new>
#include <string>

namespace reference {

class Output {
    char *start_ = nullptr;
    size_t capacity = 0;

public:
    size_t count = 0;

    ~Output() { free(start_); }
    const char *start() const { return start_; }

    void reserve(size_t more) {
        if (__builtin_expect(count + more <= capacity, 1)) return;
        capacity = (count + more) * 2;
        start_ = static_cast<char *>(realloc(start_, capacity));
        if (start_ == nullptr) throw std::bad_alloc();
    }

    template <size_t size>
    inline __attribute__((always_inline)) void literal(const char (&text)[size]) {
        memcpy(start_ + count, text, size - 1);
        count += size - 1;
    }
    inline __attribute__((always_inline)) void put(const char *text, size_t length) {
        memcpy(start_ + count, text, length);
        count += length;
    }
    inline __attribute__((always_inline)) void put(const std::string &text) { put(text.data(), text.size()); }

    /// A field of a kept message: 32 bytes are copied whatever its length (the slot has room behind it).
    inline __attribute__((always_inline)) void field(const char *message, const Kline &kline, Field field) {
        memcpy(start_ + count, message + kline.at[field], 32);
        count += kline.length[field];
    }
    inline __attribute__((always_inline)) void field_bulk(const char *message, const Kline &kline, Field name) {
        bulk_head(kline.length[name]);
        field(message, kline, name);
        literal("\r\n");
    }

    inline __attribute__((always_inline)) void number(size_t value) {
        char digits[20];
        size_t first = sizeof digits;
        do digits[--first] = char('0' + value % 10); while ((value /= 10) != 0);
        put(digits + first, sizeof digits - first);
    }
    /// `$LENGTH\r\n`
    inline __attribute__((always_inline)) void bulk_head(size_t length) {
        start_[count++] = '$';
        if (length < 10) {
            start_[count++] = char('0' + length);
        } else if (length < 100) {
            start_[count++] = char('0' + length / 10);
            start_[count++] = char('0' + length % 10);
        } else {
            number(length);
        }
        literal("\r\n");
    }
};

inline std::string bulk(const std::string &text) {
    std::string head("$");
    return head.append(std::to_string(text.size())).append("\r\n").append(text).append("\r\n");
}

/// How many characters a number has.
INLINE size_t digit_count(size_t value) {
    size_t count = 1;
    while (value >= 10) { value /= 10; count++; }
    return count;
}

}  // namespace reference
