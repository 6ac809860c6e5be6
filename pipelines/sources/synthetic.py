"""A seeded synthetic market: regimes, jumps, sessions, spreads, and a signal of known strength.

For tests of what learns: on pure noise nothing may be found, and a planted signal must be. It is
no model of a real market.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from online.domain.market import PriceSide, Timeframe, to_tick
from pipelines.quality_gaps import Calendar, open_time, sessions
from pipelines.sources.clock import HOUR_NS, NEW_YORK, find_clock, from_utc
from pipelines.sources.correlation import KnownSeries
from pipelines.sources.raw import RawBars

_STEPS = 8  # of the path within a bar
_YEAR_NS = 365 * 24 * HOUR_NS


class SyntheticConfig(BaseModel):
    """A market that never was.

    Attributes
    ----------
    seed
        Of every random choice; the same settings give the same bars, bit for bit.
    bars
        How many.
    timeframe, start, calendar
        Length of the bars, a time not after the first, and when the market is open.
    start_price, digits
        First price, and decimals of every price.
    volatility
        Of a year, as a part of the price.
    turbulence
        How many times as volatile the turbulent of the two regimes is (>= 1).
    jumps_per_year, jump_size
        How often the price jumps, and the jumps' standard deviation as a part of the price.
    spread_points
        Spread in calm hours; it widens with volatility and at New York's 17:00.
    signal_strength
        Correlation of a bar's return, over its own volatility, with the sign of the return over
        `signal_bars` bars before it: 0 is pure noise, positive a trend, negative a reversal.
    signal_bars
        How far that signal looks back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["synthetic"] = "synthetic"
    seed: int = Field(ge=0)
    bars: int = Field(ge=2, le=2_000_000)
    timeframe: Timeframe
    start: AwareDatetime
    calendar: Calendar = Calendar.CURRENCIES
    start_price: float = Field(default=1.1, gt=0.0)
    digits: int = Field(default=5, ge=0, le=8)
    volatility: float = Field(default=0.08, gt=0.0, le=2.0)
    turbulence: float = Field(default=2.5, ge=1.0, le=10.0)
    jumps_per_year: float = Field(default=12.0, ge=0.0)
    jump_size: float = Field(default=0.003, ge=0.0, le=0.1)
    spread_points: float = Field(default=8.0, ge=0.0)
    signal_strength: float = Field(default=0.0, ge=-0.9, le=0.9)
    signal_bars: int = Field(default=4, ge=1)


class SyntheticBars:
    """Bars drawn from a seed.

    Parameters
    ----------
    config
        The market's properties.
    """

    def __init__(self, config: SyntheticConfig) -> None:
        self._config = config

    def files(self) -> tuple[Path, ...]:
        """Return no file: the settings decide everything."""
        return ()

    def read(self, _known: KnownSeries | None = None, /) -> RawBars:
        """Draw the bars; their clock is UTC by making."""
        config = self._config
        generator = np.random.default_rng(config.seed)
        closed_at_ns = _closes(config)
        sigma = _volatility(config, closed_at_ns, generator)
        returns = _returns(config, sigma, generator)
        path = _paths(config, returns, sigma, generator)
        wide = sigma / np.median(sigma) * np.where(_hour(closed_at_ns) == 17, 4.0, 1.0)  # noqa: PLR2004  # New York's end of the day
        rows = pd.DataFrame(
            {
                "row_number": np.arange(1, config.bars + 1, dtype=np.int64),
                "closed_at_ns": closed_at_ns,
                "open": path[:, 0],
                "high": path.max(axis=1),
                "low": path.min(axis=1),
                "close": path[:, -1],
                "volume": 1.0 + generator.poisson(200.0 * sigma / np.median(sigma)),
                "spread_points": np.rint(config.spread_points * (0.5 + 0.5 * wide)),
                "fault": "",
            }
        )
        return RawBars(
            source=config.kind,
            source_file=f"synthetic-{config.seed}",
            file_sha256=hashlib.sha256(config.model_dump_json().encode()).hexdigest(),
            side=PriceSide.BID,
            timeframe=config.timeframe,
            clock="UTC",
            clock_evidence=(),
            descending=False,
            rows=rows,
            raw_text=lambda places: [str(rows.iloc[place].to_dict()) for place in places],
        )


def _closes(config: SyntheticConfig) -> NDArray[np.int64]:
    """Return the closes of the first bars that lie in session."""
    duration_ns = config.timeframe.duration_ns
    first_ns = -(-pd.Timestamp(config.start).value // duration_ns) * duration_ns
    span = config.bars * 2 + 4 * (7 * 24 * HOUR_NS // duration_ns)  # weekends are two days in seven
    closes = first_ns + duration_ns * np.arange(1, span + 1, dtype=np.int64)
    bounds = sessions(int(closes[0]), int(closes[-1]), config.calendar)
    in_session = open_time(closes, bounds) - open_time(closes - duration_ns, bounds) == duration_ns
    return np.asarray(closes[in_session][: config.bars])


def _volatility(
    config: SyntheticConfig, closed_at_ns: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return each bar's standard deviation of log return: regime and time of day."""
    changes = generator.random(config.bars) < 1.0 / 400.0  # a regime lasts 400 bars on average
    turbulent = (np.cumsum(changes) + generator.integers(0, 2)) % 2 == 1
    hour = _hour(closed_at_ns).astype(np.float64)
    day = 1.0 + 0.6 * np.cos((hour - 9.0) / 24.0 * 2.0 * np.pi)  # liveliest at 9 in New York
    shape = np.where(turbulent, config.turbulence, 1.0) * day
    bars_per_year = _YEAR_NS / config.timeframe.duration_ns * 5.0 / 7.0
    scale = config.volatility / np.sqrt(bars_per_year * np.mean(shape**2))
    return np.asarray(scale * shape)


def _returns(
    config: SyntheticConfig, sigma: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return the bars' log returns, each with the signal of those before it."""
    noise = generator.standard_normal(config.bars)
    strength, back = config.signal_strength, config.signal_bars
    keep = np.sqrt(1.0 - strength**2)
    level = np.zeros(config.bars + 1)
    for bar in range(config.bars):
        signal = np.sign(level[bar] - level[bar - back]) if bar >= back else 0.0
        level[bar + 1] = level[bar] + sigma[bar] * (strength * signal + keep * noise[bar])
    per_bar = config.jumps_per_year * config.timeframe.duration_ns / _YEAR_NS
    jumps = (generator.random(config.bars) < per_bar) * generator.normal(
        0.0, config.jump_size, config.bars
    )
    return np.asarray(np.diff(level) + jumps)


def _paths(
    config: SyntheticConfig,
    returns: NDArray[np.float64],
    sigma: NDArray[np.float64],
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the prices within each bar, from open to close, on the instrument's steps."""
    closes = np.log(config.start_price) + np.cumsum(returns)
    opens = np.append(np.log(config.start_price), closes[:-1])
    part = np.linspace(0.0, 1.0, _STEPS + 1)
    walk = np.cumsum(generator.standard_normal((config.bars, _STEPS)), axis=1) / np.sqrt(_STEPS)
    walk = np.column_stack((np.zeros(config.bars), walk))
    bridge = (walk - part * walk[:, -1:]) * sigma[:, None]
    prices = np.exp(opens[:, None] + part * returns[:, None] + bridge)
    return np.asarray(to_tick(prices, 10.0**config.digits))


def _hour(closed_at_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the hour of the day in New York at which each bar ends."""
    return (from_utc(closed_at_ns - 1, find_clock(NEW_YORK)) // HOUR_NS) % 24
