"""Reading an order request as the package does: strict types, unknown keys ignored."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from online.domain.errors import InvalidInput
from online.simulator.trade_tuples import TradeRequest

TEXT_LIMIT = 29
"""Longest symbol and comment, UTF-16 units."""

_FLOATS = ("volume", "price", "stoplimit", "sl", "tp")
_TEXTS = ("symbol", "comment")
_UNSIGNED = (
    "action",
    "magic",
    "order",
    "deviation",
    "type",
    "type_filling",
    "type_time",
    "position",
    "position_by",
)
_LARGEST = {"magic": 1 << 64, "order": 1 << 64, "deviation": 1 << 64, "position": 1 << 64}
_UNSIGNED_32 = 1 << 32


def parse_request(fields: Mapping[str, object]) -> TradeRequest:
    """Return the request in `fields`; what is absent is zero or empty.

    Raises
    ------
    InvalidInput
        With the package's message, if a value has another type than the package takes. A volume
        of type `int` is refused, and so is a NumPy integer as magic number.

    Examples
    --------
    >>> parse_request({"action": 1, "volume": 0.1, "colour": "red"}).volume
    0.1
    """
    values: dict[str, object] = {}
    for name in TradeRequest._fields:
        if name not in fields:
            continue
        value = fields[name]
        if not _fits(name, value):
            raise InvalidInput(f'Invalid "{name}" argument')
        values[name] = value
    return TradeRequest(**values)  # type: ignore[arg-type]  # each value was checked by name


def text_fits(value: object) -> bool:
    """Tell whether a value is a text that the package takes as symbol or comment."""
    return isinstance(value, str) and len(value.encode("utf-16-le")) // 2 <= TEXT_LIMIT


def parse_date(value: object) -> int | None:
    """Return a date as the package reads it, whole seconds; None if it is none.

    Numbers are taken as they are, datetimes by their timestamp: a naive one is of the machine's
    own zone. What is told in seconds is the server's clock as if it were UTC.
    """
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value)
    return None


def matches_group(symbol: str, group: str) -> bool:
    """Tell whether a symbol is in a group: masks between commas, ``!`` excludes.

    Examples
    --------
    >>> matches_group("EURUSD", "*, !*JPY*"), matches_group("USDJPY", "*, !*JPY*")
    (True, False)
    """
    inside = False
    for mask in (part.strip() for part in group.split(",")):
        pattern = re.escape(mask.removeprefix("!")).replace(r"\*", ".*")
        if re.fullmatch(pattern, symbol):
            inside = not mask.startswith("!")
    return inside


def _fits(name: str, value: object) -> bool:
    if name in _FLOATS:
        return isinstance(value, float)
    if name in _TEXTS:
        return text_fits(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return name not in _UNSIGNED or 0 <= value < _LARGEST.get(name, _UNSIGNED_32)
