"""What scorer and gateway say to each other: frozen, tagged, closed structs.

A connection begins with `Hello` and `Welcome`. `number` pairs a question with its answers. An
order has two: `Accepted` once it is durable at the gateway, `Replied` once its fate is known.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from online.domain.market import Timeframe
from online.domain.order import Intent, OrderReply
from online.domain.reconciliation import Statement
from online.domain.terminal_call import TerminalCall
from online.domain.trading_state import TradingState
from online.gateway.price_desk import PricePage
from online.ports import Observation

PROTOCOL = 4
"""Raised by every change of a message that an older peer would misread."""


class Role(StrEnum):
    """Who connects."""

    SCORER = "scorer"
    OPERATOR = "operator"
    READER = "reader"


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=str.lower):
    """Base of every message."""


class Hello(_Message, frozen=True):
    """The first frame of whoever connects.

    Parameters
    ----------
    protocol
        `PROTOCOL` of the sender.
    role
        A scorer trades and is alone; an operator looks on and may halt, flatten and resume; a
        reader looks on.
    epoch
        The session that continues after a cut, as `Welcome` told it; 0 begins a new one.
    """

    protocol: int
    role: Role
    epoch: int = 0


class Welcome(_Message, frozen=True):
    """The gateway takes the connection.

    Parameters
    ----------
    epoch
        Of the session; a scorer that begins a new one fences all older ones.
    gateway
        How often this gateway has started; never falls.
    inbox
        Identity of the gateway's durable inbox.
    login, server
        The account; 0 and empty before a worker is connected.
    real
        True unless the terminal says that the account is a demo's or a contest's.
    heartbeat_seconds
        Both ends say something at least this often.
    """

    protocol: int
    epoch: int
    gateway: int
    inbox: str
    login: int
    server: str
    real: bool
    heartbeat_seconds: float


class Observe(_Message, frozen=True):
    """Asks for quote, account, positions, the deals above a ticket, and quotes to convert by."""

    number: int
    symbol: str
    after_deal: int
    pairs: tuple[str, ...] = ()


class AskStatement(_Message, frozen=True):
    """Asks for the whole account, with a page of the deals since an instant, above a ticket."""

    number: int
    since_ns: int
    after_deal: int


class Send(_Message, frozen=True):
    """Asks to send an order, once.

    Parameters
    ----------
    patience_milliseconds
        How long after its arrival the order may still be handed to the terminal.
    """

    number: int
    intent: Intent
    patience_milliseconds: int


class Find(_Message, frozen=True):
    """Asks for the fate of an order sent earlier."""

    number: int
    intent: Intent


class AskStatus(_Message, frozen=True):
    """Asks how the gateway is; with a symbol, how old its newest tick is, too."""

    number: int
    symbol: str = ""


class Resume(_Message, frozen=True):
    """Lets entries through again; operators only."""

    number: int
    by: str


class Climb(_Message, frozen=True):
    """Halts, and where `flatten` says so closes all that came through here; operators only."""

    number: int
    by: str
    reason: str
    flatten: bool


class AskBars(_Message, frozen=True):
    """Asks for closed bars; see `online.gateway.price_desk.PriceDesk.bars`."""

    number: int
    symbol: str
    timeframe: Timeframe
    position: int
    count: int


class AskTicks(_Message, frozen=True):
    """Asks for ticks; see `online.gateway.price_desk.PriceDesk.ticks`."""

    number: int
    symbol: str
    since_seconds: int
    count: int


class Beat(_Message, frozen=True):
    """Says that the sender lives."""


class Observed(_Message, frozen=True):
    """Answers `Observe`."""

    number: int
    observation: Observation


class Prices(_Message, frozen=True):
    """Answers `AskBars` and `AskTicks`."""

    number: int
    page: PricePage


class Stated(_Message, frozen=True):
    """Answers `AskStatement`; `more` tells that the next page of deals must be asked for."""

    number: int
    statement: Statement
    more: bool


class Accepted(_Message, frozen=True):
    """The order is durable at the gateway and about to be sent."""

    number: int


class Replied(_Message, frozen=True):
    """Answers `Send`, with the calls of the terminal that were made for it."""

    number: int
    reply: OrderReply
    calls: tuple[TerminalCall, ...] = ()


class Found(_Message, frozen=True):
    """Answers `Find`; null without evidence. The calls are those made when it was sent."""

    number: int
    reply: OrderReply | None
    calls: tuple[TerminalCall, ...] = ()


FAULT = "GATEWAY_FAULT"
"""Code of a failure nobody foresaw: an order that met one may be on its way all the same."""


class Failed(_Message, frozen=True):
    """A question that could not be answered; the connection goes on."""

    number: int
    code: str
    message: str

    @property
    def is_refusal(self) -> bool:
        """True where the gateway decided not to do what was asked, so that nothing was done."""
        return self.code != FAULT


class Refused(_Message, frozen=True):
    """The connection ends, and why."""

    code: str
    message: str


class WorkerStatus(msgspec.Struct, frozen=True):
    """How a worker is; `pid` is 0 while there is none."""

    role: str
    pid: int
    ready: bool
    replaced: int
    trouble: str


class Status(_Message, frozen=True):
    """Answers `AskStatus`.

    Parameters
    ----------
    reason
        Why the state is not active.
    unresolved
        Orders without a known fate.
    connected, trade_allowed
        What the terminal says of its server and of automated trading.
    tick_age_seconds
        Of the newest tick asked for, by the configured server time; null without one.
    """

    number: int
    state: TradingState
    reason: str
    login: int
    server: str
    gateway: int
    epoch: int
    scorer_linked: bool
    unresolved: int
    connected: bool
    trade_allowed: bool
    tick_age_seconds: float | None
    workers: tuple[WorkerStatus, ...]


ToGateway = (
    Hello
    | Observe
    | AskStatement
    | Send
    | Find
    | AskStatus
    | Resume
    | Climb
    | AskBars
    | AskTicks
    | Beat
)
ToScorer = (
    Welcome
    | Observed
    | Stated
    | Prices
    | Accepted
    | Replied
    | Found
    | Failed
    | Refused
    | Status
    | Beat
)
