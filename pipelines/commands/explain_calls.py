"""What was said to MetaTrader for an order, and what it answered: for `sextant explain`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from rich.text import Text

from online.domain.market import NANOSECONDS_PER_SECOND
from online.domain.terminal_call import ServerStamp, TerminalCall, Told

_MILLISECOND_NS = 1_000_000
_MICROSECOND_NS = 1_000


def tell_calls(calls: Iterable[TerminalCall]) -> Iterator[Text]:
    """Yield two lines a call: what was sent, and what came back."""
    for call in calls:
        yield Text(
            f"Sent to MetaTrader at {_moment(call.called_at_ns)}{_server(call.server_before)}: "
            f"{call.function} {_fields(call.request)}."
        )
        yield Text(_answer(call))


def _answer(call: TerminalCall) -> str:
    if call.returned_at_ns is None:
        return f"No answer was seen: {call.trouble or 'the call did not return'}."
    took_ms = (call.returned_at_ns - call.called_at_ns) / _MILLISECOND_NS
    when = f"{_moment(call.returned_at_ns)}, {took_ms:.1f} ms later{_server(call.server_after)}"
    error = "" if call.last_error is None else f"; last_error {call.last_error}"
    if call.result is None:
        return f"It answered at {when}: nothing{error}."
    return f"It answered at {when}: {_fields(call.result)}{error}. {_echoed(call)}"


def _echoed(call: TerminalCall) -> str:
    if call.echo is None:
        return "It did not repeat the request."
    asked = call.request
    other = {name: told for name, told in call.echo.items() if told != asked.get(name, told)}
    return f"It repeats the request with {_fields(other)}." if other else "It repeats the request."


def _fields(given: Mapping[str, Told]) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in given.items()) or "no fields"


def _server(stamp: ServerStamp | None) -> str:
    """Return the server's own clock; its stamp counts its wall clock as if it were UTC."""
    if stamp is None:
        return ""
    wall = datetime.fromtimestamp(stamp.told_ms / 1000, tz=UTC)
    return f" (server's clock {wall:%Y-%m-%d %H:%M:%S}.{stamp.told_ms % 1000:03d})"


def _moment(at_ns: int) -> str:
    seconds, rest_ns = divmod(at_ns, NANOSECONDS_PER_SECOND)
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{rest_ns // _MICROSECOND_NS:06d} UTC"
