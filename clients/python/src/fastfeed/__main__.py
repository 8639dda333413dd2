"""`python -m fastfeed`: the commands of `feedd` for machines without it. One thread; Ctrl-C ends it.

Exit codes are feedd's: 0 done; 1 the service said no or is not well; 2 wrong usage; 3 Redis or the service cannot be reached.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any, Callable, Dict, Final, List, Optional, Sequence

from .answers import Flux, Update
from .base import TIMEOUT_DEFAULT
from .client import FluxClient
from .contract import MARKETS, Field, State
from .errors import BadAnswerError, BadArgumentError, FluxError, RefusedError
from .interval import INTERVALS, to_datetime

#: Also feedd's own variables.
_VARIABLES: Final = {
    "redis": "FEEDD_REDIS", "redis_user": "FEEDD_REDIS_USER", "redis_password_file": "FEEDD_REDIS_PASSWORD_FILE",
    "key_prefix": "FEEDD_KEY_PREFIX", "market": "FEEDD_MARKET", "timeout": "FEEDD_TIMEOUT",
}  # fmt: skip
_PATIENCE: Final = 5.0


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs one command and says how it ended."""
    options = _parser().parse_args(arguments)
    try:
        with _client(options) as client:
            return int(options.command(client, options))
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        # Whoever read the pipe has seen enough. What is left would be written at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except FluxError as error:
        print(f"fastfeed: {_printable(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, BadArgumentError) else 1 if isinstance(error, (RefusedError, BadAnswerError)) else 3


def _client(options: argparse.Namespace) -> FluxClient:
    texts = {name: getattr(options, name) or os.environ.get(variable) for name, variable in _VARIABLES.items()}
    shared: Dict[str, Any] = {"market": texts["market"], "key_prefix": texts["key_prefix"]}
    try:
        shared["timeout"] = float(texts["timeout"] or TIMEOUT_DEFAULT)
        if texts["redis_user"]:
            shared["username"] = texts["redis_user"]
        if texts["redis_password_file"]:
            with open(texts["redis_password_file"], encoding="utf-8") as file:
                shared["password"] = file.read().strip("\n")
        return FluxClient.from_url(texts["redis"], **shared) if texts["redis"] else FluxClient(**shared)
    except (OSError, ValueError) as error:
        raise BadArgumentError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--redis", metavar="URL", help="redis://, rediss://, unix:///path or redis+sentinel:// (your running demo)")
    shared.add_argument("--redis-user", metavar="NAME")
    shared.add_argument("--redis-password-file", metavar="FILE")
    shared.add_argument("--key-prefix", metavar="TEXT")
    shared.add_argument("--market", choices=MARKETS)
    shared.add_argument("--timeout", metavar="SECONDS", help="5 by default")
    shared.add_argument("--json", action="store_true", help="JSON, for programs")
    parser = argparse.ArgumentParser("fastfeed", description="Talks to a running FastFeed service over Redis.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, run: Callable[[FluxClient, argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, parents=[shared], help=text, description=text)
        command.set_defaults(command=run)
        return command

    def add_series(command: argparse.ArgumentParser) -> None:
        command.add_argument("symbol", help="btcusdt")
        command.add_argument("interval", choices=INTERVALS, metavar="interval", help=" ".join(INTERVALS))

    add("list", _list, "List the fluxes of a running service.")
    create = add("create", _create, "Create a flux: symbols at one interval.")
    create.add_argument("symbols", help="btcusdt,ethusdt")
    create.add_argument("interval", choices=INTERVALS, metavar="interval", help=" ".join(INTERVALS))
    create.add_argument("--name", metavar="ID")
    create.add_argument("--history", type=int, metavar="N", help="candles of the past to have from the start")
    add("stop", _stop, "Stop a flux; its candles stay in Redis.").add_argument("id")
    add("status", _status, "Show how the service stands, or a flux.").add_argument("id", nargs="?")
    data = add("data", _data, "Show the candles of a series, oldest first.")
    add_series(data)
    data.add_argument("limit", type=int, nargs="?", help="1 to 1500; 100 by default")
    data.add_argument("--start", type=int, metavar="MS", help="open times from here on, Unix ms")
    data.add_argument("--end", type=int, metavar="MS", help="open times up to here")
    monitor = add("monitor", _monitor, "Watch the health of the service: a line each time.")
    monitor.add_argument("--every", type=float, default=1.0, metavar="SECONDS")
    monitor.add_argument("--count", type=int, metavar="N", help="end after so many lines")
    watch = add("watch", _watch, "Print a series' updates as they come, until Ctrl-C.")
    add_series(watch)
    watch.add_argument("--count", type=int, metavar="N", help="end after so many updates")
    return parser


def _list(client: FluxClient, options: argparse.Namespace) -> int:
    fluxes = client.list_fluxes()
    if options.json:
        return _print_json({Field.FLUXES: [dict(flux) for flux in fluxes]})
    rows = [[flux.id, flux.state, flux.interval, f"{flux.series_live} of {len(flux.symbols)}", _short(flux)] for flux in fluxes]
    _print_table([["FLUX", "STATE", "INTERVAL", "SERIES", "SYMBOLS"], *rows])
    return 0


def _short(flux: Flux) -> str:
    shown = ", ".join(flux.symbols[:5])
    return shown if len(flux.symbols) <= 5 else f"{shown} and {len(flux.symbols) - 5} more"


def _create(client: FluxClient, options: argparse.Namespace) -> int:
    flux = client.create_flux(options.symbols, options.interval, options.name, options.history)
    if options.json:
        return _print_json(dict(flux))
    _say(f"created {flux.id}" if flux.created else f"{flux.id} was there already")
    for refused in flux.refused_symbols:
        _say(f"nothing comes now: {refused}")
    return 0


def _stop(client: FluxClient, options: argparse.Namespace) -> int:
    client.stop_flux(options.id)
    if options.json:
        return _print_json({Field.FLUX_ID: options.id})
    _say(f"stopped {options.id}")
    return 0


def _status(client: FluxClient, options: argparse.Namespace) -> int:
    status = client.status(options.id)
    if options.json:
        _print_json(dict(status))
    else:
        _print_table([[name, _status_text(name, value)] for name, value in status.items()])
    return 0 if status.state not in (State.DEGRADED, State.STALE) else 1


def _status_text(name: str, value: object) -> str:
    if type(value) is not int or not name.endswith("_at"):
        return str(value)
    return _time(value) if value > 0 else "never"


def _data(client: FluxClient, options: argparse.Namespace) -> int:
    data = client.get_data(options.symbol, options.interval, options.limit, options.start, options.end)
    if options.json:
        return _print_json({**data._members})
    rows = [
        [_time(row.open_time), *row.to_ohlcv("text")[1:], str(row.count), "closed" if row.closed else "forming", row.source] for row in data
    ]
    _print_table([["OPEN TIME (UTC)", "OPEN", "HIGH", "LOW", "CLOSE", "VOLUME", "TRADES", "STATE", "SOURCE"], *rows])
    _say(f"{len(rows)} candles of {data.symbol} {data.interval} from {data.source} in {data.took_us} µs")
    if data.incomplete is not None:
        _say(f"these may not be all: {data.incomplete}")
    return 0


def _monitor(client: FluxClient, options: argparse.Namespace) -> int:
    seen = 0
    while True:
        try:
            status = client.status()
            if options.json:
                _print_json(dict(status))
            else:
                shown = (Field.SERIES, Field.CONNECTIONS_LIVE, Field.MESSAGES_TOTAL, Field.GAPS_OPEN)
                _say(
                    f"{_time(int(time.time() * 1_000))}  {status.state}  " + "  ".join(f"{name} {status.get(name, '?')}" for name in shown)
                )
        except FluxError as error:
            # It goes on while the service is away.
            _say(f"{_time(int(time.time() * 1_000))}  {error}")
        seen += 1
        if options.count is not None and seen >= options.count:
            return 0
        time.sleep(max(options.every, 0.1))


def _watch(client: FluxClient, options: argparse.Namespace) -> int:
    seen = interruptions = 0
    with client.updates(options.symbol, options.interval) as updates:
        for update in updates:
            if updates.interruptions > interruptions:
                interruptions = updates.interruptions
                print("Redis was lost and is back: updates may be missing", file=sys.stderr)
            if options.json:
                _print_json(dict(update))
            else:
                _print_update(update)
            seen += 1
            if options.count is not None and seen >= options.count:
                break
    return 0


def _print_update(update: Update) -> None:
    for candle in update.candles:
        opened, high, low, close, volume = candle.to_ohlcv("text")[1:]
        state = "closed" if candle.closed else "forming"
        moment = _time(candle.event_time)
        _say(f"{moment}  {update.symbol} {update.interval}  {close}  open {opened}  high {high}  low {low}  volume {volume}  {state}")


def _print_json(value: object) -> int:
    print(json.dumps(value, ensure_ascii=False), flush=True)
    return 0


def _print_table(rows: List[List[str]]) -> None:
    texts = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[place]) for row in texts) for place in range(len(texts[0]))]
    for row in texts:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    sys.stdout.flush()


def _say(text: str) -> None:
    print(_printable(text), flush=True)


def _printable(text: str) -> str:
    """Foreign text without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _time(instant: int) -> str:
    return to_datetime(instant).strftime("%Y-%m-%d %H:%M:%S")


if __name__ == "__main__":
    sys.exit(main())
