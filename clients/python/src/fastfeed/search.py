"""What Redis shows of services when nobody listens, so that the advice names what was found. Steps, without I/O."""

from __future__ import annotations

import time
from typing import Any, Dict, Final, List

from .contract import MARKETS, Command, Field, Keys, State
from .endpoint import LOST
from .errors import BadArgumentError
from .record import text_of
from .steps import Steps, call

_SHOWN_MAX: Final = 3


def publish_options(redis: Any, keys: Keys) -> Dict[str, Any]:
    """For `publish`. A cluster's node counts the listeners at itself alone: the service listens where its status is."""
    find = getattr(redis, "get_node_from_key", None)
    return {} if find is None else {"target_nodes": find(keys.service_status)}


def seems_to_run(keys: Keys) -> Steps[bool]:
    """Whether a service has left a status and has not ended: it may listen at another node by now."""
    state = yield from call("hget", keys.service_status, Field.STATE)
    return state is not None and text_of(state) != State.STOPPED


def why_nobody_listens(keys: Keys) -> Steps[str]:
    """One sentence."""
    place = "no service listens for commands" + (f" with key prefix '{keys.prefix}'" if keys.prefix else "")
    place += f" for market {keys.market}" if keys.market != MARKETS[0] else ""
    traces: Dict[str, Dict[str, str]] = {}
    try:
        for market in MARKETS:
            fields = yield from call("hgetall", Keys(keys.prefix, market).service_status)
            traces[market] = {text_of(name): text_of(value) for name, value in fields.items()}
        channels = yield from call("pubsub_channels", Keys.listeners_pattern())
    except LOST as error:
        return f"{place}; nor can a status be read ({error})"
    findings = _findings(keys, traces) + _others(keys, channels)
    advice = "start one with 'feedd run --flux btcusdt:1m', or see it work with 'feedd demo'"
    return f"{place}: {'; '.join(findings) or f'none has left a status here: {advice}'}"


def _findings(keys: Keys, traces: Dict[str, Dict[str, str]]) -> List[str]:
    findings = []
    for market, trace in traces.items():
        if not trace:
            continue
        who = f"pid {trace.get(Field.PID, '?')} on {trace.get(Field.HOST, '?')}"
        if market != keys.market:
            if trace.get(Field.STATE) != State.STOPPED:
                findings.append(f"a {market} service runs here ({who}): name the market")
        elif trace.get(Field.STATE) == State.STOPPED:
            findings.append(f"the last one ({who}) has stopped")
        else:
            findings.append(f"one ({who}) has written its status {_age(trace)} and listens no more: it has died, or connects again")
    return findings


def _age(trace: Dict[str, str]) -> str:
    moment = trace.get(Field.HEARTBEAT_AT, "")
    return f"{max(0, round(time.time() - int(moment) / 1_000))} s ago" if moment.isascii() and moment.isdigit() else "lately"


def _others(keys: Keys, channels: List[Any]) -> List[str]:
    """Where services listen under other names."""
    found = []
    for channel in sorted(map(text_of, channels)):
        for market in MARKETS:
            ending = Keys("", market).command(Command.LIST_FLUXES)
            prefix = channel[: -len(ending)]
            if channel.endswith(ending) and (prefix, market) != (keys.prefix, keys.market):
                try:
                    Keys(prefix, market)
                except BadArgumentError:
                    continue
                found.append(f"a {market} service listens under another key prefix: '{prefix}'")
    return found[:_SHOWN_MAX]
