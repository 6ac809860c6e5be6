"""A call of MetaTrader as it was made: what was sent, what came back, and when, by both clocks.

It is evidence, and nothing is decided by it. Values stay as the package had them; only what no
journal can hold is told in words, and what no terminal sends in its length is cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

import msgspec

Told = int | float | str
"""A value of the package's: a number that is none, or another type, is told in words."""

FIELDS_LIMIT = 32
"""Fields of a request or answer that are kept; MetaTrader's largest has 17."""
TEXT_LIMIT = 64
"""Characters of a text or name that are kept; MetaTrader's own have 31 at most."""
WORDS_LIMIT = 256
"""Characters of an error's words that are kept."""
_CUT = "…"
_INTEGERS = range(-(1 << 63), 1 << 63)


class ServerStamp(msgspec.Struct, frozen=True, gc=False):
    """The trade server's clock, as the terminal told it.

    Parameters
    ----------
    told_ms
        Milliseconds of the server's wall clock, as if it were an epoch: ``time_msc``.
    at_ns
        The same instant by the server's configured zone, nanoseconds UTC.
    """

    told_ms: int
    at_ns: int


class TerminalCall(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One call of the terminal, as the process that made it saw it.

    Parameters
    ----------
    function
        Of the MetaTrader5 package.
    request
        What it was given.
    called_at_ns, returned_at_ns
        The clock of the gateway's host before and after, nanoseconds UTC; `returned_at_ns` is
        null where nobody saw the call return.
    result
        What it returned, but for the echo; null where it returned None, or nothing.
    echo
        The request as the answer repeats it; null where there is none.
    last_error
        The package's code and words after the call; null where nobody saw it return.
    server_before
        Of the newest tick before the call; null where the terminal told none.
    server_after
        Of the newest deal that the answer led to; null where none was seen.
    trouble
        Why there is no answer; empty where the call returned.
    """

    function: str
    request: dict[str, Told]
    called_at_ns: int
    returned_at_ns: int | None = None
    result: dict[str, Told] | None = None
    echo: dict[str, Told] | None = None
    last_error: tuple[int, str] | None = None
    server_before: ServerStamp | None = None
    server_after: ServerStamp | None = None
    trouble: str = ""


def without_answer(call: TerminalCall, why: str) -> TerminalCall:
    """Return a call that nobody saw return, with the reason; another as it is."""
    if call.returned_at_ns is not None or call.trouble:
        return call
    return msgspec.structs.replace(call, trouble=cut(why, WORDS_LIMIT))


def keep_fields(given: Mapping[str, object]) -> dict[str, Told]:
    """Return a request's or an answer's fields as a journal can hold them, bounded.

    Examples
    --------
    >>> keep_fields({"volume": 0.1, "price": float("nan"), "comment": "sx-1"})
    {'volume': 0.1, 'price': 'nan', 'comment': 'sx-1'}
    """
    kept: dict[str, Told] = {}
    for name, value in given.items():
        if len(kept) == FIELDS_LIMIT:
            kept[_CUT] = f"{len(given) - FIELDS_LIMIT} more fields"
            break
        kind = type(value)
        if (
            (kind is int and value in _INTEGERS)
            or (kind is float and isfinite(value))  # type: ignore[arg-type]  # it is a float
            or (kind is str and _is_plain(value))  # type: ignore[arg-type]  # it is a text
        ):
            told: Told = value  # type: ignore[assignment]  # one of the three
        else:
            told = cut(value if isinstance(value, str) else repr(value), TEXT_LIMIT)
        kept[name if _is_plain(name) else cut(name, TEXT_LIMIT)] = told
    return kept


def cut(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters that can be encoded."""
    sound = text.encode("utf-8", "backslashreplace").decode()
    return sound if len(sound) <= limit else sound[: limit - 1] + _CUT


def _is_plain(text: str) -> bool:
    return len(text) <= TEXT_LIMIT and text.isascii()
