// The data path's replies: hiredis's reader with functions that fill flat records instead of making objects. Each reader
// belongs to one thread.

#include "ff_redis.h"

#include <hiredis/hiredis.h>
#include <hiredis/sds.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct ff_reply_reader {
    redisReader *reader;
    ff_reply current;
    size_t unparsed_max;
    bool is_refused;  // an array of more elements than its bytes could be
    char error[128];
};

// Any non-NULL pointer tells hiredis that an object was made; nothing is ever read through it.
static char made;

static ff_reply *root_reply(const redisReadTask *task) {
    if (task->parent != NULL) return NULL;  // inside an array: counted there, not kept
    return &((ff_reply_reader *)task->privdata)->current;
}

/// Servers before 7.0 put what a script's command was refused with behind the script's name and place, which are longer than what is
/// kept of a reply: `ERR Error running script (call to f_…): @user_script:28: @user_script: 28: -READONLY …`, or without the sign. It is
/// kept from its first word on, as newer servers say it.
static void skip_place(const char **bytes, size_t *length) {
    static const char opening[] = "ERR Error running script";
    if (*length < sizeof opening || memcmp(*bytes, opening, sizeof opening - 1) != 0) return;
    for (size_t i = sizeof opening; i + 2 < *length; i++) {
        if ((*bytes)[i] != ':' || (*bytes)[i + 1] != ' ') continue;
        size_t word = i + 2 + ((*bytes)[i + 2] == '-'), end = word;
        while (end < *length && (*bytes)[end] >= 'A' && (*bytes)[end] <= 'Z') end++;
        if (end < word + 2 || end == *length || (*bytes)[end] != ' ') continue;
        *bytes += word;
        *length -= word;
        return;
    }
}

static void *on_string(const redisReadTask *task, char *text, size_t length) {
    ff_reply *reply = root_reply(task);
    if (reply != NULL) {
        const char *bytes = text;
        if (task->type == REDIS_REPLY_ERROR) skip_place(&bytes, &length);
        size_t kept = length < FF_REPLY_TEXT_MAX ? length : FF_REPLY_TEXT_MAX;
        reply->kind = (uint8_t)task->type;
        reply->integer = 0;
        reply->length = (uint8_t)kept;
        memcpy(reply->text, bytes, kept);
        reply->text[kept] = 0;
    }
    return &made;
}

static void set_plain(const redisReadTask *task, uint8_t kind, int64_t integer) {
    ff_reply *reply = root_reply(task);
    if (reply == NULL) return;
    reply->kind = kind;
    reply->integer = integer;
    reply->length = 0;
    reply->text[0] = 0;
}

#if HIREDIS_MAJOR >= 1
typedef size_t array_count;
#else
typedef int array_count;
#endif

static void *on_array(const redisReadTask *task, array_count count) {
    ff_reply_reader *self = task->privdata;
    self->is_refused = count > 0 && (size_t)count > self->unparsed_max;
    if (self->is_refused) return NULL;
    set_plain(task, FF_REPLY_ARRAY, (int64_t)count);
    return &made;
}

static void *on_integer(const redisReadTask *task, long long value) {
    set_plain(task, FF_REPLY_INTEGER, value);
    return &made;
}

static void *on_nil(const redisReadTask *task) {
    set_plain(task, FF_REPLY_NIL, 0);
    return &made;
}

static void on_free(void *object) { (void)object; }

static redisReplyObjectFunctions functions = {
    .createString = on_string,
    .createArray = on_array,
    .createInteger = on_integer,
    .createNil = on_nil,
    .freeObject = on_free,
};

ff_reply_reader *ff_reply_reader_create(void) {
    ff_reply_reader *self = calloc(1, sizeof *self);
    if (self == NULL) return NULL;
    self->reader = redisReaderCreateWithFunctions(&functions);
    if (self->reader == NULL) {
        free(self);
        return NULL;
    }
    self->reader->privdata = self;
    // Room for two full reads, kept when it runs empty: steady state allocates nothing.
    self->reader->maxbuf = 0;
    sds roomy = sdsMakeRoomFor(self->reader->buf, 128 * 1024);
    if (roomy != NULL) self->reader->buf = roomy;
    return self;
}

void ff_reply_reader_free(ff_reply_reader *self) {
    if (self == NULL) return;
    redisReaderFree(self->reader);
    free(self);
}

