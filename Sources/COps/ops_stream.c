// Answers that have no end: the library asks for bytes when the socket can take some, and a stream that has none suspends its connection
// until the next ones are put. Everything belongs to one thread.

#include "ops_http_inner.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { STREAM_SEND_BUFFER = 64 << 10 };  // the kernel grows a socket's buffer to megabytes, all of it old news to a slow reader

void ops_end_stream(ops_request *request) {
    struct connection *connection = request->connection;
    request->is_ending = 1;
    request->life = never;
    ops_begin_sending(connection);
    if (request->is_suspended) ops_resume(connection);
}

/// The reader can take up to `most` bytes.
static ssize_t on_wanted(void *context, uint64_t position, char *bytes, size_t most) {
    (void)position;
    ops_request *request = context;
    struct connection *connection = request->connection;
    size_t left = request->put_length - request->taken;
    if (left == 0) {
        free(request->put);
        request->put = NULL;
        request->put_length = request->taken = 0;
        if (request->is_ending) return MHD_CONTENT_READER_END_OF_STREAM;
        connection->deadline = never;
        request->is_suspended = 1;
        mhd.suspend_connection(connection->handle);
        return 0;
    }
    if (left > most) left = most;
    memcpy(bytes, request->put + request->taken, left);
    request->taken += left;
    if (connection->phase == STREAMING && !connection->is_cut) {
        connection->deadline = ops_after(connection->http, connection->http->options.stream_stall_ms);
    }
    return (ssize_t)left;
}

void ops_request_stream(ops_request *request, const char *const *headers) {
    struct connection *connection = request->connection;
    request->is_stream = 1;
    if (connection == NULL) return;
    const ops_http_options *options = &connection->http->options;
    int size = STREAM_SEND_BUFFER;
    setsockopt(connection->descriptor, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    connection->phase = STREAMING;
    connection->deadline = ops_after(connection->http, options->stream_stall_ms);
    request->life = ops_after(connection->http, options->stream_life_ms);
    ops_send_response(connection, MHD_HTTP_OK, headers, mhd.create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, on_wanted, request, NULL));
}

int ops_stream_wants(const ops_request *request) {
    if (request->connection == NULL || request->connection->is_cut || request->is_ending) return -1;
    return request->is_suspended;
}

void ops_stream_put(ops_request *request, const uint8_t *bytes, size_t length) {
    if (ops_stream_wants(request) != 1 || length == 0) return;
    struct connection *connection = request->connection;
    request->put = malloc(length);
    if (request->put == NULL) {
        ops_end_stream(request);
        return;
    }
    memcpy(request->put, bytes, length);
    request->put_length = length;
    connection->deadline = ops_after(connection->http, connection->http->options.stream_stall_ms);
    ops_resume(connection);
}

void ops_stream_release(ops_request *request) {
    if (request->connection == NULL) {
        ops_free_request(request);
        return;
    }
    request->is_released = 1;
    if (!request->is_ending && !request->connection->is_cut) ops_end_stream(request);
}
