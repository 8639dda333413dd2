// The yardstick for streams: what `Benchmarks stream-work` does with the library, in C over hiredis, with no regard for anything but
// speed. One thread, one connection, nothing that recovers from anything: a reply that is not the expected one ends the program.
//
//     streams consume|produce|range|latency PORT KEY COUNT BATCH FIELDS
//
// consume   reads COUNT entries as consumer `one` of the group `bench`, BATCH at a time, looks at every field, and acknowledges each
//           batch; the acknowledgement and the next read leave in one write.
// produce   adds COUNT entries of FIELDS fields (4, or the 14 of a candle) in pipelines of BATCH.
// range     reads the whole stream in pages of BATCH, from behind the last id of the page before.
// latency   waits for entries as consumer `one` of the group, COUNT of them; the field `sent` has the monotonic clock's nanoseconds.
//
// Prints one line of JSON: messages, bytes of names and values seen, seconds, CPU of this process in that time, and for latency p50 and
// p99 in microseconds.

#include <hiredis/hiredis.h>

#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { BATCH_MAX = 10000, ID_BYTES = 48 };

static const char *const NAMES[14] = {"open", "high", "low", "close", "volume", "close_time", "quote_volume", "count", "taker_buy_volume",
                                      "taker_buy_quote_volume", "first_trade_id", "last_trade_id", "source", "revision"};
static const char *const VALUES[14] = {"50000.00000001", "50001.00000000", "49999.90000000", "50000.10000000", "12.34500000",
                                       "1702301294999", "617250.12345678", "1234", "6.17250000", "308625.06172839", "3001234567",
                                       "3001235800", "stream", "0"};
static const char *const SHORT_NAMES[4] = {"order_id", "customer", "amount", "status"};
static const char *const SHORT_VALUES[4] = {"123456789", "user-4711", "99.99", "created"};

static redisContext *redis;
static uint64_t messages, bytes;

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "streams: %s%s%s\n", what, redis && redis->err ? ": " : "", redis && redis->err ? redis->errstr : "");
    exit(1);
}

