"""A worker: the process that talks to the terminal, on errands of the supervisor.

The MetaTrader5 package holds the interpreter through every call and its reads have no timeout, so
it lives in a process that can be ended. Errands come on standard input and go back on standard
output, one at a time. The worker ends when its supervisor does.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import assert_never

from online.domain.called_reply import apart
from online.domain.errors import SextantError, Unavailable
from online.gateway.call_note import CallNote
from online.gateway.errands import (
    Errand,
    Execute,
    Executed,
    Look,
    Looked,
    PricesRead,
    Probe,
    Probed,
    ReadBars,
    ReadTicks,
    Ready,
    Result,
    Search,
    Searched,
    Setup,
    Tell,
    Told,
    Trouble,
)
from online.gateway.frames import (
    MAX_TO_SCORER_BYTES,
    FrameReader,
    FrameWriter,
)
from online.gateway.garbage import collect_rarely
from online.gateway.market_desk import MarketDesk
from online.gateway.order_desk import OrderDesk
from online.gateway.price_desk import PriceDesk, PricePage
from online.gateway.recording import record_calls
from online.gateway.terminal import Terminal
from online.gateway.terminal_choice import connect, open_terminal
from online.gateway.terminal_lock import hold_lock
from online.gateway.translation import Translation
from online.simulator import constants as mt5

_CHUNK_BYTES = 65_536
_NO_MONEY = frozenset({mt5.ACCOUNT_TRADE_MODE_DEMO, mt5.ACCOUNT_TRADE_MODE_CONTEST})
_log = logging.getLogger(__name__)


def main() -> int:
    """Serve the supervisor at the other end of standard input and output."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s worker %(levelname)s %(message)s")
    replies = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a library's print must not be a frame
    writer = FrameWriter()

    def say(result: Result) -> None:
        frame = memoryview(writer.pack(result))
        while frame:
            frame = frame[os.write(replies, frame) :]

    errands = _errands(sys.stdin.fileno())
    setup = next(errands, None)
    if not isinstance(setup, Setup):
        return 2
    try:
        # The lock lives as long as the process: it is held in this name until the end.
        lock = hold_lock(Path(setup.lock)) if setup.lock else None
        note = CallNote(Path(setup.note)) if setup.note else None
        terminal = open_terminal(setup.terminal)
        if setup.record:
            terminal = record_calls(terminal, Path(setup.record))
        ready = greet(terminal)
        desks = _desks(setup, ready, terminal, note)
        say(ready)
    except SextantError as error:
        say(Trouble(error.code, str(error)))
        return 1
    collect_rarely()
    _serve(errands, desks, say)
    terminal.shutdown()
    if lock is not None:
        lock.close()
    return 0


def _errands(descriptor: int) -> Iterator[Errand]:
    """Yield errands until the supervisor is gone."""
    reader: FrameReader[Errand] = FrameReader(Errand, MAX_TO_SCORER_BYTES)
    while data := os.read(descriptor, _CHUNK_BYTES):
        yield from reader.feed(data)


def _desks(
    setup: Setup, ready: Ready, terminal: Terminal, note: CallNote | None
) -> tuple[OrderDesk, MarketDesk, PriceDesk]:
    account = (ready.login, ready.server)
    translation = Translation(setup.symbols, setup.server_time)

    def reconnect() -> None:
        connect(terminal, setup.terminal)

    return (
        OrderDesk(terminal, account, translation, setup.rules, reconnect, note),
        MarketDesk(terminal, account, translation, reconnect),
        PriceDesk(terminal, translation, setup.server_time, reconnect),
    )


def _serve(
    errands: Iterator[Errand],
    desks: tuple[OrderDesk, MarketDesk, PriceDesk],
    say: Callable[[Result], None],
) -> None:
    for errand in errands:
        try:
            say(_run(errand, *desks))
        except Unavailable as error:
            _log.warning("%s: %s", error.code, error)
            say(Trouble(error.code, str(error)))


def _run(  # noqa: PLR0911 - one return an errand
    errand: Errand, orders: OrderDesk, market: MarketDesk, prices: PriceDesk
) -> Result:
    match errand:
        case Execute():
            return Executed(*apart(orders.execute(errand.intent, errand.patience_seconds)))
        case Look():
            return Looked(market.observe(errand.symbol, errand.after_deal, errand.pairs))
        case Tell():
            return Told(*market.statement(errand.since_ns, errand.after_deal))
        case Search():
            return Searched(
                market.search(errand.intent, errand.accepted_at_ns, errand.ticket, errand.taken)
            )
        case Probe():
            return Probed(market.health(errand.symbol))
        case ReadBars() | ReadTicks():
            return PricesRead(_read(errand, prices))
        case Setup():
            return Trouble("INVALID_INPUT", "a worker is set up once")
        case _:
            assert_never(errand)


def _read(errand: ReadBars | ReadTicks, prices: PriceDesk) -> PricePage:
    if isinstance(errand, ReadTicks):
        return prices.ticks(errand.symbol, errand.since_seconds, errand.count)
    return prices.bars(errand.symbol, errand.timeframe, errand.position, errand.count)


def greet(terminal: Terminal) -> Ready:
    """Return the account that a terminal is logged in to, and whether its money is real.

    Raises
    ------
    Unavailable
        If the terminal does not tell.
    """
    account = terminal.account_info()
    if account is None:
        code, words = terminal.last_error()
        raise Unavailable(
            f"the terminal tells no account: {words} ({code})", code="TERMINAL_UNAVAILABLE"
        )
    return Ready(account.login, account.server, real=account.trade_mode not in _NO_MONEY)


if __name__ == "__main__":
    sys.exit(main())
