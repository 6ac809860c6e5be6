"""The broker that fakes the terminal: it fills at the quoted price and keeps what was sent."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from online.domain.account import Account, AccountIdentity, Deal, Position, RestingOrder
from online.domain.errors import Unavailable
from online.domain.market import Quote
from online.domain.order import Intent, OrderReply, OrderStatus, Purpose
from online.domain.reconciliation import Statement
from online.ports import Observation
from tests.fakes import BAR_NS, make_account, make_position, make_quote


@dataclass(slots=True)
class FakeBroker:
    """Broker that fills at the quoted price and keeps what was sent.

    Its clock is the quote's stamp unless `told_at_ns` says otherwise. `loses` makes
    replies get lost after their orders were filled, `answers` replaces them, and
    `when_sent` is called with each order before it is filled.
    """

    quote: Quote | None = field(default_factory=make_quote)
    account: Account | None = field(default_factory=make_account)
    positions: tuple[Position, ...] | None = ()
    deals: list[Deal] = field(default_factory=list)
    sent: list[Intent] = field(default_factory=list)
    down: bool = False
    real: bool = False
    loses: bool = False
    answers: OrderReply | None = None
    when_sent: Callable[[Intent], None] | None = None
    holds_positions: bool = True
    resting: tuple[RestingOrder, ...] = ()
    money_total: float | None = None
    rates: tuple[Quote, ...] = ()
    told_at_ns: int = 0
    _tickets: itertools.count[int] = field(default_factory=lambda: itertools.count(100))

    async def observe(
        self,
        symbol: str,  # noqa: ARG002 - the port's
        after_deal: int,
        pairs: tuple[str, ...] = (),
    ) -> Observation:
        if self.down:
            raise Unavailable("the terminal is down")
        deals = tuple(deal for deal in self.deals if deal.ticket > after_deal)
        rates = tuple(rate for rate in self.rates if rate.symbol in pairs)
        clock_ns = self.told_at_ns or (BAR_NS if self.quote is None else self.quote.at_ns)
        told = (self.quote, self.account, self.positions, deals, self.resting)
        return Observation(*told, clock_ns, rates)

    async def statement(self, since_ns: int) -> Statement:
        if self.down or self.account is None or self.positions is None:
            raise Unavailable("the terminal is down")
        deals = tuple(deal for deal in self.deals if deal.at_ns >= since_ns)
        total = self.account.balance if self.money_total is None else self.money_total
        return Statement(self.account, self.positions, self.resting, deals, total)

    async def identify(self) -> AccountIdentity:
        if self.down:
            raise Unavailable("the terminal is down")
        return AccountIdentity("1@Fake", lasting=True, real=self.real)

    async def send(self, intent: Intent) -> OrderReply:
        if self.when_sent is not None:
            self.when_sent(intent)
        self.sent.append(intent)
        reply = self.answers or self._fill(intent)
        if self.loses:
            raise Unavailable("the reply was lost")
        return reply

    async def find(self, intent: Intent) -> OrderReply | None:
        if self.down:
            raise Unavailable("the terminal is down")
        known = any(sent.intent_id == intent.intent_id for sent in self.sent)
        return self._reply(intent, 1) if known else None

    def _fill(self, intent: Intent) -> OrderReply:
        ticket = next(self._tickets)
        if intent.purpose is Purpose.CLOSE:
            kept = (p for p in self.positions or () if p.ticket != intent.position)
            self.positions = tuple(kept)
        elif self.holds_positions:
            opened = make_position(
                ticket=ticket,
                magic=intent.magic,
                side=intent.side,
                volume_lots=intent.volume_lots,
                opened_price=intent.quoted,
                stop=intent.stop,
                target=intent.target,
            )
            self.positions = (*(self.positions or ()), opened)
        deal = Deal(
            ticket,
            ticket,
            intent.position or ticket,
            intent.magic,
            intent.symbol,
            intent.side,
            intent.purpose is Purpose.ENTRY,
            "expert",
            intent.volume_lots,
            intent.quoted,
            BAR_NS,
            0.0,
            0.0,
        )
        self.deals.append(deal)
        return self._reply(intent, ticket)

    @staticmethod
    def _reply(intent: Intent, ticket: int) -> OrderReply:
        return OrderReply(
            OrderStatus.FILLED,
            10009,
            ticket,
            ticket,
            ticket,
            intent.quoted,
            intent.volume_lots,
            "filled",
        )
