"""Calls of the terminal, for tests."""

from __future__ import annotations

from typing import Any

from online.domain.terminal_call import ServerStamp, TerminalCall
from tests.fakes import BAR_NS

REQUEST = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "price": 1.1002, "comment": "sx-1"}


def make_call(**changes: Any) -> TerminalCall:  # noqa: ANN401 - fields of TerminalCall
    """Return a call that was answered; `changes` are other values of its fields."""
    fields: dict[str, Any] = {
        "function": "order_send",
        "request": dict(REQUEST),
        "called_at_ns": BAR_NS,
        "returned_at_ns": BAR_NS + 8_000_000,
        "result": {"retcode": 10009, "deal": 5, "order": 4, "comment": "Request executed"},
        "echo": {**REQUEST, "price": 1.1003},
        "last_error": (1, "Success"),
        "server_before": ServerStamp(BAR_NS // 1_000_000 + 7_200_000, BAR_NS),
        "server_after": ServerStamp(BAR_NS // 1_000_000 + 7_200_004, BAR_NS + 4_000_000),
    }
    return TerminalCall(**{**fields, **changes})


def unanswered(why: str = "") -> TerminalCall:
    """Return a call that nobody saw return."""
    lost = dict.fromkeys(("returned_at_ns", "result", "echo", "last_error", "server_after"))
    return make_call(**lost, trouble=why)
