"""Stress: a backtest again under other choices, other luck and other candles, by the same code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec
import numpy as np

from feature_repo.panel import Panel
from models.swap import Swap
from online.domain.errors import SextantError
from online.domain.limits import Limits
from online.domain.market import Instrument, Side
from online.domain.news import NO_NEWS, NewsCalendar
from online.domain.slippage import slip
from online.instruments import charge
from online.ports import Model
from pipelines.lanes import lane_of, n_decisions, with_model, with_wider_spread
from pipelines.market import Market
from pipelines.performance import Performance
from pipelines.resampling import OrderLuck, redraw_candles, shuffle_trades
from pipelines.simulation import AccountTerms, Backtest, Lane, simulate_portfolio
from pipelines.variants import CoinModel, Variant, with_barriers, with_min_edge

SEED: Final = 7
MOST_RUNS, MOST_DECISIONS = 20, 150_000
"""A kind of luck gets at most so many runs, and so many decisions over all of them."""


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """All that a run needs besides its lanes, as `simulate_portfolio` takes it."""

    limits: Limits
    terms: AccountTerms
    instruments: Mapping[str, Instrument]
    quoted: tuple[Market, ...] = ()
    news: NewsCalendar = NO_NEWS
    charged: Mapping[str, Instrument] | None = None

    def run(self, lanes: Sequence[Lane], progress: Callable[[int], None] | None = None) -> Backtest:
        """Trade the lanes."""
        return simulate_portfolio(
            lanes,
            self.limits,
            self.terms,
            self.instruments,
            progress,
            quoted=self.quoted,
            news=self.news,
            charged=self.charged,
        )

    def charging(self, change: Callable[[Instrument], Instrument]) -> World:
        """Return the world of a broker that charges otherwise than entries are sized by."""
        declared = charge(self.instruments, self.terms.commission_per_lot)
        return replace(self, charged={name: change(each) for name, each in declared.items()})


@dataclass(frozen=True, slots=True)
class Varied:
    """A run under one other choice."""

    name: str
    performance: Performance


@dataclass(frozen=True, slots=True)
class Luck:
    """Runs that differ by a seed alone, worst first; none where they could not be made.

    Parameters
    ----------
    runs
        Their figures.
    left_out
        Why there are none; empty where there are some.
    """

    runs: tuple[Performance, ...]
    left_out: str = ""

    def quantile(self, share: float) -> float:
        """Return the net profit that `share` of the runs stay below, account currency."""
        return float(np.quantile([run.pnl_net for run in self.runs], share))

    @property
    def middle(self) -> Performance:
        """The run in the middle."""
        return self.runs[len(self.runs) // 2]


@dataclass(frozen=True, slots=True)
class Stress:
    """What was found.

    Parameters
    ----------
    sensitivity
        The model under other choices.
    coins
        Coins that enter as often as the model.
    candles
        The model on candles drawn anew.
    order
        Other orders of its trades.
    hold
        The first price bought and held, unlevered, in equal shares of all symbols.
    """

    sensitivity: tuple[Varied, ...]
    coins: Luck
    candles: Luck
    order: OrderLuck | None
    hold: Performance


def stress(lanes: list[Lane], panels: list[Panel], world: World, found: Performance) -> Stress:
    """Run everything; see `Stress`.

    Parameters
    ----------
    lanes
        As they were run.
    panels
        The whole series of each lane, for features of redrawn candles.
    world
        Limits, account and instruments.
    found
        Figures of the run itself.
    """
    n_runs = max(1, min(MOST_RUNS, MOST_DECISIONS // max(n_decisions(lanes), 1)))
    return Stress(
        sensitivity=vary(lanes, world),
        coins=toss(lanes, world, found, n_runs),
        candles=redraw(lanes, panels, world, n_runs),
        order=shuffle_trades(found, SEED),
        hold=hold(lanes, world.terms),
    )


def vary(lanes: list[Lane], world: World) -> tuple[Varied, ...]:
    """Return the run under one other choice each."""

    def models(change: Callable[[Model, float], Variant], factor: float) -> Performance:
        changed = [with_model(lane, change(lane.model, factor)) for lane in lanes]
        return world.run(changed).performance

    def risk(factor: float) -> Performance:
        fraction = min(world.limits.risk_per_trade_fraction * factor, 0.1)
        limits = msgspec.structs.replace(world.limits, risk_per_trade_fraction=fraction)
        other = replace(world, limits=limits)
        return other.run(lanes).performance

    wider = [with_wider_spread(lane, 2.0) for lane in lanes]
    rows = [
        Varied(f"{name} x {factor:g}", models(change, factor))
        for name, change, factors in (
            ("least edge", with_min_edge, (0.5, 1.5)),
            ("stop and target", with_barriers, (0.75, 1.25)),
        )
        for factor in factors
    ]
    rows += [Varied(f"risk a trade x {factor:g}", risk(factor)) for factor in (0.5, 2.0)]
    rows.append(Varied("slippage x 2", world.charging(_slippier).run(lanes).performance))
    rows.append(Varied("all costs x 2", world.charging(_dearer).run(wider).performance))
    return tuple(rows)


def _dearer(instrument: Instrument) -> Instrument:
    """Return an instrument whose commission, swaps and slippage cost twice as much."""
    own, long, short = (
        *(instrument.commission_per_lot, instrument.swap_long_points),
        instrument.swap_short_points,
    )
    return replace(
        _slippier(instrument),
        commission_per_lot=None if own is None else 2.0 * own,
        swap_long_points=None if long is None else 2.0 * min(long, 0.0),
        swap_short_points=None if short is None else 2.0 * min(short, 0.0),
    )


def _slippier(instrument: Instrument) -> Instrument:
    """Return an instrument that slips twice as far."""
    return instrument.slipping(2 * instrument.slipped_points)


def toss(lanes: list[Lane], world: World, found: Performance, n_runs: int) -> Luck:
    """Return coins that enter as often as the model did while it had no position."""
    entries = found.actions["buy"] + found.actions["sell"]
    free = found.decisions - sum(_bars_held(lanes, found))
    often = min(1.0, entries / free) if free > 0 else 0.0
    runs = [
        world.run(
            [
                with_model(lane, CoinModel(lane.model.manifest, often, 1_000 * number + place))
                for place, lane in enumerate(lanes)
            ]
        ).performance
        for number in range(n_runs)
    ]
    return Luck(tuple(sorted(runs, key=lambda run: run.pnl_net)))


def redraw(lanes: list[Lane], panels: list[Panel], world: World, n_runs: int) -> Luck:
    """Return runs on candles drawn anew; features are computed from them as from any bars."""
    if any(panel.others for panel in panels):
        return Luck((), "Candles are not drawn anew: the features see other symbols' bars too.")
    runs = []
    try:
        for number in range(n_runs):
            drawn = []
            for place, (lane, panel) in enumerate(zip(lanes, panels, strict=True)):
                seed = SEED + 1_000 * number + place
                bars, market = redraw_candles(panel.own, lane.market, seed)
                known = Panel(panel.symbol, panel.timeframe, bars)
                drawn.append(lane_of(known, market, lane.model))
            runs.append(world.run(drawn).performance)
    except SextantError as error:
        return Luck((), f"Candles could not be drawn anew: {error}")
    return Luck(tuple(sorted(runs, key=lambda run: run.pnl_net)))


def hold(lanes: Sequence[Lane], terms: AccountTerms) -> Performance:
    """Return the balance in equal shares bought at each first ask, valued at the bids.

    Both slip, as orders at the market do.
    """
    share = terms.balance / len(lanes)
    changes: list[tuple[int, float]] = []
    for lane in lanes:
        bars, cost = lane.market.quotes, _commission(lane, share, terms)
        known = lane.market.instrument
        slipped = (known.slipped_points, known.scale)
        bought = slip(bars[0].ask_open, Side.BUY, *slipped)
        nights = _nights_paid(lane)
        sold = [slip(bar.bid_close, Side.SELL, *slipped) for bar in bars]
        # A gain is in the second currency: one of the first is what it is worth at its price then.
        paid_at = sold if known.base_currency == terms.currency else [bought] * len(bars)
        worth = [
            share * (price + paid - bought) / unit - cost
            for price, paid, unit in zip(sold, nights, paid_at, strict=True)
        ]
        before = 0.0
        for bar, value in zip(bars, worth, strict=True):
            changes.append((bar.closed_at_ns, value - before))
            before = value
    equity, points = terms.balance, []
    for at_ns, change in sorted(changes, key=lambda each: each[0]):
        equity += change
        points.append((at_ns, equity))
    return Performance(0, 0, 0, 0, {}, {}, (), tuple(points), terms.balance)


def _nights_paid(lane: Lane) -> list[float]:
    """Return what a long held since the first open was paid by each bar's close, in price."""
    bars = lane.market.quotes
    opened = np.full(len(bars), bars[0].opened_at_ns, np.int64)
    closed = np.array([bar.closed_at_ns for bar in bars], np.int64)
    paid: list[float] = Swap.of(lane.market.instrument).paid(Side.BUY, opened, closed).tolist()
    return paid


def _commission(lane: Lane, share: float, terms: AccountTerms) -> float:
    """Return what buying and selling a share costs; its notional is taken as in the account's."""
    instrument, first = lane.market.instrument, lane.market.quotes[0].ask_open
    unit = 1.0 if instrument.base_currency == terms.currency else first
    per_lot = instrument.commission_or(terms.commission_per_lot)
    return 2.0 * per_lot * share / (unit * instrument.contract_size)


def _bars_held(lanes: Sequence[Lane], found: Performance) -> list[int]:
    """Return how many bars of each lane closed while its symbol had a position."""
    held = []
    for lane in lanes:
        symbol = lane.market.instrument.symbol
        stamps_ns = np.array([bar.closed_at_ns for bar in lane.market.quotes], np.int64)
        mine = [trade for trade in found.trades if trade.symbol == symbol]
        opened = np.searchsorted(stamps_ns, [trade.opened_at_ns for trade in mine])
        closed = np.searchsorted(stamps_ns, [trade.closed_at_ns for trade in mine])
        held.append(int((closed - opened).sum()))
    return held
