"""Compare a recorded session with the simulated terminal: the same requests at the same prices.

The simulator is set up as the session's own `symbol_info` and `account_info` say, hears its ticks
and gets its requests. Return codes must be equal, prices within one point, money within a cent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from online.domain.errors import InvalidInput
from online.domain.market import Instrument, Quote
from online.gateway.recording import RecordedCall
from online.simulator import constants as mt5
from online.simulator.client import ClientTerminal
from online.simulator.metatrader5 import SimulatedMetaTrader5
from online.simulator.rules import AccountRules, TradingRules
from online.simulator.terminal import SimulatedTerminal
from online.simulator.trade_tuples import TradeDeal

_MILLISECOND_NS = 1_000_000
_CENT = 0.01
_SLACK = 1e-9
_FILLED = frozenset({mt5.TRADE_RETCODE_DONE, mt5.TRADE_RETCODE_DONE_PARTIAL})
Row = dict[str, Any]


class Difference(msgspec.Struct, frozen=True):
    """Where session and simulator part.

    Parameters
    ----------
    request
        Number of the order request in the session, from 1.
    field
        What differs.
    recorded, simulated
        Its two values, as text.
    """

    request: int
    field: str
    recorded: str
    simulated: str


class Comparison(msgspec.Struct, frozen=True):
    """What a comparison found.

    Parameters
    ----------
    requests, deals
        How many were compared.
    differences
        In the session's order; none means faithful.
    """

    requests: int
    deals: int
    differences: tuple[Difference, ...]


def compare(session: Iterable[RecordedCall]) -> Comparison:
    """Send a session's requests to the simulator and compare the answers.

    Raises
    ------
    InvalidInput
        If the session has no request, or does not tell symbol and account before one.
    """
    calls = list(session)
    stage = _Stage(calls)
    for call in calls:
        if call.value is None and call.call != "order_send":
            continue
        if call.call == "symbol_info_tick":
            stage.hear(call)
        elif call.call == "order_send":
            stage.send(call)
        elif call.call == "history_deals_get" and "ticket" in call.options:
            stage.look_up(call)
    if not stage.requests:
        raise InvalidInput("the session holds no order_send: there is nothing to compare")
    return Comparison(stage.requests, stage.deals, tuple(stage.differences))


class _Stage:
    """A simulated terminal in the session's place."""

    def __init__(self, calls: list[RecordedCall]) -> None:
        symbols = {c.value["name"]: c.value for c in calls if c.call == "symbol_info" and c.value}
        account = next((c.value for c in calls if c.call == "account_info" and c.value), None)
        if not symbols or account is None:
            raise InvalidInput("the session must tell account_info and symbol_info")
        rules = AccountRules(
            currency=account["currency"],
            currency_digits=account["currency_digits"],
            leverage=float(account["leverage"]),
            commission_per_lot=_commission(calls),
            hedging=account["margin_mode"] == mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING,
        )
        broker = SimulatedTerminal(
            [_instrument(row) for row in symbols.values()],
            balance=account["balance"],
            rules=rules,
            trading={name: _trading(row) for name, row in symbols.items()},
        )
        self._client = ClientTerminal(broker)
        self._package = SimulatedMetaTrader5(self._client)
        self._package.initialize()
        self._points = {name: row["point"] for name, row in symbols.items()}
        self._tickets: dict[int, int] = {}
        self.requests = self.deals = 0
        self.differences: list[Difference] = []

    def hear(self, call: RecordedCall) -> None:
        """Let the market be where the session saw it."""
        symbol, tick = call.arguments[0], call.value
        at_ns = max(tick["time_msc"] * _MILLISECOND_NS, self._client.terminal.now_ns)
        if tick["bid"] and tick["ask"]:
            self._client.terminal.on_quote(Quote(symbol, tick["bid"], tick["ask"], at_ns))

    def send(self, call: RecordedCall) -> None:
        """Send a request again, its tickets translated, and compare the answers."""
        self.requests += 1
        request = dict(call.arguments[0])
        for name in ("position", "order", "position_by"):
            if request.get(name):
                request[name] = self._tickets.get(request[name], request[name])
        result = self._package.order_send(request)
        if call.value is None or result is None:
            code = self._package.last_error()[0]
            self._expect("last_error", call.error[0], 1 if result is not None else code)
            return
        recorded = call.value
        self._expect("retcode", recorded["retcode"], result.retcode)
        if recorded["order"] and result.order:
            self._tickets[recorded["order"]] = result.order
        if recorded["retcode"] in _FILLED and result.retcode in _FILLED:
            self._expect_near("volume", recorded["volume"], result.volume, _SLACK)
            if recorded["price"] and result.price:
                point = self._points[request["symbol"]]
                self._expect_near("price", recorded["price"], result.price, point + _SLACK)

    def look_up(self, call: RecordedCall) -> None:
        """Compare the deals of an order."""
        order = self._tickets.get(call.options["ticket"])
        if order is None or not call.value:
            return
        simulated = self._package.history_deals_get(ticket=order) or ()
        self._expect("deals", len(call.value), len(simulated))
        for recorded, deal in zip(call.value, simulated, strict=False):
            self.deals += 1
            self._compare_deal(recorded, deal)

    def _compare_deal(self, recorded: Row, deal: TradeDeal) -> None:
        for name in ("type", "entry", "reason", "magic", "comment", "symbol"):
            self._expect(f"deal.{name}", recorded[name], getattr(deal, name))
        point = self._points[deal.symbol]
        self._expect_near("deal.price", recorded["price"], deal.price, point + _SLACK)
        self._expect_near("deal.volume", recorded["volume"], deal.volume, _SLACK)
        for name in ("profit", "commission", "swap"):
            near = _CENT + _SLACK
            self._expect_near(f"deal.{name}", recorded[name], getattr(deal, name), near)

    def _expect(self, field: str, recorded: object, simulated: object) -> None:
        if recorded != simulated:
            difference = Difference(self.requests, field, str(recorded), str(simulated))
            self.differences.append(difference)

    def _expect_near(self, field: str, recorded: float, simulated: float, near: float) -> None:
        if abs(recorded - simulated) > near:
            self._expect(field, recorded, simulated)


def _instrument(row: Row) -> Instrument:
    return Instrument(
        symbol=row["name"],
        base_currency=row["currency_base"],
        profit_currency=row["currency_profit"],
        digits=row["digits"],
        contract_size=row["trade_contract_size"],
        volume_min=row["volume_min"],
        volume_max=row["volume_max"],
        volume_step=row["volume_step"],
        stops_level_points=row["trade_stops_level"],
    )


def _trading(row: Row) -> TradingRules:
    return TradingRules(
        execution=row["trade_exemode"],
        filling_modes=row["filling_mode"],
        order_modes=row["order_mode"],
        expiration_modes=row["expiration_mode"],
        trade_mode=row["trade_mode"],
        freeze_level_points=row["trade_freeze_level"],
        volume_limit_lots=row["volume_limit"],
    )


def _commission(calls: list[RecordedCall]) -> float:
    """Return the commission a lot that the session's first deal paid: no call tells the rate."""
    for call in calls:
        if call.call == "history_deals_get" and "ticket" in call.options:
            for deal in call.value or ():
                return float(round(-deal["commission"] / deal["volume"], 2))
    return 0.0
