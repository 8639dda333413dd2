#!/usr/bin/env python3
"""Whoever asks the ops server for too much, and who asks it beside that. For scripts/ops-load.sh, which judges what is printed.

    ops-load.py PORT hostile             1,000 idle connections, a head line of 64 MiB, a POST of 100 MB, 50 readers of events that read nothing
    ops-load.py PORT scrapes SECONDS     a scrape each second; prints how many were answered, and the slowest
    ops-load.py PORT scrapes-in-a-row N  no pause between them
"""
import socket
import sys
import time

port, what = int(sys.argv[1]), sys.argv[2]
HEAD = b"Host: localhost\r\n"


def connect(receive_buffer=None):
    made = socket.socket()
    if receive_buffer:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    made.settimeout(10)
    made.connect(("127.0.0.1", port))
    return made


def ask(path):
    """The status, and seconds until the last byte."""
    begun, answer = time.monotonic(), b""
    with connect() as link:
        link.sendall(b"GET %b HTTP/1.1\r\n%bConnection: close\r\n\r\n" % (path.encode(), HEAD))
        while chunk := link.recv(65536):
            answer += chunk
    return status(answer), time.monotonic() - begun


def status(answer):
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0


def hostile():
    idle = [connect() for _ in range(1000)]
    code, seconds = ask("/livez")
    print(f"idle_status={code} idle_ms={seconds * 1000:.1f}")

    sent, answer = 0, b""
    with connect() as link:
        try:
            link.sendall(b"GET /livez HTTP/1.1\r\n" + HEAD + b"X: ")
            while sent < 64 << 20:
                link.sendall(b"a" * 65536)
                sent += 65536
            answer = link.recv(100)
        except OSError:
            pass
    print(f"head_sent={sent} head_status={status(answer)}")

    with connect() as link:
        link.sendall(b"POST /login HTTP/1.1\r\n" + HEAD + b"Content-Length: 100000000\r\n\r\n")
        print(f"body_status={status(link.recv(100))}")

    # Beyond the bound of streams the answer is 503; the others read nothing of theirs.
    frozen = [connect(1024) for _ in range(50)]
    for link in frozen:
        link.sendall(b"GET /events?view=overview HTTP/1.1\r\n" + HEAD + b"\r\n")
    time.sleep(10)
    code, seconds = ask("/livez")
    print(f"frozen_status={code} frozen_ms={seconds * 1000:.1f}")
    for link in idle + frozen:
        link.close()


def scrapes(count, pause):
    good, slowest, due = 0, 0.0, time.monotonic()
    for _ in range(count):
        try:
            code, seconds = ask("/metrics")
        except OSError:
            code, seconds = 0, 10.0
        good, slowest, due = good + (code == 200), max(slowest, seconds), due + pause
        time.sleep(max(0.0, due - time.monotonic()))
    print(f"scrapes={count} scrapes_good={good} slowest_ms={slowest * 1000:.1f}")


if what == "hostile":
    hostile()
else:
    scrapes(int(sys.argv[3]), 1.0 if what == "scrapes" else 0.0)
