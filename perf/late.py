#!/usr/bin/env python3
"""How late updates are at a subscriber: microseconds from the instant that the exchange's schedule had for each (`feedd simulate
--open-loop --stamp-trades`) to here, as "P50 P99" of those that came in that time. Of a message its newest state counts.

    perf/late.py SECONDS PORT…      servers on this machine; with several, where each update has come first
"""
import re
import selectors
import socket
import sys
import time

DUE = re.compile(rb'"first_trade_id":(\d+)')


def main() -> None:
    seconds, ports = float(sys.argv[1]), [int(port) for port in sys.argv[2:]]
    selector = selectors.DefaultSelector()
    for port in ports:
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(b"*2\r\n$10\r\nPSUBSCRIBE\r\n$9\r\nupdates:*\r\n")
        selector.register(connection, selectors.EVENT_READ, bytearray())
    late: dict[int, int] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in selector.select(1):
            received = key.fileobj.recv(1 << 16)
            if not received:
                sys.exit("a server has closed the connection")
            now = time.monotonic_ns() // 1_000
            key.data.extend(received)
            *lines, rest = key.data.split(b"\r\n")
            key.data[:] = rest
            for found in map(DUE.findall, lines):
                # The newest state comes last in a message.
                if found:
                    late.setdefault(int(found[-1]), now - int(found[-1]))
    if not late:
        sys.exit("no update has come")
    times = sorted(late.values())
    print(times[len(times) // 2], times[len(times) * 99 // 100])


main()
