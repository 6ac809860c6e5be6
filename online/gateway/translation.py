"""The terminal's rows in the words of the domain: server time to UTC, broker's names to ours."""

from __future__ import annotations

from collections.abc import Mapping

from online.domain.account import Account, Deal, Position, RestingOrder
from online.domain.market import NANOSECONDS_PER_SECOND, Quote, Side
from online.simulator import constants as mt5
from online.simulator.info_tuples import AccountInfo, Tick
from online.simulator.server_time import ServerTime
from online.simulator.trade_tuples import TradeDeal, TradeOrder, TradePosition

_MILLISECOND_NS = 1_000_000
_REASONS = {
    mt5.DEAL_REASON_EXPERT: "expert",
    mt5.DEAL_REASON_SL: "stop",
    mt5.DEAL_REASON_TP: "target",
    mt5.DEAL_REASON_SO: "stop_out",
}
_BY_HAND = "client"
_KINDS = ("market", "limit", "stop", "stop_limit")
"""Of order types 0 and 1, 2 and 3, and so on; the even ones buy."""
CLOSING = frozenset({mt5.DEAL_ENTRY_OUT, mt5.DEAL_ENTRY_OUT_BY})


class Translation:
    """Names and times of one broker.

    Parameters
    ----------
    symbols
        The broker's name of each of our symbols; others keep theirs.
    server_time
        The server's clock. The terminal stamps with the server's wall clock as if it were an
        epoch.
    """

    def __init__(self, symbols: Mapping[str, str], server_time: ServerTime) -> None:
        self._theirs = dict(symbols)
        self._ours = {theirs: ours for ours, theirs in symbols.items()}
        self._server_time = server_time

    def to_broker(self, symbol: str) -> str:
        """Return the broker's name of a symbol."""
        return self._theirs.get(symbol, symbol)

    def to_ours(self, symbol: str) -> str:
        """Return our name of the broker's symbol."""
        return self._ours.get(symbol, symbol)

    def to_utc_ns(self, server_milliseconds: int) -> int:
        """Return nanoseconds UTC of a stamp in the server's time."""
        return self._server_time.to_utc_ns(server_milliseconds * _MILLISECOND_NS)

    def to_server_seconds(self, utc_ns: int) -> int:
        """Return seconds of server time of an instant."""
        return self._server_time.to_server_ns(utc_ns) // NANOSECONDS_PER_SECOND

    def quote(self, symbol: str, tick: Tick) -> Quote | None:
        """Return a tick as a quote; None where the symbol has no prices yet."""
        if not (tick.time_msc and tick.bid and tick.ask):
            return None
        return Quote(symbol, tick.bid, tick.ask, self.to_utc_ns(tick.time_msc))

    def position(self, row: TradePosition) -> Position:
        """Return an open position."""
        return Position(
            ticket=row.ticket,
            magic=row.magic,
            symbol=self.to_ours(row.symbol),
            side=Side.SELL if row.type == mt5.POSITION_TYPE_SELL else Side.BUY,
            volume_lots=row.volume,
            opened_price=row.price_open,
            opened_at_ns=self.to_utc_ns(row.time_msc),
            stop=row.sl,
            target=row.tp,
            identifier=row.identifier,
            swap=row.swap,
        )

    def order(self, row: TradeOrder) -> RestingOrder:
        """Return an order that rests."""
        return RestingOrder(
            ticket=row.ticket,
            magic=row.magic,
            symbol=self.to_ours(row.symbol),
            side=Side.SELL if row.type % 2 else Side.BUY,
            kind=_KINDS[row.type // 2] if row.type // 2 < len(_KINDS) else "market",
            volume_lots=row.volume_current,
            price=row.price_open,
            stop=row.sl,
            target=row.tp,
            comment=row.comment,
        )

    def deal(self, row: TradeDeal) -> Deal:
        """Return a fill."""
        return Deal(
            ticket=row.ticket,
            order=row.order,
            position=row.position_id,
            magic=row.magic,
            symbol=self.to_ours(row.symbol),
            side=Side.SELL if row.type == mt5.DEAL_TYPE_SELL else Side.BUY,
            entry=row.entry not in CLOSING,
            reason=_REASONS.get(row.reason, _BY_HAND),
            volume_lots=row.volume,
            price=row.price,
            at_ns=self.to_utc_ns(row.time_msc),
            profit=row.profit,
            commission=row.commission + row.fee,
            swap=row.swap,
        )


def to_account(row: AccountInfo) -> Account:
    """Return the account's money."""
    return Account(row.currency, row.balance, row.equity, row.margin, float(row.leverage))
