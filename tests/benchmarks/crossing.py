"""The strategy of the backtest benchmark, as the trading code runs it: an average crossing.

Flat at a bar's close, it buys at the next bar's first price if the 12-bar exponential average
stands above the 26-bar one, sells if below, and leaves at the first price 25 minutes later. Its
stop and target lie so far away that none is reached, so every simulator fills it alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from feature_repo.bars import BarArrays
from feature_repo.catalogue import select
from feature_repo.engine import compute_batch
from online.domain.barriers import BarrierRule
from online.domain.manifest import MANIFEST_SCHEMA, Manifest, Member, Training
from online.domain.market import Bar, PriceSide, Timeframe
from online.domain.signal import Calibration, MemberOutput, Probabilities
from online.domain.vector import VectorContract, ViewContract
from online.instruments import find_instrument
from online.simulator.bars import two_sided
from pipelines.market import Market
from pipelines.simulation import AccountTerms
from pipelines.spread import SpreadUsed
from tests.fakes import make_limits

EURUSD = replace(find_instrument("EURUSD").slipping(0), swap_long_points=0.0, swap_short_points=0.0)
"""Without swap and slippage: the peers do not know the one, and charge the other elsewhere."""
CROSS, UNIT = "ema_12_26_cross", "atr_14"
MINUTES_HELD, UNITS_AWAY, LOTS = 25, 400.0, 0.1
_WEEK_SECONDS = 7 * 86_400
_LONG: Probabilities = (0.3, 0.2, 0.5)
_SHORT: Probabilities = (0.5, 0.2, 0.3)
_NOTHING: Probabilities = (0.4, 0.2, 0.4)
Columns = Mapping[str, npt.NDArray[np.float32]]

LIMITS = make_limits(
    risk_per_trade_fraction=0.1,
    max_volume_lots=LOTS,
    max_notional=1e6,
    max_symbol_notional=1e6,
    max_currency_notional=1e6,
    max_gross_notional=1e6,
    price_collar_units=1e4,
    max_daily_loss_fraction=0.5,
    max_drawdown_fraction=0.5,
    max_consecutive_losses=1_000_000,
    max_orders_per_window=100,
    order_window_seconds=3600,
)
TERMS = AccountTerms("USD", 1e6, 0.0, 30.0)
MANIFEST = Manifest(
    schema=MANIFEST_SCHEMA,
    symbol="EURUSD",
    timeframe=Timeframe.M1,
    target="crossing",
    vector=VectorContract((ViewContract("m1_trend", 1, (CROSS, UNIT), _WEEK_SECONDS),)),
    transform_fingerprint="benchmark",
    barriers=BarrierRule(UNITS_AWAY, UNITS_AWAY, MINUTES_HELD, Timeframe.M1),
    price_side=PriceSide.BID,
    assumed_spread_points=0.0,
    members=(Member("crossing", "rules", "crossing.none", "0" * 64, 1.0, Calibration()),),
    min_edge=0.1,
    training=Training(0, 0, 1, "0" * 64, "benchmark", 0, 1),
)


@dataclass(frozen=True, slots=True)
class Crossing:
    """The rule as a model."""

    manifest: Manifest = MANIFEST
    sha256: str = "0" * 64
    alias: str = "paper"

    def score(
        self,
        values: tuple[float, ...],
        window: bytes | None = None,  # noqa: ARG002 - the port's
    ) -> tuple[MemberOutput, ...]:
        """Return a vote for the side of the faster average."""
        cross = values[0]
        said = _LONG if cross > 0.0 else _SHORT if cross < 0.0 else _NOTHING
        return (MemberOutput("crossing", said),)


def market_of(bars: BarArrays) -> Market:
    """Return bars as a market without a spread."""
    columns = (bars.closed_at_ns, bars.open, bars.high, bars.low, bars.close)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    stored = tuple(Bar(*row) for row in rows)
    quotes = tuple(two_sided(bar, Timeframe.M1, PriceSide.BID, 0.0, EURUSD.scale) for bar in stored)
    free = SpreadUsed(0.0, "as given")
    return Market(EURUSD, Timeframe.M1, PriceSide.BID, stored, quotes, free)


def columns_of(bars: BarArrays) -> Columns:
    """Return what the strategy reads: the crossing, and the unit of stop and target."""
    return compute_batch(bars, select((CROSS, UNIT)))