static uint64_t clock_ns(clockid_t id) {
    struct timespec time;
    clock_gettime(id, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static redisReply *take(int type, const char *what) {
    void *got = NULL;
    if (redisGetReply(redis, &got) != REDIS_OK) fail(what);
    redisReply *reply = got;
    if (reply->type == REDIS_REPLY_ERROR) fail(reply->str);
    if (reply->type != type && !(type == REDIS_REPLY_ARRAY && reply->type == REDIS_REPLY_NIL)) fail(what);
    return reply;
}

static void flush(void) {
    int done = 0;
    while (!done)
        if (redisBufferWrite(redis, &done) != REDIS_OK) fail("write");
}

// Names and values of an entry: each is looked at.
static const redisReply *fields_of(const redisReply *entry) {
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2) fail("not an entry");
    const redisReply *fields = entry->element[1];
    for (size_t place = 0; place < fields->elements; place++) bytes += fields->element[place]->len;
    messages++;
    return fields;
}

static uint64_t sent_ns(const redisReply *fields) {
    for (size_t place = 0; place + 1 < fields->elements; place += 2)
        if (strcmp(fields->element[place]->str, "sent") == 0) return strtoull(fields->element[place + 1]->str, NULL, 10);
    fail("no field `sent`");
}

static int by_size(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

// `latencies`: NULL where there is nothing to wait for.
static void consume(const char *key, uint64_t count, int batch, uint64_t *latencies) {
    char limit[16];
    snprintf(limit, sizeof limit, "%d", batch);
    const char *read[] = {"XREADGROUP", "GROUP", "bench", "one", "COUNT", limit, "BLOCK", "5000", "STREAMS", key, ">"};
    const char *plain[] = {"XREADGROUP", "GROUP", "bench", "one", "COUNT", limit, "STREAMS", key, ">"};
    const char **ack = malloc(sizeof *ack * (size_t)(batch + 3));
    if (!ack) fail("memory");
    ack[0] = "XACK", ack[1] = key, ack[2] = "bench";
    int readers = latencies ? 11 : 9;
    redisAppendCommandArgv(redis, readers, latencies ? read : plain, NULL);
    flush();
    bool acked = false;
    while (messages < count) {
        if (acked) freeReplyObject(take(REDIS_REPLY_INTEGER, "XACK"));
        redisReply *reply = take(REDIS_REPLY_ARRAY, "XREADGROUP");
        acked = reply->type == REDIS_REPLY_ARRAY;
        if (!acked && !latencies) fail("the stream has fewer entries");
        if (acked) {
            const redisReply *entries = reply->element[0]->element[1];
            for (size_t place = 0; place < entries->elements; place++) {
                const redisReply *fields = fields_of(entries->element[place]);
                if (latencies) latencies[messages - 1] = clock_ns(CLOCK_MONOTONIC) - sent_ns(fields);
                ack[place + 3] = entries->element[place]->element[0]->str;
            }
            redisAppendCommandArgv(redis, (int)entries->elements + 3, ack, NULL);
        }
        if (messages < count) redisAppendCommandArgv(redis, readers, latencies ? read : plain, NULL);
        flush();
        freeReplyObject(reply);
    }
    freeReplyObject(take(REDIS_REPLY_INTEGER, "XACK"));
    free(ack);
}

static void produce(const char *key, uint64_t count, int batch, int fields) {
    const char *add[3 + 28] = {"XADD", key, "*"};
    size_t size = 0;
    for (int place = 0; place < fields; place++) {
        add[3 + 2 * place] = fields == 4 ? SHORT_NAMES[place] : NAMES[place];
        add[4 + 2 * place] = fields == 4 ? SHORT_VALUES[place] : VALUES[place];
        size += strlen(add[3 + 2 * place]) + strlen(add[4 + 2 * place]);
    }
    while (messages < count) {
        int now = count - messages < (uint64_t)batch ? (int)(count - messages) : batch;
        for (int place = 0; place < now; place++) redisAppendCommandArgv(redis, 3 + 2 * fields, add, NULL);
        flush();
        for (int place = 0; place < now; place++) freeReplyObject(take(REDIS_REPLY_STRING, "XADD"));
        messages += (uint64_t)now;
        bytes += size * (uint64_t)now;
    }
}

static void range(const char *key, int batch) {
    char from[ID_BYTES] = "-", limit[16];
    snprintf(limit, sizeof limit, "%d", batch);
    const char *read[] = {"XRANGE", key, from, "+", "COUNT", limit};
    for (;;) {
        redisAppendCommandArgv(redis, 6, read, NULL);
        flush();
        redisReply *reply = take(REDIS_REPLY_ARRAY, "XRANGE");
        for (size_t place = 0; place < reply->elements; place++) fields_of(reply->element[place]);
        bool isLast = reply->elements < (size_t)batch;
        if (!isLast) snprintf(from, sizeof from, "(%s", reply->element[reply->elements - 1]->element[0]->str);
        freeReplyObject(reply);
        if (isLast) return;
    }
}

static double cpu_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv) {
    if (argc == 9 && strcmp(argv[7], "--end-with-parent") == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != atoi(argv[8])) return 1;
        argc = 7;
    }
    if (argc != 7) fail("usage: streams consume|produce|range|latency PORT KEY COUNT BATCH FIELDS");
    const char *mode = argv[1], *key = argv[3];
    uint64_t count = strtoull(argv[4], NULL, 10);
    int batch = atoi(argv[5]), fields = atoi(argv[6]);
    if (count == 0 || count > 100000000 || batch < 1 || batch > BATCH_MAX) fail("a number out of its range");
    if (fields != 4 && fields != 14) fail("4 or 14 fields");
    redis = redisConnect("127.0.0.1", atoi(argv[2]));
    if (!redis || redis->err) fail("no connection");
    int on = 1;
    setsockopt(redis->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    bool isLatency = strcmp(mode, "latency") == 0;
    // A batch may bring more than are still wanted.
    uint64_t *latencies = isLatency ? malloc(sizeof *latencies * (count + BATCH_MAX)) : NULL;
    if (isLatency && !latencies) fail("memory");

    double cpu = cpu_seconds();
    uint64_t started = clock_ns(CLOCK_MONOTONIC);
    if (isLatency || strcmp(mode, "consume") == 0) consume(key, count, batch, latencies);
    else if (strcmp(mode, "produce") == 0) produce(key, count, batch, fields);
    else if (strcmp(mode, "range") == 0) range(key, batch);
    else fail("no such mode");
    double seconds = (double)(clock_ns(CLOCK_MONOTONIC) - started) / 1e9;
    cpu = cpu_seconds() - cpu;

    printf("{\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"seconds\":%.6f,\"cpu_seconds\":%.6f", messages, bytes, seconds, cpu);
    if (isLatency) {
        qsort(latencies, messages, sizeof *latencies, by_size);
        printf(",\"p50_us\":%.1f,\"p99_us\":%.1f", (double)latencies[messages / 2] / 1e3, (double)latencies[messages * 99 / 100] / 1e3);
    }
    printf("}\n");
    free(latencies);
    redisFree(redis);
    return 0;
}
