#include "redis.h"

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

namespace reference {

namespace {
int connect_to(const std::string &where) {
    sockaddr_storage address{};
    socklen_t length;
    size_t colon = where.rfind(':');
    if (!where.empty() && where[0] == '/') {
        auto *local = reinterpret_cast<sockaddr_un *>(&address);
        local->sun_family = AF_UNIX;
        if (where.size() >= sizeof local->sun_path) throw std::invalid_argument("the path is too long: " + where);
        memcpy(local->sun_path, where.c_str(), where.size() + 1);
        length = sizeof *local;
    } else {
        auto *internet = reinterpret_cast<sockaddr_in *>(&address);
        internet->sin_family = AF_INET;
        if (colon == std::string::npos || inet_pton(AF_INET, where.substr(0, colon).c_str(), &internet->sin_addr) != 1)
            throw std::invalid_argument("neither /PATH nor ADDRESS:PORT: " + where);
        internet->sin_port = htons(uint16_t(std::stoi(where.substr(colon + 1))));
        length = sizeof *internet;
    }
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, reinterpret_cast<sockaddr *>(&address), length) != 0)
        throw std::system_error(errno, std::generic_category(), where);
    int one = 1;
    if (address.ss_family == AF_INET) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}
}  // namespace

Redis::Redis(const std::string &where, size_t in_flight_max, bool lazy) : fd(connect_to(where)), lazy(lazy), in_flight_max(in_flight_max) {}
Redis::~Redis() { close(fd); }

void Redis::seal() {
    Batch &batch = building();
    if (batch.replies == 0) return;
    in_flight++;
    if (batch.candles >= small_batch) large_in_flight++;
    batch_count++;
    building().clear();
    send_rest();
}

void Redis::send_rest() {
    while (sent < out.count) {
        ssize_t written = send(fd, out.start() + sent, out.count - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (written < 0) {
            if (errno == EAGAIN) return;
            if (errno == EINTR) continue;
            throw std::system_error(errno, std::generic_category(), "writing to Redis");
        }
        sent += size_t(written);
    }
}

void Redis::read_replies() {
    for (;;) {
        ssize_t got = recv(fd, input, sizeof input, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) return;
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) throw std::runtime_error("Redis has ended the connection");
        settle(count_replies(input, size_t(got)));
        if (size_t(got) < sizeof input) return;
    }
}

/// Integers and bulk strings without line ends inside are all that our commands are answered with.
size_t Redis::count_replies(const char *bytes, size_t length) {
    size_t replies = 0;
    for (const char *p = bytes, *end = bytes + length; p < end; p++) {
        switch (at) {
        case At::start:
            if (*p == ':') at = At::line;
            else if (*p == '$') at = At::head;
            else throw std::runtime_error("Redis says: " + std::string(p, size_t(end - p)).substr(0, 120));
            break;
        case At::head:
            if (*p == '\n') at = At::body;
            break;
        case At::line:
        case At::body:
            if (*p != '\n') break;
            at = At::start;
            replies++;
        }
    }
    return replies;
}

void Redis::settle(size_t replies) {
    answered += replies;
    uint64_t now = 0;
    while (in_flight > 0 && answered >= batches[first].replies) {
        Batch &batch = batches[first];
        answered -= batch.replies;
        if (now == 0) now = now_ns();
        for (uint64_t received : batch.received_ns) latency.record(now - received);
        candles += batch.candles;
        closed += batch.closed;
        if (batch.candles >= small_batch) large_in_flight--;
        batch.clear();
        first = (first + 1) % batches_max;
        in_flight--;
    }
    if (answered > 0 && in_flight == 0) throw std::runtime_error("Redis answers what nobody asked");
}

}  // namespace reference