static int refuse_length(ff_reply_reader *self) {
    strcpy(self->error, "a reply longer than the limit");
    return -1;
}

int ff_reply_reader_feed(ff_reply_reader *self, const void *bytes, size_t length, size_t unparsed_max) {
    self->unparsed_max = unparsed_max;
    if (self->reader->len - self->reader->pos + length > unparsed_max) return refuse_length(self);
    if (redisReaderFeed(self->reader, bytes, length) == REDIS_OK) return 0;
    strncpy(self->error, self->reader->errstr, sizeof self->error - 1);
    return -1;
}

// Nearly all replies are `:<digits>\r\n` (HSET, PUBLISH) or a short `$<length>\r\n<bytes>\r\n` (XADD). Those that are whole
// and plain are read here, as hiredis would; anything else is left to it. Returns the bytes taken, 0 for none.
static size_t read_plain(const char *bytes, size_t length, ff_reply *out) {
    if (length < 4 || (bytes[0] != ':' && bytes[0] != '$')) return 0;
    size_t at = 1;
    int64_t value = 0;
    while (at < length && at <= 18 && (unsigned char)(bytes[at] - '0') < 10) value = value * 10 + (bytes[at++] - '0');
    if (at == 1 || (bytes[1] == '0' && at > 2) || at + 2 > length || bytes[at] != '\r' || bytes[at + 1] != '\n') return 0;
    at += 2;
    if (bytes[0] == ':') {
        out->kind = FF_REPLY_INTEGER;
        out->integer = value;
        out->length = 0;
        out->text[0] = 0;
        return at;
    }
    if (value > FF_REPLY_TEXT_MAX || at + (size_t)value + 2 > length) return 0;
    if (bytes[at + value] != '\r' || bytes[at + value + 1] != '\n') return 0;
    out->kind = FF_REPLY_STRING;
    out->integer = 0;
    out->length = (uint8_t)value;
    memcpy(out->text, bytes + at, (size_t)value);
    out->text[value] = 0;
    return at + (size_t)value + 2;
}

/// True inside a string that announces more than may wait: nobody needs to wait for it. (Of all that hiredis leaves unread within a
/// reply, only a string that has not come whole begins with a length and its line end.)
static bool announces_too_much(const ff_reply_reader *self) {
    const redisReader *reader = self->reader;
    if (reader->ridx == -1) return false;
    const char *bytes = reader->buf + reader->pos;
    size_t left = reader->len - reader->pos, at = 0;
    uint64_t length = 0;
    while (at < left && at <= 18 && (unsigned char)(bytes[at] - '0') < 10) length = length * 10 + (uint64_t)(bytes[at++] - '0');
    return at > 0 && at + 1 < left && bytes[at] == '\r' && bytes[at + 1] == '\n' && length > self->unparsed_max;
}

/// What has been read is taken out of the buffer, once it is the larger part.
static void forget_read(redisReader *reader) {
    if (reader->pos == 0 || reader->pos < reader->len / 2) return;
    sdsrange(reader->buf, (int)reader->pos, -1);
    reader->pos = 0;
    reader->len = sdslen(reader->buf);
}

int ff_reply_reader_drain(ff_reply_reader *self, ff_reply *replies, int capacity) {
    redisReader *reader = self->reader;
    int count = 0;
    while (count < capacity) {
        // Between two replies, not inside one that has come in part.
        if (reader->ridx == -1 && reader->err == 0) {
            size_t taken = read_plain(reader->buf + reader->pos, reader->len - reader->pos, &replies[count]);
            if (taken > 0) {
                reader->pos += taken;
                count++;
                continue;
            }
        }
        // At the end of what there is; asked all the same, hiredis would take the next reply for a part of one.
        if (reader->err == 0 && reader->ridx == -1 && reader->pos == reader->len) break;
        void *object = NULL;
        if (redisReaderGetReply(reader, &object) != REDIS_OK) {
            // What came before is good; the error stays in the reader for the next call.
            if (count > 0) break;
            if (self->is_refused) return refuse_length(self);
            strncpy(self->error, reader->errstr, sizeof self->error - 1);
            return -1;
        }
        if (object == NULL) {
            if (count == 0 && announces_too_much(self)) return refuse_length(self);
            break;
        }
        replies[count++] = self->current;
    }
    forget_read(reader);
    return count;
}

const char *ff_reply_reader_error(const ff_reply_reader *self) { return self->error; }
