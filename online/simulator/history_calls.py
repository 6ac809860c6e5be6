"""Calls about positions, orders and the history; empty is ``()``, an error is None."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from online.simulator.client import ClientTerminal
from online.simulator.connection import Connection
from online.simulator.info_tuples import AccountInfo
from online.simulator.records import DealRow, Order
from online.simulator.request_parsing import matches_group, parse_date, text_fits
from online.simulator.told import tell_account, tell_deal, tell_order, tell_position
from online.simulator.trade_tuples import TradeDeal, TradeOrder, TradePosition

_SECOND_NS = 1_000_000_000
_FILTERS = ("symbol", "group", "ticket")
R = TypeVar("R", DealRow, Order)
T = TypeVar("T")


class HistoryCalls(Connection):
    """The package's functions about the account's past and present."""

    def account_info(self) -> AccountInfo | None:
        """Return money and rules of the account."""
        return self._ask("account_info", tell_account)

    def positions_total(self) -> int | None:
        """Return the number of open positions."""
        return self._ask("positions_total", lambda c: len(c.terminal.server.book.open))

    def positions_get(
        self, *positional: object, **filters: object
    ) -> tuple[TradePosition, ...] | None:
        """Return open positions: all, or those of ``symbol=``, ``group=`` or ``ticket=``."""
        if positional or not _are_filters(filters):
            self._refuse_arguments()
            return None

        def work(client: ClientTerminal) -> tuple[TradePosition, ...]:
            server = client.terminal.server
            return tuple(
                tell_position(held, server.markets[held.symbol], server.ledger)
                for held in server.book.open.values()
                if _passes(held.symbol, held.ticket, filters)
            )

        return self._ask("positions_get", work)

    def orders_total(self) -> int | None:
        """Return the number of resting orders."""
        return self._ask("orders_total", lambda c: len(c.terminal.server.pending.resting))

    def orders_get(self, *positional: object, **filters: object) -> tuple[TradeOrder, ...] | None:
        """Return resting orders: all, or those of ``symbol=``, ``group=`` or ``ticket=``."""
        if positional or not _are_filters(filters):
            self._refuse_arguments()
            return None

        def work(client: ClientTerminal) -> tuple[TradeOrder, ...]:
            server = client.terminal.server
            return tuple(
                tell_order(order, server.markets[order.symbol], server.rules)
                for order in server.pending.resting.values()
                if _passes(order.symbol, order.ticket, filters)
            )

        return self._ask("orders_get", work)

    def history_orders_total(self, date_from: object, date_to: object, /) -> int | None:
        """Return the number of finished orders between two dates."""
        orders = self.history_orders_get(date_from, date_to)
        return None if orders is None else len(orders)

    def history_orders_get(
        self,
        date_from: object = None,
        date_to: object = None,
        *,
        group: str | None = None,
        ticket: int | None = None,
        position: int | None = None,
    ) -> tuple[TradeOrder, ...] | None:
        """Return finished orders between two dates, or of a ``ticket=`` or ``position=``."""
        query = _Query(group, ticket, position, _span(date_from, date_to))

        def work(client: ClientTerminal) -> tuple[TradeOrder, ...]:
            server = client.terminal.server
            orders = server.history.orders
            found = query.choose(
                client,
                orders.values(),
                lambda order: order.done_at_ns,
                lambda number: (orders[number],) if number in orders else (),
                lambda number: [each for each in orders.values() if each.position == number],
            )
            return tuple(
                tell_order(order, server.markets[order.symbol], server.rules) for order in found
            )

        return self._ask_past("history_orders_get", query, work)

    def history_deals_total(self, date_from: object, date_to: object, /) -> int | None:
        """Return the number of deals between two dates."""
        deals = self.history_deals_get(date_from, date_to)
        return None if deals is None else len(deals)

    def history_deals_get(
        self,
        date_from: object = None,
        date_to: object = None,
        *,
        group: str | None = None,
        ticket: int | None = None,
        position: int | None = None,
    ) -> tuple[TradeDeal, ...] | None:
        """Return deals between two dates, or of an order's ``ticket=`` or a ``position=``."""
        query = _Query(group, ticket, position, _span(date_from, date_to))

        def work(client: ClientTerminal) -> tuple[TradeDeal, ...]:
            history = client.terminal.server.history
            found = query.choose(
                client,
                history.deals,
                lambda deal: deal.at_ns,
                history.of_order,
                history.of_position,
            )
            rules = client.terminal.rules
            return tuple(tell_deal(deal, rules) for deal in found if client.sees(deal))

        return self._ask_past("history_deals_get", query, work)

    def _ask_past(self, name: str, query: _Query, work: Callable[[ClientTerminal], T]) -> T | None:
        """Ask about the past; a question without a period and a number is refused."""
        if query.ticket is None and query.position is None and query.span is None:
            self._refuse_arguments()
            return None
        return self._ask(name, work)


@dataclass(frozen=True, slots=True)
class _Query:
    """Which of the account's past is asked for: a ticket, else a position, else a period."""

    group: str | None
    ticket: int | None
    position: int | None
    span: tuple[int, int] | None

    def choose(
        self,
        client: ClientTerminal,
        rows: Iterable[R],
        at_ns: Callable[[R], int],
        of_ticket: Callable[[int], Iterable[R]],
        of_position: Callable[[int], Iterable[R]],
    ) -> Iterable[R]:
        """Return the rows asked for, oldest first."""
        if self.ticket is not None:
            rows = of_ticket(self.ticket)
        elif self.position is not None:
            rows = of_position(self.position)
        elif self.span is not None:
            rows = _within(rows, self.span, client, at_ns)
        group = self.group
        return (row for row in rows if group is None or matches_group(row.symbol, group))


def _are_filters(filters: dict[str, object]) -> bool:
    """Tell whether keywords are those the package takes, with values of their type."""
    for name, value in filters.items():
        if name not in _FILTERS:
            return False
        if value is None:
            continue
        is_ticket = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        fits = is_ticket if name == "ticket" else name == "group" or text_fits(value)
        if not fits:
            return False
    return True


def _passes(symbol: str, ticket: int, filters: dict[str, object]) -> bool:
    """Tell whether the strongest of the filters lets something through."""
    if filters.get("ticket") is not None:
        return ticket == filters["ticket"]
    if filters.get("symbol") is not None:
        return symbol == filters["symbol"]
    group = filters.get("group")
    return not isinstance(group, str) or matches_group(symbol, group)


def _span(date_from: object, date_to: object) -> tuple[int, int] | None:
    """Return two dates in seconds of the server's clock; None if one is missing."""
    first, last = parse_date(date_from), parse_date(date_to)
    return None if first is None or last is None else (first, last)


def _within(
    rows: Iterable[R], span: tuple[int, int], client: ClientTerminal, at_ns: Callable[[R], int]
) -> Iterable[R]:
    """Return what happened between two seconds of the server's clock, both included."""
    zone = client.terminal.rules.zone
    first_ns, end_ns = (zone.to_utc_ns(second * _SECOND_NS) for second in (span[0], span[1] + 1))
    return (row for row in rows if first_ns <= at_ns(row) < end_ns)
