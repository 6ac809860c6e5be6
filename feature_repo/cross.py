"""Features across symbols: currency strength, rolling correlation and beta.

What one symbol's bar knows of another is the other's last close *before* it: at equal stamps a
bar becomes visible at the next bar, so that a value never depends on which of two messages came
first. Of itself it sees the same past here, so that both returns are of the same span of time.
Own and other closes together are bars of their own; the engine evaluates them as any others, from
the same anchors, in batch and live, to the same bits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from feature_repo.bars import BarArrays
from feature_repo.engine import FeatureStream, Vector, compute_batch
from feature_repo.expression import CLOSE, OPEN, call, lag, log, mean, share
from feature_repo.feature import Feature, Group
from online.domain.errors import InvalidInput, InvalidMarketData
from online.domain.market import Bar

_CURRENCY_LETTERS = 3
_OWN = log(OPEN / lag(OPEN, 1))
_OTHER = log(CLOSE / lag(CLOSE, 1))

RETURN_24 = Feature(
    name="visible_return_24",
    meaning="Logarithmic return of the other symbol over 24 bars, one bar late.",
    source="log(close[t - 1] / close[t - 25])",
    expression=log(CLOSE / lag(CLOSE, 24)),
    group=Group.RETURNS,
)
PAIRED = (
    Feature(
        name="correlation_24",
        meaning="Correlation of own and other log returns over 24 bars, one bar late, -1 to 1.",
        source="TA-Lib CORREL(24)",
        expression=call("CORREL", _OWN, _OTHER, timeperiod=24),
        group=Group.RETURNS,
    ),
    Feature(
        name="beta_24",
        meaning="Slope of own on other log returns over 24 bars, one bar late.",
        source="covariance / variance; Sharpe 1964",
        expression=share(
            mean(_OWN * _OTHER, 24) - mean(_OWN, 24) * mean(_OTHER, 24),
            mean(_OTHER * _OTHER, 24) - mean(_OTHER, 24) * mean(_OTHER, 24),
            1e-14,
        ),
        group=Group.RETURNS,
    ),
)
"""What is known of each other symbol; in the joint bars, open is own and close is other."""

_ENTRIES = (RETURN_24, *PAIRED)
_STRENGTHS = ("base_strength_24", "quote_strength_24")


def currencies_of(symbol: str) -> tuple[str, str]:
    """Return a pair's base and quote currency.

    Raises
    ------
    InvalidInput
        With code ``NO_CURRENCY_PAIR`` if the name does not begin with two currencies.

    Examples
    --------
    >>> currencies_of("EURUSD")
    ('EUR', 'USD')
    """
    base, quote = symbol[:_CURRENCY_LETTERS], symbol[_CURRENCY_LETTERS : 2 * _CURRENCY_LETTERS]
    if not (len(quote) == _CURRENCY_LETTERS and (base + quote).isalpha()):
        raise InvalidInput(
            f"a currency pair is named like EURUSD, got {symbol!r}", code="NO_CURRENCY_PAIR"
        )
    return base.upper(), quote.upper()


def cross_names(symbol: str, others: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a symbol's features across `others`, in order."""
    paired = [f"{f.name}_{other.lower()}" for other in sorted(others) for f in PAIRED]
    currencies_of(symbol)
    return (*paired, *_STRENGTHS)


def compute_cross(symbol: str, bars: Mapping[str, BarArrays]) -> dict[str, Vector]:
    """Return the features across symbols at every bar of `symbol`, float32 ``(n_bars,)``.

    Parameters
    ----------
    symbol
        Whose bars are asked for, a currency pair.
    bars
        Of one timeframe, by symbol, `symbol` among them; all that there is of each.
    """
    own = bars[symbol]
    members = sorted(bars)
    columns = {}
    for member in members:
        joint, first = join_visible(own, bars[member])
        values = compute_batch(joint, _ENTRIES) if len(joint) else {}
        for feature in _ENTRIES:
            column = np.full(len(own), np.nan, dtype=np.float32)
            column[first:] = values.get(feature.name, np.empty(0, np.float32))
            columns[member, feature.name] = column
    paired = [columns[m, f.name] for m in members if m != symbol for f in PAIRED]
    strengths = _strengths(symbol, {m: columns[m, RETURN_24.name] for m in members})
    names = cross_names(symbol, [m for m in members if m != symbol])
    return dict(zip(names, (*paired, *strengths), strict=True))


def join_visible(own: BarArrays, other: BarArrays) -> tuple[BarArrays, int]:
    """Return joint bars, stamped as own ones, and the own bar at which they begin.

    The joint open is the own and the joint close the other last close strictly before the stamp.
    """
    seen = np.searchsorted(other.closed_at_ns, own.closed_at_ns, side="left") - 1
    first = max(1, int(np.searchsorted(seen, 0)))
    before, after = own.close[first - 1 : -1], other.close[seen[first:]]
    if not len(before):
        return own.part(0, 0), len(own)
    joint = BarArrays(
        own.closed_at_ns[first:],
        before,
        np.maximum(before, after),
        np.minimum(before, after),
        after,
        np.full(len(before), np.nan),
    )
    return joint, first


