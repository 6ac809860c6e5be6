"""The gate: what the gateway lets through to the terminal, whoever asks.

The scorer has its own limits. These are the ones that must hold where the scorer cannot: its link
is down, the terminal is not connected, the server said no. Closing, cancelling and moving exits is
let through whenever it can be, one close of a position at a time, whoever asks for it; entries only
while nothing speaks against them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from online.domain.order import Intent, OrderReply, Purpose
from online.domain.trading_state import TradingState
from online.gateway.inbox import Inbox
from online.gateway.market_desk import Health
from online.simulator import constants as mt5

MAX_FUTURE_SECONDS = 5.0
"""A tick further ahead of this host's clock shows that the server's zone or a clock is wrong."""
_EVERY_SYMBOL = ""
_PAUSES_SECONDS = {
    mt5.TRADE_RETCODE_MARKET_CLOSED: 60.0,
    mt5.TRADE_RETCODE_TRADE_DISABLED: 60.0,
    mt5.TRADE_RETCODE_CLOSE_ONLY: 60.0,
}
"""The server refuses the symbol: its entries wait."""
_WIDE_PAUSES_SECONDS = {
    mt5.TRADE_RETCODE_NO_MONEY: 300.0,
    mt5.TRADE_RETCODE_TOO_MANY_REQUESTS: 2.0,
    mt5.TRADE_RETCODE_SERVER_DISABLES_AT: 60.0,
    mt5.TRADE_RETCODE_CLIENT_DISABLES_AT: 30.0,
    mt5.TRADE_RETCODE_CONNECTION: 5.0,
}
"""The server refuses the account: all entries wait."""


class Gate:
    """Judges orders before they are accepted.

    Parameters
    ----------
    inbox
        Keeps the trading state over restarts.
    now_seconds
        Monotonic, for pauses.
    """

    def __init__(self, inbox: Inbox, now_seconds: Callable[[], float] = time.monotonic) -> None:
        self._inbox = inbox
        self._now_seconds = now_seconds
        self._pauses: dict[str, tuple[float, str]] = {}
        self.health: Health | None = None
        self.state = TradingState(inbox.fact("state") or TradingState.ACTIVE)
        self.reason = inbox.fact("reason")
        self._is_kept = True

    def refusal(self, intent: Intent) -> str:
        """Return why an order is not let through; empty if it is."""
        if intent.purpose is not Purpose.ENTRY:
            return self._closing(intent) if intent.purpose is Purpose.CLOSE else ""
        if self.state is not TradingState.ACTIVE:
            return f"the gateway is {self.state}: {self.reason}"
        return self._ill_health() or self._pause(intent.symbol)

    def learn(self, intent: Intent, reply: OrderReply) -> None:
        """Take notice of the server's answer: some mean that entries must wait."""
        code = reply.retcode
        narrow, wide = _PAUSES_SECONDS.get(code), _WIDE_PAUSES_SECONDS.get(code)
        seconds = narrow if narrow is not None else wide
        if seconds is None:
            return
        why = f"entries wait {seconds:.0f} s after return code {code}: {reply.comment}"
        place = intent.symbol if narrow is not None else _EVERY_SYMBOL
        self._pauses[place] = (self._now_seconds() + seconds, why)

    def tighten(self, state: TradingState, reason: str) -> bool:
        """Move to a stricter state and keep it; tell whether that was a change.

        What could not be kept before is kept now, too.

        Raises
        ------
        Unavailable
            If it cannot be made durable; it holds in this process all the same.
        """
        is_change = state.is_stricter_than(self.state)
        if is_change:
            self.state, self.reason, self._is_kept = state, reason, False
        if not self._is_kept:
            self._keep(self.state, self.reason)
        return is_change

    def scorer_is_back(self) -> None:
        """End what lasts only while the scorer is away."""
        if self.state is TradingState.REDUCING:
            self._loosen()

    def resume(self) -> None:
        """Let entries through again.

        Raises
        ------
        Unavailable
            If it cannot be made durable; then it is not in force.
        """
        self._loosen()
        self._pauses.clear()

    def _closing(self, intent: Intent) -> str:
        """Return which close of the same position has no known fate; empty if none."""
        for entry in self._inbox.unresolved():
            other = entry.intent
            same = other.position == intent.position and other.trades
            if same and other.intent_id != intent.intent_id:
                return f"{other.intent_id} is closing position {intent.position}"
        return ""

    def _ill_health(self) -> str:
        if self.health is None:
            return "the terminal has not been looked at yet"
        if not self.health.connected:
            return "the terminal is not connected to its trade server"
        if not self.health.trade_allowed:
            return "automated trading is off in the terminal or for the account"
        age_seconds = self.health.quote_age_seconds
        if age_seconds is not None and age_seconds < -MAX_FUTURE_SECONDS:
            return f"ticks come {-age_seconds:.0f} s from the future: server_time is wrong"
        return ""

    def _pause(self, symbol: str) -> str:
        for place in (_EVERY_SYMBOL, symbol):
            until, why = self._pauses.get(place, (0.0, ""))
            if self._now_seconds() < until:
                return why
        return ""

    def _loosen(self) -> None:
        self._keep(TradingState.ACTIVE, "")
        self.state, self.reason = TradingState.ACTIVE, ""

    def _keep(self, state: TradingState, reason: str) -> None:
        self._inbox.write_facts({"state": state, "reason": reason})
        self._is_kept = True
