"""Requests as they are written, and how their answers are read. Pure, any thread. Whether a request is right, the service says."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any, Callable, Dict, Generic, List, Optional, Sequence, TypeVar, Union

from .answers import Audit, CandleData, CreatedFlux, Flux, Gaps, Status, Symbols
from .contract import Command, Field, State
from .errors import BadAnswerError, RefusedError
from .interval import Instant, optional_ms
from .record import Members, checked, parse_object

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Request(Generic[Answer]):
    """One command.

    Attributes:
        id: 128 bits that nobody can guess: whoever does not see the request cannot answer it.
    """

    kind: str
    members: Dict[str, Any]
    read: Callable[[Members], Answer]
    id: str

    @property
    def text(self) -> str:
        """The JSON object to publish."""
        return json.dumps({Field.REQUEST_ID: self.id, **self.members}, ensure_ascii=False)

    def answer(self, text: str) -> Answer:
        """What the service said.

        Raises:
            RefusedError: no.
            BadAnswerError: it is not an answer to this request.
        """
        members = parse_object(text)
        if members.pop(Field.REQUEST_ID, None) != self.id:
            raise BadAnswerError(f"it carries another {Field.REQUEST_ID}")
        status = members.pop(Field.STATUS, None)
        if status == State.REFUSED:
            error = checked(members.get(Field.ERROR), {Field.CODE: str, Field.MESSAGE: str})
            raise RefusedError(error[Field.CODE], error[Field.MESSAGE])
        if status != State.OK:
            raise BadAnswerError(f"its {Field.STATUS} is neither {State.OK} nor {State.REFUSED}")
        return self.read(members)


def _request(kind: str, read: Callable[[Members], Answer], members: Dict[str, Any]) -> Request[Answer]:
    given = {name: value for name, value in members.items() if value is not None}
    return Request(kind, given, read, secrets.token_hex(16))


def _nothing(_: Members) -> None:
    return None


def create_flux(symbols: Union[str, Sequence[str]], interval: str, name: Optional[str], history: Optional[int]) -> Request[CreatedFlux]:
    """A request, as `FluxClient.create_flux` has it."""
    names = symbols.split(",") if isinstance(symbols, str) else list(symbols)
    return _request(
        Command.CREATE_FLUX, CreatedFlux.read, {Field.SYMBOLS: names, Field.INTERVAL: interval, Field.NAME: name, Field.HISTORY: history}
    )


def stop_flux(flux_id: str) -> Request[None]:
    """A request, as `FluxClient.stop_flux` has it."""
    return _request(Command.STOP_FLUX, _nothing, {Field.FLUX_ID: flux_id})


def list_fluxes() -> Request[List[Flux]]:
    """A request, as `FluxClient.list_fluxes` has it."""
    return _request(Command.LIST_FLUXES, Flux.read_list, {})


def status(flux_id: Optional[str]) -> Request[Status]:
    """A request, as `FluxClient.status` has it."""
    return _request(Command.GET_STATUS, Status.read, {Field.FLUX_ID: flux_id})


def get_data(symbol: str, interval: str, limit: Optional[int], start: Optional[Instant], end: Optional[Instant]) -> Request[CandleData]:
    """A request, as `FluxClient.get_data` has it."""
    return _request(
        Command.GET_DATA,
        CandleData.read,
        {Field.SYMBOL: symbol, Field.INTERVAL: interval, Field.LIMIT: limit, Field.START: optional_ms(start), Field.END: optional_ms(end)},
    )


def gaps(symbol: Optional[str], interval: Optional[str], flux_id: Optional[str]) -> Request[Gaps]:
    """A request, as `FluxClient.gaps` has it."""
    return _request(Command.LIST_GAPS, Gaps.read, {Field.SYMBOL: symbol, Field.INTERVAL: interval, Field.FLUX_ID: flux_id})


def backfill(symbol: str, interval: str, count: int) -> Request[None]:
    """A request, as `FluxClient.backfill` has it."""
    return _request(Command.BACKFILL, _nothing, {Field.SYMBOL: symbol, Field.INTERVAL: interval, Field.COUNT: count})


def audit(symbol: str, interval: str, limit: Optional[int], repair: bool) -> Request[Audit]:
    """A request, as `FluxClient.audit` has it."""
    return _request(Command.AUDIT, Audit.read, {Field.SYMBOL: symbol, Field.INTERVAL: interval, Field.LIMIT: limit, Field.REPAIR: repair})


def symbols(search: Optional[str], quote: Optional[str], status: Optional[str], limit: Optional[int]) -> Request[Symbols]:
    """A request, as `FluxClient.symbols` has it."""
    return _request(
        Command.LIST_SYMBOLS, Symbols.read, {Field.SEARCH: search, Field.QUOTE: quote, Field.STATUS: status, Field.LIMIT: limit}
    )
