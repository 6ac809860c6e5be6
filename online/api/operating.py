"""Operations of a running scorer: one at a time with its trades, counted and logged."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Protocol

from online.api.metrics import Meters
from online.api.order_messages import DistanceUnit, TrailRequest
from online.domain.conversion import conversion_symbols, read_rates
from online.domain.errors import InvalidInput, SextantError, Unavailable
from online.domain.limits import Limits
from online.domain.operation import Modify, Sight
from online.domain.order import OrderReply, OrderStatus
from online.domain.orders import Order
from online.domain.profit import ProfitStatement, state_profit
from online.domain.record import TrailRecord
from online.domain.trailing import TrailingRule
from online.operate import Carried, Closing, Floor, Wish, close_all, operate
from online.ports import FeatureReader, Model, keep_finite
from online.resolve import Statement, resolve_by_hand
from online.trail import move_stops, put_under_trail

TRAIL_EVERY_SECONDS = 1.0
"""How often trailed stops are compared with the market while the clock runs by itself."""
logger = logging.getLogger(__name__)


class Room(Floor, Protocol):
    """What operations need of a scorer's parts."""

    @property
    def features(self) -> FeatureReader:
        """The online store."""

    @property
    def currency(self) -> str:
        """Of the account."""

    @property
    def limits(self) -> Limits:
        """In force."""


class Operating:
    """Carries out what operators and trailing rules want.

    Parameters
    ----------
    parts
        Of the scorer.
    meters
        Counts what was done.
    turn
        Held by whoever trades.
    resolve
        Looks for the fate of orders left unresolved.
    model
        Returns the model that trades, or raises `NoModel`.
    """

    def __init__(
        self,
        parts: Room,
        meters: Meters,
        turn: asyncio.Lock,
        resolve: Callable[[], Awaitable[None]],
        model: Callable[[], Model],
    ) -> None:
        self.parts = parts
        self.meters = meters
        self._turn = turn
        self._resolve = resolve
        self._model = model

    async def operate(self, wish: Wish) -> OrderReply:
        """Carry out an operation, once; errors as `online.operate.operate`."""
        async with self._turn:
            await self._resolve()
            reply = await operate(wish, self.parts)
        self.meters.count_operation(wish.operation, reply)
        return reply

    async def close_all(self, client_id: str, symbol: str, by: str, note: str) -> Closing:
        """Cancel and close all that is this journal's; errors as `online.operate.close_all`."""
        async with self._turn:
            await self._resolve()
            done = await close_all(client_id, symbol, by, note, self.parts)
        for each in done.operations:
            if each.reply is not None:
                self.meters.count_operation(each.operation, each.reply)
        return done

    async def put_under_trail(self, asked: TrailRequest, by: str) -> None:
        """Put a position under a trailing rule, or end that; errors as `online.trail`."""
        now_ns, book = self.parts.clock.now_ns, self.parts.book
        async with self._turn:
            if asked.distance is None:
                known = book.trails.get(asked.position)
                symbol = "" if known is None else known.symbol
                record = TrailRecord(now_ns(), asked.position, symbol, None, by, asked.note)
            else:
                seen, _ = keep_finite(await self.parts.broker.observe("", book.last_deal))
                held = Sight(seen.positions, seen.orders, None).position(asked.position)
                in_price = asked.unit is DistanceUnit.PRICE
                unit = None if in_price else await self._volatility_unit(held.symbol)
                scale = 1.0 if unit is None else unit
                rule = TrailingRule(asked.distance * scale, asked.step * scale)
                record = TrailRecord(now_ns(), held.ticket, held.symbol, rule, by, asked.note, unit)
            await put_under_trail(record, self.parts)
            await self.move_stops_now()

    async def move_stops(self) -> None:
        """Move the stops of trailed positions that the market has left behind."""
        if self.parts.book.trails:
            async with self._turn:
                await self._resolve()
                await self.move_stops_now()

    async def resolve_by_hand(self, statement: Statement) -> Order:
        """Write down what an operator states; errors as `online.resolve.resolve_by_hand`."""
        async with self._turn:
            return await resolve_by_hand(statement, self.parts)

    async def state_profit(self) -> ProfitStatement:
        """Return what was earned and is open, at the broker's prices and beside its word.

        Raises
        ------
        Unavailable
            If the broker does not answer.
        """
        parts, book = self.parts, self.parts.book
        traded = sorted({held.symbol for held in book.profits.open.values()})
        known = [parts.instruments[name] for name in traded if name in parts.instruments]
        pairs = conversion_symbols(known, parts.currency, parts.instruments)
        asked = tuple(sorted({*traded, *pairs}))
        seen, _ = keep_finite(await parts.broker.observe("", book.last_deal, asked))
        max_age = parts.limits.max_rate_age_milliseconds
        now_ns = parts.clock.now_ns()
        return state_profit(
            book.profits,
            seen.account,
            seen.positions,
            {quote.symbol: quote for quote in seen.rates},
            parts.instruments,
            read_rates(seen.rates, parts.instruments, max_age, now_ns),
            parts.currency,
        )

    async def keep_moving_stops(self) -> None:
        """Move trailed stops for ever."""
        while True:
            await asyncio.sleep(TRAIL_EVERY_SECONDS)
            try:
                await self.move_stops()
            except SextantError as error:
                logger.warning("trailed stops wait: %s", error)
            except Exception:  # the edge of a task nobody awaits: stops must go on moving
                logger.exception("trailed stops wait")

    async def move_stops_now(self) -> None:
        """As `move_stops`, for who trades already; what cannot be moved now is tried again."""
        parts = self.parts
        if not parts.book.trails:
            return
        for each in await move_stops(parts, parts.limits):
            if each.reply is not None:
                self.meters.count_operation(each.operation, each.reply)
                self._warn_of_pause(each, each.reply)
            elif each.refusal is not None:
                logger.warning("a stop was not moved: %s", each.refusal.detail)

    def _warn_of_pause(self, moved: Carried, reply: OrderReply) -> None:
        """Tell that a stop was not taken, and how long it is left alone."""
        if not isinstance(moved.operation, Modify) or reply.status is OrderStatus.DONE:
            return
        record = self.parts.book.trails.get(moved.operation.position)
        if record is not None:
            logger.warning(
                "the stop of position %d was not moved: %s %d %s; asked again in %d s",
                record.position,
                reply.status,
                reply.retcode,
                reply.comment,
                self.parts.book.pauses.seconds(record),
            )

    async def _volatility_unit(self, symbol: str) -> float:
        """Return the price of one unit of the model's volatility, as the online store has it."""
        manifest = self._model().manifest
        if manifest.symbol != symbol:
            raise InvalidInput(
                f"the model measures {manifest.symbol}, the position is of {symbol}: state the "
                "distance in price",
                code="NO_UNIT",
            )
        reading = await self.parts.features.read(manifest.symbol, manifest.vector)
        unit = reading.values[manifest.vector.index(manifest.barriers.unit_feature)]
        if unit is None or not 0.0 < unit < math.inf:
            raise Unavailable(
                f"{manifest.barriers.unit_feature} is {unit}: state the distance in price",
                code="FEATURES_UNAVAILABLE",
            )
        return unit
