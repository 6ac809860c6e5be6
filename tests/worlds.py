"""Small worlds for tests: a seeded market, a vector, a model that speaks in turn."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from online.domain.barriers import BarrierRule
from online.domain.manifest import MANIFEST_SCHEMA, Manifest, Member, Training
from online.domain.market import Bar, Instrument, PriceSide, Timeframe
from online.domain.signal import Calibration, MemberOutput, Probabilities
from online.domain.vector import VectorContract, ViewContract
from online.instruments import find_instrument
from online.simulator.bars import two_sided
from pipelines.market import Market
from pipelines.simulation import AccountTerms
from pipelines.spread import SpreadUsed
from tests.fakes import make_limits

START_NS = 1_507_075_200_000_000_000  # 2017-10-04 00:00 UTC, a Wednesday
SPREAD_POINTS = 8.0
SPREAD = SpreadUsed(SPREAD_POINTS, "as given")
SAY_LONG: Probabilities = (0.1, 0.2, 0.7)
SAY_SHORT: Probabilities = (0.7, 0.2, 0.1)
SAY_NOTHING: Probabilities = (0.4, 0.2, 0.4)

EURUSD: Instrument = find_instrument("EURUSD")
CONTRACT = VectorContract(
    (
        ViewContract("h1_volatility", 1, ("atr_14",), 3600),
        ViewContract("h1_momentum", 1, ("rsi_14", "tone"), 3600),
    )
)
LIMITS = make_limits(
    risk_per_trade_fraction=0.005,
    max_volume_lots=5.0,
    max_notional=1_000_000.0,
    max_symbol_notional=1_000_000.0,
    max_currency_notional=1_000_000.0,
    max_gross_notional=1_000_000.0,
    max_daily_loss_fraction=0.5,
    max_drawdown_fraction=0.9,
    max_consecutive_losses=1_000,
)
TERMS = AccountTerms("USD", 10_000.0, 3.5, 30.0)


def random_bars(count: int, seed: int) -> tuple[Bar, ...]:
    """Return a seeded random walk of hourly bars on the instrument's price steps."""
    random = np.random.default_rng(seed)
    bars, price = [], 117_000
    for place in range(count):
        steps = random.integers(-40, 41, size=6).cumsum() + price
        opened, closed = int(steps[0]), int(steps[-1])
        high, low = int(steps.max()), int(steps.min())
        stamp = START_NS + (place + 1) * Timeframe.H1.duration_ns
        scale = EURUSD.scale
        bars.append(Bar(stamp, opened / scale, high / scale, low / scale, closed / scale, 1.0))
        price = closed
    return tuple(bars)


def market_of(bars: Sequence[Bar]) -> Market:
    """Return ask bars as a market under the assumed spread."""
    quotes = tuple(
        two_sided(bar, Timeframe.H1, PriceSide.ASK, SPREAD_POINTS, EURUSD.scale) for bar in bars
    )
    return Market(EURUSD, Timeframe.H1, PriceSide.ASK, tuple(bars), quotes, SPREAD)


def columns_of(bars: Sequence[Bar], seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """Return seeded feature columns, float32 of shape ``(n_bars,)``."""
    random = np.random.default_rng(seed)
    count = len(bars)
    return {
        "atr_14": random.uniform(0.0005, 0.0015, count).astype(np.float32),
        "rsi_14": random.uniform(20.0, 80.0, count).astype(np.float32),
        "tone": random.uniform(-1.0, 1.0, count).astype(np.float32),
    }


def manifest_of(timeout_bars: int = 4, min_edge: float = 0.1) -> Manifest:
    """Return a manifest of one member over `CONTRACT`."""
    return Manifest(
        schema=MANIFEST_SCHEMA,
        symbol="EURUSD",
        timeframe=Timeframe.H1,
        target="triple_barrier",
        vector=CONTRACT,
        transform_fingerprint="test",
        barriers=BarrierRule(1.0, 1.0, timeout_bars, Timeframe.H1),
        price_side=PriceSide.ASK,
        assumed_spread_points=SPREAD_POINTS,
        members=(Member("tone", "rules", "tone.onnx", "0" * 64, 1.0, Calibration()),),
        min_edge=min_edge,
        training=Training(0, START_NS, 1, "0" * 64, "test", 0, 1),
    )


@dataclass(frozen=True, slots=True)
class ToneModel:
    """Says long above, short below a bound of the feature ``tone``, and counts its bits in."""

    manifest: Manifest
    sha256: str = "f" * 64
    alias: str = "paper"

    def score(
        self,
        values: tuple[float, ...],
        window: bytes | None = None,  # noqa: ARG002 - the port's
    ) -> tuple[MemberOutput, ...]:
        """Return the member's output; its middle digits move with every bit of ``rsi_14``."""
        tone = values[2]
        base = SAY_LONG if tone > 0.5 else SAY_SHORT if tone < -0.5 else SAY_NOTHING
        (bits,) = struct.unpack("<I", struct.pack("<f", values[1]))
        nudge = (bits % 1024) * 1e-9
        return (MemberOutput("tone", (base[0], base[1] - nudge, base[2] + nudge)),)
