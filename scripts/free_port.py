#!/usr/bin/env python3
"""Prints a TCP port of 127.0.0.1 that is free, and so is the one 10,000 above, where a node of a Redis Cluster has its bus.

Linux gives an outgoing connection a port from 32,768 on (net.ipv4.ip_local_port_range). A port from there can be gone before its server
starts, or while it starts again: these lie below.
"""
import random
import socket


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port():
    return next(port for port in random.sample(range(10_000, 20_000), 10_000) if is_free(port) and is_free(port + 10_000))


if __name__ == "__main__":
    print(free_port())