class CrossStream:
    """Features across symbols, live.

    Parameters
    ----------
    symbol
        Whose features, a currency pair.
    histories
        Bars so far by symbol, `symbol` among them; as for `FeatureStream` each.

    Attributes
    ----------
    names : tuple of str
        Of the vector's places.
    """

    def __init__(self, symbol: str, histories: Mapping[str, BarArrays]) -> None:
        self._symbol = symbol
        self._members = sorted(histories)
        self.names = cross_names(symbol, [m for m in self._members if m != symbol])
        own = histories[symbol]
        self._own_at_ns = int(own.closed_at_ns[-1]) if len(own) else None
        self._last: dict[str, int] = {}
        self._visible: dict[str, float] = {}
        self._waiting: dict[str, deque[Bar]] = {member: deque() for member in self._members}
        self._streams: dict[str, FeatureStream] = {}
        for member, bars in histories.items():
            joint, _ = join_visible(own, bars)
            self._streams[member] = FeatureStream(joint, _ENTRIES)
            known = len(bars)
            if member != symbol:
                horizon = -1 if self._own_at_ns is None else self._own_at_ns
                known = int(np.searchsorted(bars.closed_at_ns, horizon, side="left"))
            if known:
                self._visible[member] = float(bars.close[known - 1])
            self._waiting[member].extend(bars.bar(i) for i in range(known, len(bars)))
            if len(bars):
                self._last[member] = int(bars.closed_at_ns[-1])

    def take(self, symbol: str, bar: Bar) -> None:
        """Take another symbol's closed bar; own bars after it will see it.

        Raises
        ------
        InvalidMarketData
            ``BAR_NOT_NEWER`` if it is not after that symbol's last one; ``BAR_TOO_LATE`` if an own
            bar that should have seen it has been answered already.
        """
        if bar.closed_at_ns <= self._last.get(symbol, -1):
            raise InvalidMarketData(
                f"{symbol} bar {bar.closed_at_ns} is not after its last, {self._last[symbol]}",
                code="BAR_NOT_NEWER",
            )
        if self._own_at_ns is not None and bar.closed_at_ns < self._own_at_ns:
            raise InvalidMarketData(
                f"{symbol} bar {bar.closed_at_ns} came after {self._symbol} bar "
                f"{self._own_at_ns}, which should have seen it",
                code="BAR_TOO_LATE",
                remedy="Open the stream anew from the lake once the bar is there.",
            )
        self._last[symbol] = bar.closed_at_ns
        self._waiting[symbol].append(bar)

    def update(self, bar: Bar) -> Vector:
        """Take the next own bar; return what it sees, float32 of shape ``(n_features,)``.

        Raises
        ------
        InvalidMarketData
            With code ``BAR_NOT_NEWER`` if the bar is not after the last one.
        """
        if self._own_at_ns is not None and bar.closed_at_ns <= self._own_at_ns:
            raise InvalidMarketData(
                f"bar {bar.closed_at_ns} is not after the last one, {self._own_at_ns}",
                code="BAR_NOT_NEWER",
            )
        rows = {member: self._row(member, bar.closed_at_ns) for member in self._members}
        self._own_at_ns = bar.closed_at_ns
        self._visible[self._symbol] = bar.close
        paired = [rows[m][1:] for m in self._members if m != self._symbol]
        returns = {member: row[:1] for member, row in rows.items()}
        return np.concatenate([*paired, *_strengths(self._symbol, returns)])

    def _row(self, member: str, closed_at_ns: int) -> Vector:
        waiting = self._waiting[member]
        while waiting and waiting[0].closed_at_ns < closed_at_ns:
            self._visible[member] = waiting.popleft().close
        own, other = self._visible.get(self._symbol), self._visible.get(member)
        if own is None or other is None:
            return np.full(len(_ENTRIES), np.nan, dtype=np.float32)
        high, low = max(own, other), min(own, other)
        return self._streams[member].update(Bar(closed_at_ns, own, high, low, other, 0.0))


def _strengths(symbol: str, returns: Mapping[str, Vector]) -> list[Vector]:
    """Return the mean return of base and quote against all, added in the symbols' order."""
    found = []
    for currency in currencies_of(symbol):
        total, count = np.zeros_like(returns[symbol]), 0
        for member in sorted(returns):
            base, quote = currencies_of(member)
            if currency in (base, quote):
                total = total + returns[member] if currency == base else total - returns[member]
                count += 1
        found.append(total / np.float32(count))
    return found
