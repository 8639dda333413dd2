#!/usr/bin/env python3
"""cryptofeed as its users set it up: Binance candles, open ones too, into its own Redis backends.

Only the addresses are ours: the exchange of this machine instead of Binance, and the list of symbols from there. Runs
until SIGTERM, and takes every symbol that the exchange has.
"""
import argparse
import asyncio
import ctypes
import os
import signal
import sys

from cryptofeed import FeedHandler, connection
from cryptofeed.backends.redis import CandlesRedis, CandlesStream
from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint
from cryptofeed.defines import CANDLES
from cryptofeed.exchanges import Binance

PR_SET_PDEATHSIG = 1


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venue", required=True, help="ws://ADDRESS:PORT")
    parser.add_argument("--rest", required=True, help="http://ADDRESS:PORT, for exchangeInfo")
    parser.add_argument("--redis", required=True, help="ADDRESS:PORT")
    parser.add_argument("--backends", choices=["both", "zset"], default="both", help="ZADD and XADD, or ZADD alone")
    parser.add_argument("--log", default=os.devnull, help="file for its complaints")
    parser.add_argument("--end-with-parent", type=int, metavar="PID")
    return parser.parse_args()


def end_with_parent(parent):
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)


def without_tls():
    """cryptofeed takes only wss:// addresses. Without TLS on this machine it does less work, not more."""
    original = connection.connect
    connection.connect = lambda address, **options: original(address.replace("wss://", "ws://", 1), **options)


def main():
    given = options()
    if given.end_with_parent:
        end_with_parent(given.end_with_parent)
    without_tls()
    Binance.websocket_endpoints = [WebsocketEndpoint(given.venue.replace("ws://", "wss://", 1))]
    Binance.rest_endpoints = [RestEndpoint(given.rest, routes=Routes("/api/v3/exchangeInfo"))]
    config = {"uvloop": True, "log": {"filename": given.log, "level": "WARNING"}}
    host, port = given.redis.split(":")
    backends = [CandlesRedis(host=host, port=int(port))]
    if given.backends == "both":
        # By default both would take the same keys, which no Redis allows.
        backends.append(CandlesStream(host=host, port=int(port), key="candles_stream"))
    handler = FeedHandler(config=config)
    # cryptofeed asks for the thread's loop, which newer uvloop does not make by itself.
    asyncio.set_event_loop(asyncio.new_event_loop())
    handler.add_feed(
        Binance(
            config=config, symbols=Binance.symbols(), channels=[CANDLES], candle_interval="1m", candle_closed_only=False,
            callbacks={CANDLES: backends}))
    handler.run()


if __name__ == "__main__":
    main()
