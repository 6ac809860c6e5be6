"""What the supervisor asks of a worker over its pipes, and what comes back."""

from __future__ import annotations

import msgspec

from online.domain.market import Timeframe
from online.domain.order import Intent, OrderReply
from online.domain.reconciliation import Statement
from online.domain.terminal_call import TerminalCall
from online.gateway.evidence import Evidence
from online.gateway.market_desk import Health
from online.gateway.price_desk import PricePage
from online.gateway.request import OrderRules
from online.gateway.terminal_choice import TerminalChoice
from online.ports import Observation
from online.simulator.server_time import ServerTime

ORDERS, MARKET = "orders", "market"


class _Errand(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=str.lower):
    """Base of everything on a worker's pipes."""


class Setup(_Errand, frozen=True):
    """The first errand: what the worker is.

    Parameters
    ----------
    role
        ``orders`` or ``market``.
    lock
        File that the one order worker of an account holds; empty for the other.
    note
        File that it notes an order's calls in; empty for the other.
    record
        File that every call of the terminal is written to; empty for none.
    symbols
        The broker's name of each of our symbols.
    """

    role: str
    terminal: TerminalChoice
    symbols: dict[str, str]
    server_time: ServerTime
    rules: OrderRules
    lock: str
    note: str = ""
    record: str = ""


class Execute(_Errand, frozen=True):
    """Send an order."""

    intent: Intent
    patience_seconds: float


class Look(_Errand, frozen=True):
    """Look at the market and the account."""

    symbol: str
    after_deal: int
    pairs: tuple[str, ...] = ()


class Tell(_Errand, frozen=True):
    """Tell the whole account, with a page of the deals since an instant, above a ticket."""

    since_ns: int
    after_deal: int


class Search(_Errand, frozen=True):
    """Look for an order's fate.

    Parameters
    ----------
    accepted_at_ns
        0 if the gateway never accepted it.
    ticket
        The broker's number of the order; 0 if it was never told.
    taken
        Tickets of other orders on the same position.
    """

    intent: Intent
    accepted_at_ns: int
    ticket: int = 0
    taken: tuple[int, ...] = ()


class Probe(_Errand, frozen=True):
    """Ask how the terminal is; `symbol` may be empty."""

    symbol: str


class ReadBars(_Errand, frozen=True):
    """Read closed bars; see `online.gateway.price_desk.PriceDesk.bars`."""

    symbol: str
    timeframe: Timeframe
    position: int
    count: int


class ReadTicks(_Errand, frozen=True):
    """Read ticks; see `online.gateway.price_desk.PriceDesk.ticks`."""

    symbol: str
    since_seconds: int
    count: int


class Ready(_Errand, frozen=True):
    """The worker is connected to the terminal, to this account; `real` unless it is told not."""

    login: int
    server: str
    real: bool


class Executed(_Errand, frozen=True):
    """Answers `Execute`."""

    reply: OrderReply
    calls: tuple[TerminalCall, ...] = ()


class Looked(_Errand, frozen=True):
    """Answers `Look`."""

    observation: Observation


class Told(_Errand, frozen=True):
    """Answers `Tell`; `more` tells that there are more deals."""

    statement: Statement
    more: bool


class Searched(_Errand, frozen=True):
    """Answers `Search`."""

    evidence: Evidence


class Probed(_Errand, frozen=True):
    """Answers `Probe`."""

    health: Health


class PricesRead(_Errand, frozen=True):
    """Answers `ReadBars` and `ReadTicks`."""

    page: PricePage


class Trouble(_Errand, frozen=True):
    """The errand could not be done."""

    code: str
    message: str


Errand = Setup | Execute | Look | Tell | Search | Probe | ReadBars | ReadTicks
Result = Ready | Executed | Looked | Told | Searched | Probed | PricesRead | Trouble
