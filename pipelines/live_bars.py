"""One symbol's bars, live: the terminal's ticks are read, judged as history's are, and counted."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd

from online.domain.errors import SextantError
from online.domain.market import Bar, Timeframe
from online.instruments import find_instrument
from pipelines.lake import Lake
from pipelines.quality import SCALE_FACTOR_MAX
from pipelines.quality_gaps import calendar_of
from pipelines.quality_ticks import judge_ticks
from pipelines.resample import bar_close
from pipelines.sources.raw import Fault
from pipelines.sources.terminal_link import TerminalLink
from pipelines.sources.terminal_ticks import TickReader, raw_ticks, reaches_back
from pipelines.tick_bars import TickBarStream

GRACE_NS = 5_000_000_000
"""How long a quote may be late before its bar closes without it, by the clock."""

CATCH_UP_NS = 3 * 86_400_000_000_000
"""How far back ticks are asked for at the start."""

_log = logging.getLogger(__name__)


class LiveBars:
    """Bars of one symbol, from where the lake ends.

    Parameters
    ----------
    lake
        Holds the bars so far.
    link
        To the gateway.
    symbol, timeframe
        Which bars.
    now_ns
        The clock, UTC nanoseconds.

    Attributes
    ----------
    left_out : Counter of str
        Ticks that were not fit, by reason; an ingestion of the day keeps them in quarantine.
    complete_before_ns : int
        Every bar that closes before it has been returned.
    """

    def __init__(
        self,
        lake: Lake,
        link: TerminalLink,
        symbol: str,
        timeframe: Timeframe,
        now_ns: Callable[[], int],
    ) -> None:
        self._link, self._symbol = link, symbol
        self._timeframe, self._now_ns = timeframe, now_ns
        self._instrument = find_instrument(symbol)
        self._calendar = calendar_of(self._instrument)
        self._kept_ns = self._last_kept_ns(lake)
        self._begin_ns = self._last_ns = self._find_begin_ns()
        self._whole_from_ns, self._looked_back = now_ns(), False
        self._last_price = self._last_close(lake)
        self._sealed_ns = 0
        self._has_begun = False
        self._reader = TickReader(link, symbol, self._last_ns)
        self._bars = TickBarStream(timeframe, self._calendar, point=self._instrument.point)
        self.complete_before_ns = 0
        self.left_out: Counter[str] = Counter()

    def read(self) -> list[Bar]:
        """Read what is new; return the bars it closed, oldest first.

        Raises
        ------
        Unavailable
            If the gateway or its terminal does not answer; nothing is lost, the next reading asks
            for the same ticks.
        InvalidMarketData
            With code ``CLOCK_CONTRADICTED`` if the gateway is set to another clock than the
            terminal's.
        """
        over_ns = self._now_ns() - GRACE_NS
        ticks = self._judge(self._read_ticks())
        rows = zip(*(ticks[name].tolist() for name in ticks.columns), strict=True)
        found = [self._bars.update(at_ns, bid, ask) for at_ns, bid, ask in rows]
        if len(ticks):
            self._last_ns = int(ticks["at_ns"].iloc[-1])
            self._last_price = float(ticks["bid"].iloc[-1])
        late = self._bars.close_until(over_ns)
        if late is not None:
            self._last_ns = late.closed_at_ns
        self.complete_before_ns = self._bars.closes_at_ns or max(self._last_ns, over_ns)
        closed = [bar for bar in (*found, late) if bar is not None]
        closed = [bar for bar in closed if bar.closed_at_ns > self._kept_ns]
        if closed and not self._has_begun:
            self._has_begun = True
            opened_at_ns = closed[0].closed_at_ns - self._timeframe.duration_ns
            return closed if opened_at_ns >= self._whole_from_ns else closed[1:]
        return closed

    def seal(self, closed_at_ns: int) -> None:
        """Take no more ticks of bars that close before an instant: others went on without them.

        Such ticks are left out as out of order, as those of a bar that the clock has closed.
        """
        self._sealed_ns = max(self._sealed_ns, closed_at_ns)

    def _read_ticks(self) -> pd.DataFrame:
        """Return the ticks that are new; the first time, find out from when on bars are whole.

        A bar is whole if it opened while ticks were being read, or if the terminal's history has
        ticks from before it: one that begins within a bar tells only a part of it.
        """
        ticks = self._reader.read()
        if self._looked_back:
            return ticks
        known_ns = max(self._kept_ns, self._begin_ns)
        try:
            is_known = bool(
                (ticks["at_ns"][ticks["fault"] == ""] < known_ns).any()
            ) or reaches_back(self._link, self._symbol, self._begin_ns - CATCH_UP_NS, known_ns)
        except SextantError:
            self._reader = TickReader(self._link, self._symbol, self._begin_ns)  # all are new again
            raise
        self._looked_back = True
        if is_known:
            self._whole_from_ns = known_ns
        return ticks

    def _find_begin_ns(self) -> int:
        """Return the opening of the lake's last bar, or of one not too long ago."""
        earliest_ns = self._now_ns() - CATCH_UP_NS
        if self._kept_ns:
            earliest_ns = max(earliest_ns, self._kept_ns - self._timeframe.duration_ns)
        closes = bar_close(np.array([earliest_ns]), self._timeframe, self._calendar)
        return int(closes[0]) - self._timeframe.duration_ns

    def _last_kept_ns(self, lake: Lake) -> int:
        """Return the close of the lake's last bar, 0 if it has none."""
        for entry in lake.describe():
            if (entry.symbol, entry.timeframe) == (self._symbol, self._timeframe):
                return entry.last_ns
        return 0

    def _last_close(self, lake: Lake) -> float:
        """Return what the lake's last bar closed at, to tell the first ticks' scale by."""
        for entry in lake.describe():
            if (entry.symbol, entry.timeframe) == (self._symbol, self._timeframe):
                last = lake.read_bars(self._symbol, self._timeframe, entry.last_ns)
                return float(last["close"].iloc[-1])
        return math.nan

    def _judge(self, ticks: pd.DataFrame) -> pd.DataFrame:
        """Return the ticks that are fit; the others are counted and told."""
        fault, at_ns = ticks["fault"].to_numpy(dtype=object), ticks["at_ns"].to_numpy()
        late = at_ns < self._last_ns
        late |= bar_close(at_ns, self._timeframe, self._calendar) < self._sealed_ns
        fault[late & (fault == "")] = Fault.OUT_OF_ORDER
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.abs(np.log(ticks["bid"] / self._last_price)) > np.log(SCALE_FACTOR_MAX)
        fault[far.to_numpy() & (fault == "")] = Fault.WRONG_SCALE
        judged = judge_ticks(raw_ticks(ticks.assign(fault=fault), "live"), self._instrument)
        if len(judged.quarantine):
            self.left_out.update(judged.quarantined)
            _log.warning("%s ticks left out: %s", self._symbol, judged.quarantined)
        return judged.ticks
