from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from online.domain.market import Timeframe
from pipelines.quality_gaps import Calendar, Gap, find_gaps
from pipelines.quality_report import draw_prices

DAY = 86_400_000_000_000


def test_nothing_is_drawn_across_a_wide_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    stretches: list[tuple[int, int]] = []

    def record(_axes: Axes, at: np.ndarray, *_: object, **__: object) -> None:
        stamps = np.asarray(at).astype("M8[ns]").astype(np.int64)
        stretches.append((int(stamps[0]), int(stamps[-1])))

    monkeypatch.setattr(Axes, "fill_between", record)
    stamps = np.concatenate([np.arange(1, 40), np.arange(200, 240)]) * DAY
    bars = pd.DataFrame({"closed_at_ns": stamps, "low": 1.0, "high": 1.1})
    found = find_gaps(stamps, Timeframe.D1, Calendar.ALWAYS)
    assert found == [Gap(39 * DAY, 200 * DAY, 160)]
    assert draw_prices(bars, found).startswith(b"\x89PNG")
    assert stretches == [(DAY, 39 * DAY), (200 * DAY, 239 * DAY)]
