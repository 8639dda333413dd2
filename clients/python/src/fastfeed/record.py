"""A message's members as they came, by name, and how foreign members are checked. Pure, any thread."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, Mapping

from .errors import BadAnswerError

Members = Dict[str, Any]
_decode = json.JSONDecoder().decode


class Record(Mapping[str, Any]):
    """A message: `record["flux_id"]` is a member as it came (decimals are text); properties have the types."""

    __slots__ = ("_members",)

    def __init__(self, members: Members) -> None:
        self._members = members

    def __getitem__(self, name: str) -> Any:
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._members!r})"


def parse_object(text: str) -> Members:
    """A JSON object of foreign origin.

    Raises:
        BadAnswerError: it is not one.
    """
    try:
        value = _decode(text)
    # Numbers of thousands of digits and brackets of thousands of levels are refused by the parser, too.
    except (ValueError, RecursionError):
        raise BadAnswerError(f"not JSON: {text[:80]!r}") from None
    if type(value) is not dict:
        raise BadAnswerError(f"not a JSON object: {text[:80]!r}")
    return value


_WORDS = {str: "a text", int: "a whole number", bool: "true or false", list: "a list", dict: "an object"}


def checked(members: object, shape: Mapping[str, type]) -> Members:
    """The members, each of the shape's there and of its type; others are passed over.

    Raises:
        BadAnswerError: one is missing or of another type.
    """
    if type(members) is not dict:
        raise BadAnswerError("not an object where one must be")
    for name, kind in shape.items():
        # `True` is an int to isinstance, and nothing that the service writes for a number.
        if type(members.get(name)) is not kind:
            raise BadAnswerError(f"{name} is not {_WORDS[kind]}" if name in members else f"{name} is missing")
    return members


def checked_list(members: Members, name: str, kind: type) -> None:
    """Each element of a list that is there has the type.

    Raises:
        BadAnswerError: one has not.
    """
    if not all(type(element) is kind for element in members[name]):
        raise BadAnswerError(f"one of {name} is not {_WORDS[kind]}")


def text_of(value: object) -> str:
    """A text of Redis, whether the connection decodes texts or not."""
    if type(value) is str:
        return value
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
