#!/usr/bin/env python3
"""How late updates are at a subscriber: microseconds from the instant that the exchange's schedule had for each (`feedd simulate
--open-loop --stamp-trades`) to here, as "P50 P99" of those that came in that time.

    perf/late.py PORT SECONDS       a server on this machine
"""
import re
import socket
import sys
import time

DUE = re.compile(rb'"first_trade_id":(\d+)')


def main() -> None:
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"*2\r\n$10\r\nPSUBSCRIBE\r\n$9\r\nupdates:*\r\n")
    connection.settimeout(1)
    late: list[int] = []
    rest = b""
    end = time.monotonic() + seconds
    while (now := time.monotonic_ns()) < end * 1e9:
        try:
            received = connection.recv(1 << 16)
        except TimeoutError:
            continue
        if not received:
            sys.exit("the server has closed the connection")
        now = time.monotonic_ns() // 1_000
        lines = (rest + received).split(b"\r\n")
        rest = lines.pop()
        # The newest state comes last in a message.
        late += [now - int(due[-1]) for due in map(DUE.findall, lines) if due]
    if not late:
        sys.exit("no update has come")
    late.sort()
    print(late[len(late) // 2], late[len(late) * 99 // 100])


main()
