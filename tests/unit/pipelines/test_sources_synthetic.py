"""The synthetic market is what its settings say: repeatable, clean, and as predictable as asked."""

from __future__ import annotations

import numpy as np
import pytest

from online.domain.market import Timeframe
from online.instruments import find_instrument
from pipelines.quality import CheckedBars, check
from pipelines.quality_gaps import Calendar, count_out_of_session, find_gaps
from pipelines.sources.source import open_source
from pipelines.sources.synthetic import SyntheticConfig

START = "2019-01-02T00:00:00Z"


def draw(**settings: object) -> CheckedBars:
    given = {"seed": 1, "bars": 20_000, "timeframe": "M15", "start": START, **settings}
    config = SyntheticConfig.model_validate(given)
    return check(open_source(config).read(), find_instrument("EURUSD"))


def predictability(checked: CheckedBars, back: int = 4) -> float:
    log_close = np.log(checked.bars["close"].to_numpy())
    signal = np.sign(log_close[back:-1] - log_close[: -back - 1])
    moves = np.diff(log_close)[back:]
    return float(np.corrcoef(signal, np.sign(moves))[0, 1])


def test_every_bar_is_clean_in_session_and_none_is_missing() -> None:
    for timeframe in (Timeframe.M1, Timeframe.M15, Timeframe.H1):
        checked = draw(timeframe=timeframe.value, jumps_per_year=0.0)
        stamps = checked.bars["closed_at_ns"].to_numpy()
        assert checked.quarantined == {}
        assert len(stamps) == 20_000
        assert count_out_of_session(stamps, timeframe, Calendar.CURRENCIES) == 0
        assert find_gaps(stamps, timeframe, Calendar.CURRENCIES) == []


def test_a_seed_gives_the_same_bits_and_another_seed_others() -> None:
    first, again, other = draw(), draw(), draw(seed=2)
    assert first.bars.equals(again.bars)
    assert first.file_sha256 == again.file_sha256 != other.file_sha256
    assert not first.bars["close"].equals(other.bars["close"])


def test_noise_predicts_nothing_and_a_planted_signal_what_it_should() -> None:
    # The sign of a normal variable of mean m has mean erf(m / sqrt 2): 0.159 for m = 0.2 / 0.98.
    noise = 4.0 / np.sqrt(20_000)
    assert abs(predictability(draw())) < noise
    assert predictability(draw(signal_strength=0.2)) == pytest.approx(0.16, abs=noise)
    assert predictability(draw(signal_strength=-0.2)) == pytest.approx(-0.16, abs=noise)


def test_the_volatility_of_a_year_is_as_asked_and_comes_in_regimes() -> None:
    for asked in (0.05, 0.2):
        close = draw(volatility=asked, jumps_per_year=0.0).bars["close"].to_numpy()
        moves = np.diff(np.log(close))
        bars_per_year = 365 * 96 * 5 / 7
        assert moves.std() * np.sqrt(bars_per_year) == pytest.approx(asked, rel=0.1)
        size = np.abs(moves)
        assert np.corrcoef(size[:-8], size[8:])[0, 1] > 0.1, "volatility clusters"


def test_spreads_widen_at_the_end_of_new_yorks_day() -> None:
    bars = draw().bars
    hour_utc = (bars["closed_at_ns"] - 1) // 3_600_000_000_000 % 24
    january = bars["closed_at_ns"] < bars["closed_at_ns"].iloc[0] + 50 * 86_400_000_000_000
    late = bars["spread_points"][january & (hour_utc == 22)].median()
    busiest = bars["spread_points"][january & (hour_utc == 14)].median()
    assert late > 1.2 * busiest
    assert (bars["spread_points"] >= 0).all()
