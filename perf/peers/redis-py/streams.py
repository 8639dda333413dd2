#!/usr/bin/env python3
"""Streams with redis-py and hiredis, as its users write it: the same work as perf/reference/streams, the same line of JSON at the end.

    streams.py consume|produce|range|latency PORT KEY COUNT BATCH FIELDS
"""
import argparse
import ctypes
import json
import os
import resource
import signal
import sys
import time

import redis

PR_SET_PDEATHSIG = 1

NAMES = ["open", "high", "low", "close", "volume", "close_time", "quote_volume", "count", "taker_buy_volume",
         "taker_buy_quote_volume", "first_trade_id", "last_trade_id", "source", "revision"]
VALUES = ["50000.00000001", "50001.00000000", "49999.90000000", "50000.10000000", "12.34500000", "1702301294999",
          "617250.12345678", "1234", "6.17250000", "308625.06172839", "3001234567", "3001235800", "stream", "0"]
SHORT = {"order_id": "123456789", "customer": "user-4711", "amount": "99.99", "status": "created"}


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=["consume", "produce", "range", "latency"])
    parser.add_argument("port", type=int)
    parser.add_argument("key")
    parser.add_argument("count", type=int)
    parser.add_argument("batch", type=int)
    parser.add_argument("fields", type=int, choices=[4, 14])
    parser.add_argument("--end-with-parent", type=int, metavar="PID")
    return parser.parse_args()


def end_with_parent(parent):
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def size(fields):
    """Every name and value is looked at."""
    return sum(len(name) + len(value) for name, value in fields.items())


class Work:
    def __init__(self, client, given):
        self.client, self.given = client, given
        self.messages = self.bytes = 0
        self.latencies = []

    def consume(self, block=None):
        client, key, batch = self.client, self.given.key, self.given.batch
        while self.messages < self.given.count:
            reply = client.xreadgroup("bench", "one", {key: ">"}, count=batch, block=block)
            if not reply:
                if block is None:
                    sys.exit("the stream has fewer entries")
                continue
            # RESP3, redis-py's own choice, answers with a map.
            entries = reply[0][1] if isinstance(reply, list) else next(iter(reply.values()))[0]
            for _, fields in entries:
                if block is not None:
                    self.latencies.append(time.monotonic_ns() - int(fields[b"sent"]))
                self.bytes += size(fields)
            self.messages += len(entries)
            client.xack(key, "bench", *[id for id, _ in entries])

    def latency(self):
        self.consume(block=5000)

    def produce(self):
        fields = SHORT if self.given.fields == 4 else dict(zip(NAMES, VALUES))
        while self.messages < self.given.count:
            now = min(self.given.batch, self.given.count - self.messages)
            pipeline = self.client.pipeline(transaction=False)
            for _ in range(now):
                pipeline.xadd(self.given.key, fields)
            pipeline.execute()
            self.messages += now
            self.bytes += now * size(fields)

    def range(self):
        start = "-"
        while True:
            entries = self.client.xrange(self.given.key, start, "+", count=self.given.batch)
            for _, fields in entries:
                self.bytes += size(fields)
            self.messages += len(entries)
            if len(entries) < self.given.batch:
                return
            start = b"(" + entries[-1][0]


def main():
    given = options()
    if given.end_with_parent:
        end_with_parent(given.end_with_parent)
    client = redis.Redis(host="127.0.0.1", port=given.port, socket_timeout=30)
    client.ping()
    work = Work(client, given)
    cpu, started = cpu_seconds(), time.monotonic()
    getattr(work, given.mode)()
    seconds = time.monotonic() - started
    said = {"messages": work.messages, "bytes": work.bytes, "seconds": seconds, "cpu_seconds": cpu_seconds() - cpu}
    if work.latencies:
        ordered = sorted(work.latencies)
        said["p50_us"] = ordered[len(ordered) // 2] / 1e3
        said["p99_us"] = ordered[len(ordered) * 99 // 100] / 1e3
    print(json.dumps(said))


if __name__ == "__main__":
    main()
