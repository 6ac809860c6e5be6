"""The one place that an order goes out by: each call of `order_send` is taken down."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from online.domain.terminal_call import (
    WORDS_LIMIT,
    ServerStamp,
    TerminalCall,
    Told,
    cut,
    keep_fields,
)
from online.gateway.request import Request
from online.gateway.terminal import Terminal
from online.simulator.trade_tuples import OrderSendResult


class Note(Protocol):
    """Where calls are written down while they are made."""

    def write(self, intent_id: str, calls: tuple[TerminalCall, ...]) -> None:
        """Write down the calls of the order that is being sent."""


class CallLedger:
    """The calls of one order at a time.

    Parameters
    ----------
    terminal
        Connected.
    note
        Outlives this process; null where nobody would read it.
    now_ns
        The host's clock, nanoseconds UTC.

    Attributes
    ----------
    calls
        Of the order that was begun, oldest first.
    """

    def __init__(
        self, terminal: Terminal, note: Note | None = None, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._terminal = terminal
        self._note = note
        self._now_ns = now_ns
        self._intent_id = ""
        self.calls: tuple[TerminalCall, ...] = ()

    def begin(self, intent_id: str) -> None:
        """Begin an order: the one before is told."""
        self._intent_id, self.calls = intent_id, ()

    def send(
        self, request: Request, server_before: ServerStamp | None
    ) -> tuple[OrderSendResult | None, tuple[int, str]]:
        """Send a request; return the answer, with the `last_error` after it.

        What the call raises is raised on, and taken down as its trouble.
        """
        asked = keep_fields(request)
        called_at_ns = self._now_ns()
        call = TerminalCall("order_send", asked, called_at_ns, server_before=server_before)
        earlier = self.calls
        self._write((*earlier, call))
        try:
            result = self._terminal.order_send(request)
            returned_at_ns = self._now_ns()
            error = self._terminal.last_error()
        except Exception as problem:
            trouble = cut(f"{type(problem).__name__}: {problem}", WORDS_LIMIT)
            self._write((*earlier, msgspec.structs.replace(call, trouble=trouble)))
            raise
        answer, echo = (None, None) if result is None else _tell(result)
        self._write(
            (
                *earlier,
                TerminalCall(
                    "order_send",
                    asked,
                    called_at_ns,
                    returned_at_ns,
                    answer,
                    echo,
                    (int(error[0]), cut(str(error[1]), WORDS_LIMIT)),
                    server_before,
                ),
            )
        )
        return result, error

    def see(self, server_after: ServerStamp) -> None:
        """Take down the server's clock, as told by what the last call led to."""
        *earlier, last = self.calls
        self.calls = (*earlier, msgspec.structs.replace(last, server_after=server_after))

    def _write(self, calls: tuple[TerminalCall, ...]) -> None:
        self.calls = calls
        if self._note is not None:
            self._note.write(self._intent_id, calls)


def _tell(result: OrderSendResult) -> tuple[dict[str, Told], dict[str, Told] | None]:
    fields = result._asdict()
    echo = fields.pop("request", None)
    return keep_fields(fields), None if echo is None else keep_fields(echo._asdict())
