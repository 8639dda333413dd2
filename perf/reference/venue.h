// A connection to the exchange: TCP or TLS, the upgrade by hand, and frames out of one large buffer, where the parser
// finds them. Only what the exchange sends: whole text frames, pings, a close frame.

#pragma once

#include "kline.h"

#include <openssl/ssl.h>
#include <string>

namespace reference {

/// ws://ADDRESS:PORT or wss://ADDRESS:PORT, the address numeric.
struct VenueAddress {
    bool is_secure;
    std::string host;
    uint16_t port;

    explicit VenueAddress(const std::string &url);
};

class Venue {
    static constexpr size_t capacity = 256 * 1024;

    int fd = -1;
    SSL *tls = nullptr;
    char *buffer;
    size_t head = 0, tail = 0;

    void upgrade(const std::string &host, const std::string &target);
    void write_all(const char *bytes, size_t length);
    ssize_t read_some(char *to, size_t room);
    void answer_ping(const char *payload, size_t length);
    bool take_other(uint8_t first, const char *payload, size_t length);

public:
    bool is_open = true;
    uint64_t bytes = 0;

    /// Connects and upgrades, blocking; then the socket does not block any more.
    /// - Parameter context: null for ws.
    Venue(const VenueAddress &address, const std::string &target, SSL_CTX *context);
    ~Venue();
    Venue(const Venue &) = delete;

    int descriptor() const { return fd; }
    bool has_frames() const { return tail > head; }

    /// Fills the buffer with what there is. True when there may be more.
    bool fill();

    /// Hands each whole text message to `take`, which says whether it took it. False when one was not taken: then it
    /// and all behind it stay, and nothing may be filled in before they are gone.
    template <class Take>
    inline __attribute__((always_inline)) bool frames(Take take) {
        while (tail - head >= 2) {
            const char *p = buffer + head;
            uint8_t first = uint8_t(p[0]), second = uint8_t(p[1]);
            size_t header = 2, length = second;
            if (length == 126) {
                if (tail - head < 4) break;
                length = size_t(uint8_t(p[2])) << 8 | uint8_t(p[3]);
                header = 4;
            } else if (length > 126) {
                length = capacity;
            }
            if (__builtin_expect(length > capacity / 2, 0)) refuse("a frame that is masked or too long");
            if (tail - head < header + length) break;
            if (__builtin_expect(first == 0x81, 1)) {
                if (!take(p + header, length)) return false;
            } else if (!take_other(first, p + header, length)) {
                head = tail;
                break;
            }
            head += header + length;
        }
        // What the end has cut goes to the front.
        if (head > 0) memmove(buffer, buffer + head, tail - head);
        tail -= head;
        head = 0;
        return true;
    }

    [[noreturn]] static void refuse(const char *what);
};

}  // namespace reference
