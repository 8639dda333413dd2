#include "venue.h"

#include <arpa/inet.h>
#include <cerrno>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <new>
#include <openssl/err.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace reference {

VenueAddress::VenueAddress(const std::string &url) {
    size_t host_at = url.find("://");
    size_t colon = url.rfind(':');
    std::string scheme = url.substr(0, host_at == std::string::npos ? 0 : host_at);
    if ((scheme != "ws" && scheme != "wss") || colon < host_at + 3) throw std::invalid_argument("not ws[s]://ADDRESS:PORT: " + url);
    is_secure = scheme == "wss";
    host = url.substr(host_at + 3, colon - host_at - 3);
    port = uint16_t(std::stoi(url.substr(colon + 1)));
}

void Venue::refuse(const char *what) { throw std::runtime_error(std::string("the exchange: ") + what); }

Venue::Venue(const VenueAddress &address, const std::string &target, SSL_CTX *context) {
    buffer = static_cast<char *>(aligned_alloc(64, capacity + slack));
    if (buffer == nullptr) throw std::bad_alloc();
    memset(buffer + capacity, 0, slack);
    sockaddr_in place{};
    place.sin_family = AF_INET;
    place.sin_port = htons(address.port);
    if (inet_pton(AF_INET, address.host.c_str(), &place.sin_addr) != 1) throw std::invalid_argument("no numeric address: " + address.host);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, reinterpret_cast<sockaddr *>(&place), sizeof place) != 0)
        throw std::system_error(errno, std::generic_category(), "connecting to the exchange");
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (context != nullptr) {
        tls = SSL_new(context);
        SSL_set_fd(tls, fd);
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), address.host.c_str());
        if (SSL_connect(tls) != 1) {
            unsigned long error = ERR_get_error();
            throw std::runtime_error(std::string("TLS: ") + (error != 0 ? ERR_reason_error_string(error) : "no handshake"));
        }
    }
    upgrade(address.host + ":" + std::to_string(address.port), target);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

Venue::~Venue() {
    if (tls != nullptr) SSL_free(tls);
    if (fd >= 0) close(fd);
    free(buffer);
}

void Venue::upgrade(const std::string &host, const std::string &target) {
    std::string request = "GET " + target + " HTTP/1.1\r\nHost: " + host +
        "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ZnJhbWVzIGFuZCBzcGVlZA==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    write_all(request.data(), request.size());
    // Frames may come right behind the answer: they stay in the buffer.
    char *end = nullptr;
    while (end == nullptr) {
        ssize_t got = tail < capacity ? read_some(buffer + tail, capacity - tail) : 0;
        if (got <= 0) refuse("no answer to the upgrade");
        tail += size_t(got);
        end = static_cast<char *>(memmem(buffer, tail, "\r\n\r\n", 4));
    }
    if (memcmp(buffer, "HTTP/1.1 101", 12) != 0) refuse(std::string(buffer, 12).c_str());
    head = size_t(end - buffer) + 4;
}

ssize_t Venue::read_some(char *to, size_t room) {
    if (tls == nullptr) return recv(fd, to, room, 0);
    int got = SSL_read(tls, to, int(room));
    if (got > 0) return got;
    int error = SSL_get_error(tls, got);
    if (error == SSL_ERROR_WANT_READ) {
        errno = EAGAIN;
        return -1;
    }
    ERR_clear_error();
    return 0;
}

bool Venue::fill() {
    // TLS hands out one record of 16 KiB at a time; TCP all there is.
    while (tail < capacity) {
        ssize_t got = read_some(buffer + tail, capacity - tail);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return false;
        if (got <= 0) {
            is_open = false;
            return false;
        }
        tail += size_t(got);
        bytes += size_t(got);
        if (tls == nullptr) break;
    }
    // What is left in the TLS library's own buffer wakes nobody.
    return tls != nullptr;
}

/// Only small things are sent, so a full socket is waited for.
void Venue::write_all(const char *from, size_t length) {
    while (length > 0) {
        ssize_t written = tls != nullptr ? SSL_write(tls, from, int(length)) : send(fd, from, length, MSG_NOSIGNAL);
        if (written <= 0) {
            if (tls == nullptr && errno != EAGAIN && errno != EINTR) refuse("the connection is lost");
            pollfd entry{fd, POLLIN | POLLOUT, 0};
            poll(&entry, 1, 100);
            continue;
        }
        from += written;
        length -= size_t(written);
    }
}

/// Frames of a client are masked; a mask of zero leaves the payload as it is.
void Venue::answer_ping(const char *payload, size_t length) {
    std::string frame{char(0x8A), char(0x80 | length), 0, 0, 0, 0};
    frame.append(payload, length);
    write_all(frame.data(), frame.size());
}

/// False when the exchange closes.
bool Venue::take_other(uint8_t first, const char *payload, size_t length) {
    switch (first) {
    case 0x89:
        if (length > 125) refuse("a long ping");
        answer_ping(payload, length);
        return true;
    case 0x8A: return true;
    case 0x88:
        is_open = false;
        return false;
    default: refuse("a frame that is neither whole text nor a control frame");
    }
}

}  // namespace reference
