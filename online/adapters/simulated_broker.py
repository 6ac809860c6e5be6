"""The simulated terminal as a broker: the port's words for the terminal's.

Requests are built, answers judged and fates weighed by the code that does it beside the real
terminal (`online.gateway`); here nothing stands between it and the trade server.
"""

from __future__ import annotations

from online.domain.account import AccountIdentity, RestingOrder
from online.domain.errors import InvalidInput
from online.domain.order import Intent, OrderReply, OrderStatus
from online.domain.reconciliation import Statement
from online.gateway.evidence import Known, Rows, weigh
from online.gateway.order_desk import not_sent
from online.gateway.outcome import judge_answer
from online.gateway.request import OrderRules, build_request
from online.gateway.translation import Translation
from online.ports import Clock, Observation
from online.simulator.info_tuples import SymbolInfo
from online.simulator.markets import Market
from online.simulator.terminal import SimulatedTerminal
from online.simulator.told import tell_deal, tell_order, tell_position
from online.simulator.trade_tuples import OrderSendResult, TradeOrder, TradeRequest

_ACCEPTED, _DONE = OrderStatus.ACCEPTED, OrderStatus.DONE

_RULES = OrderRules(deviation_points=0)
_NO_ERROR = (1, "Success")


class SimulatedBroker:
    """Broker whose terminal is in the same process; it never waits.

    Parameters
    ----------
    terminal
        Driven by whoever feeds it the market.
    clock
        The host's, which is the broker's as well; where none is given, time is what the market
        says.
    """

    def __init__(self, terminal: SimulatedTerminal, clock: Clock | None = None) -> None:
        self._terminal = terminal
        self._clock = clock
        self._translation = Translation({}, terminal.rules.zone)
        self._symbols = {name: _describe(market) for name, market in terminal.markets.items()}

    async def observe(
        self, symbol: str, after_deal: int, pairs: tuple[str, ...] = ()
    ) -> Observation:
        """Return what rests, is held and was filled, and the quotes of symbol and pairs."""
        terminal, clock = self._terminal, self._clock
        market, server = terminal.markets.get(symbol), terminal.server
        return Observation(
            None if market is None else market.as_told(),
            server.ledger.as_told(),
            server.book.as_told(),
            server.history.trades_after(after_deal),
            self._resting() if server.pending.resting else (),
            terminal.now_ns if clock is None else clock.now_ns(),
            tuple(q for q in map(terminal.quote, pairs) if q is not None) if pairs else (),
        )

    async def statement(self, since_ns: int) -> Statement:
        """Return the whole account, with the deals since an instant."""
        terminal = self._terminal
        history = terminal.server.history
        return Statement(
            terminal.account(),
            terminal.positions(),
            self._resting(),
            history.trades_since(since_ns),
            history.money,
        )

    async def identify(self) -> AccountIdentity:
        """Return the account: it begins and ends with this object."""
        return AccountIdentity("simulated", lasting=False, real=False)

    async def send(self, intent: Intent) -> OrderReply:
        """Send an order, a change or a cancel, once, and return what came back."""
        symbol = self._symbols.get(intent.symbol)
        if symbol is None:
            return not_sent(f"no prices of {intent.symbol}")
        until_ns = intent.rests_until_ns
        ends_at = self._translation.to_server_seconds(until_ns) if until_ns else 0
        try:
            request = build_request(intent, symbol, intent.quoted, _RULES, ends_at)
        except InvalidInput as error:
            return not_sent(str(error))
        answer = self._terminal.execute(TradeRequest(**request))  # type: ignore[arg-type]  # its fields
        return self._reply(intent, answer)

    async def find(self, intent: Intent) -> OrderReply | None:
        """Return the fate of an order sent earlier; None without evidence."""
        server, rules = self._terminal.server, self._terminal.rules
        deals = [tell_deal(deal, rules) for deal in server.history.of_magic(intent.magic)]
        finished = [
            tell_order(order, self._terminal.markets[order.symbol], rules)
            for order in server.history.orders.values()
            if intent.magic == order.magic or order.ticket == intent.order
        ]
        positions = [
            tell_position(held, self._terminal.markets[held.symbol], server.ledger)
            for held in server.book.open.values()
        ]
        rows = Rows(deals, finished, self._resting_rows(), positions)
        reply, _ = weigh(intent, intent.symbol, rows, Known())
        return reply

    def _reply(self, intent: Intent, result: OrderSendResult) -> OrderReply:
        outcome, deals = (
            judge_answer(result, _NO_ERROR, intent),
            self._terminal.server.history.deals,
        )
        position = deals[result.deal - 1].position if result.deal else intent.position
        is_taken = outcome.status in {_ACCEPTED, _DONE}
        return OrderReply(
            status=outcome.status,
            retcode=result.retcode,
            order=result.order or intent.order,
            deal=result.deal,
            position=position,
            price=0.0 if is_taken else result.price,
            volume_lots=0.0 if is_taken else result.volume,
            comment=result.comment,
        )

    def _resting(self) -> tuple[RestingOrder, ...]:
        return tuple(self._translation.order(row) for row in self._resting_rows())

    def _resting_rows(self) -> list[TradeOrder]:
        terminal = self._terminal
        return [
            tell_order(order, terminal.markets[order.symbol], terminal.rules)
            for order in terminal.server.pending.resting.values()
        ]


def _describe(market: Market) -> SymbolInfo:
    """Return what a request must know of a symbol."""
    instrument = market.instrument
    return SymbolInfo(
        name=instrument.symbol,
        digits=instrument.digits,
        point=instrument.point,
        trade_tick_size=instrument.point,
        volume_step=instrument.volume_step,
        filling_mode=market.rules.filling_modes,
        trade_exemode=market.rules.execution,
    )
