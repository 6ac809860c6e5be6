"""The report of a featurize run: how far each feature reaches, and what it looks like."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feature_repo.bars import BarArrays
from feature_repo.catalogue import groups, served
from feature_repo.engine import Vector
from feature_repo.feature import Feature
from feature_repo.panel import Panel
from feature_repo.vector import compute_vectors
from pipelines.home import Home
from pipelines.page import Page

_POINTS = 600
_HOLE_STEPS = 4.0
"""Points that lie this many usual distances apart have a hole between them."""


@dataclass(frozen=True, slots=True)
class FeatureCoverage:
    """How far one feature reaches.

    Parameters
    ----------
    name, group
        Of the catalogue.
    memory_bars
        Warm-up it declares, in bars of its own timeframe.
    missing
        Bars without a value; of own bars equal to the warm-up where the lake holds more than that.
    minimum, median, maximum
        Of its values; NaN where there is none.
    """

    name: str
    group: str
    memory_bars: int
    missing: int
    minimum: float
    median: float
    maximum: float


@dataclass(frozen=True, slots=True)
class FeaturizeReport:
    """What a featurize run did.

    Parameters
    ----------
    symbol, timeframe
        The series.
    bars
        Bars read.
    quarters_computed, quarters_current
        Anchor periods written, and those found already computed from the same bars and code.
    coverage
        Of every feature, in the catalogue's order.
    online_at_ns
        Stamp of the newest row offered to the online store, nanoseconds UTC; None if none was.
    page
        The report as HTML.
    """

    symbol: str
    timeframe: str
    bars: int
    quarters_computed: int
    quarters_current: int
    coverage: tuple[FeatureCoverage, ...]
    online_at_ns: int | None
    page: str


def report(
    home: Home, panel: Panel, quarters: tuple[int, int], online_at_ns: int | None
) -> FeaturizeReport:
    """Write the page of a run and return its figures.

    Parameters
    ----------
    home
        Where it is written.
    panel
        What the features were computed from.
    quarters
        Anchor periods computed, and found current.
    online_at_ns
        Stamp of the newest row offered online; None if none was.
    """
    symbol, timeframe, bars = panel.symbol, panel.timeframe, panel.own
    features = served(panel)
    values = compute_vectors(panel, features)
    found = FeaturizeReport(
        symbol=symbol,
        timeframe=timeframe.value,
        bars=len(bars),
        quarters_computed=quarters[0],
        quarters_current=quarters[1],
        coverage=tuple(_coverage(feature, values[feature.name]) for feature in features),
        online_at_ns=online_at_ns,
        page=str(home.lake / "reports" / f"features-{symbol}-{timeframe}.html"),
    )
    page = Page(f"Features of {symbol} {timeframe}", f"{len(features)} features, {len(bars)} bars")
    page.cards(
        {
            "bars": found.bars,
            "features": len(features),
            "quarters computed": found.quarters_computed,
            "quarters current": found.quarters_current,
        }
    )
    for group, members in groups(features).items():
        page.heading(group.value)
        names = {feature.name for feature in members}
        page.table(
            ["feature", "meaning", "warm-up", "missing", "minimum", "median", "maximum"],
            [
                (c.name, f.meaning, c.memory_bars, c.missing, c.minimum, c.median, c.maximum)
                for c, f in zip(found.coverage, features, strict=True)
                if c.name in names
            ],
        )
        page.picture(draw(bars, members, values), f"{group.value} features over time")
    page.write(Path(found.page))
    return found


def to_markdown(found: FeaturizeReport) -> str:
    """Return a run's coverage as a Markdown table."""
    lines = [
        f"# {found.symbol} {found.timeframe}: {len(found.coverage)} features, {found.bars} bars",
        "",
        f"{found.quarters_computed} quarters computed, {found.quarters_current} current.",
        "",
        f"Plots: `{found.page}`",
        "",
        "| feature | group | warm-up | missing | minimum | median | maximum |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {c.name} | {c.group} | {c.memory_bars} | {c.missing} | {c.minimum:.6g} | "
        f"{c.median:.6g} | {c.maximum:.6g} |"
        for c in found.coverage
    ]
    return "\n".join(lines)


def draw(bars: BarArrays, features: Sequence[Feature], values: Mapping[str, Vector]) -> bytes:
    """Return a PNG with one strip over time for each feature, scaled to its own range.

    Parameters
    ----------
    bars
        Their stamps are the abscissa.
    features, values
        What is drawn, thinned to some hundred points; nothing is drawn across a weekend or a hole.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow import, only when drawing

    figure = Figure(figsize=(11, 0.6 + 0.45 * len(features)), dpi=80, layout="constrained")
    axis = figure.subplots()
    step = max(1, len(bars) // _POINTS)
    stamps = bars.closed_at_ns[::step]
    apart = np.diff(stamps)
    usual = np.median(apart) if len(apart) else 0.0
    holes = np.flatnonzero(apart > _HOLE_STEPS * usual) + 1
    times = np.insert(stamps, holes, stamps[holes]).astype("datetime64[ns]")
    for place, feature in enumerate(reversed(features)):
        strip = np.insert(values[feature.name][::step].astype(np.float64), holes, np.nan)
        known = strip[np.isfinite(strip)]
        low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
        axis.plot(times, place + 0.85 * (strip - low) / max(high - low, 1e-300), linewidth=0.7)
    axis.set_yticks(np.arange(len(features)) + 0.4, [f.name for f in reversed(features)])
    axis.tick_params(labelsize=7)
    axis.margins(x=0.005, y=0.02)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _coverage(feature: Feature, values: Vector) -> FeatureCoverage:
    known = values[np.isfinite(values)]
    low, middle, high = np.percentile(known, [0, 50, 100]) if len(known) else [np.nan] * 3
    return FeatureCoverage(
        name=feature.name,
        group=feature.group.value,
        memory_bars=feature.memory_bars,
        missing=len(values) - len(known),
        minimum=float(low),
        median=float(middle),
        maximum=float(high),
    )
