"""The quality report of an ingestion: what came in, what did not, what is missing.

The same facts as JSON for programs, as HTML with plots for people, as Markdown for Prefect.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipelines.page import Page, show
from pipelines.quality_gaps import Gap
from pipelines.sources.clock import WallClock, from_utc

GAPS_SHOWN = 20
_POINTS_DRAWN = 4000
_WIDTHS_OF_A_WIDE_GAP = 100
"""A gap of more than one part in so many of a picture is wide."""


class GapRecord(msgspec.Struct, frozen=True):
    """A gap, for people.

    Parameters
    ----------
    after, before
        Closes of the bars on either side, UTC, ISO 8601.
    missing_bars
        How many bars the session calendar expects between them.
    duration
        Time between those closes, days and hours.
    duration_on_source_clock
        The same by the source's own clock: another where its clock changed in between.
    """

    after: str
    before: str
    missing_bars: int
    duration: str
    duration_on_source_clock: str

    @classmethod
    def of(cls, gap: Gap, clock: WallClock) -> GapRecord:
        """Return the record of a gap in a source of this clock."""
        after, before = from_utc(np.array([gap.after_ns, gap.before_ns]), clock)
        return cls(
            utc_text(gap.after_ns),
            utc_text(gap.before_ns),
            gap.missing_bars,
            str(gap.duration),
            str(pd.Timedelta(before - after, unit="ns")),
        )


class IngestReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an ingestion did.

    Parameters
    ----------
    symbol, timeframe, price_side
        The series.
    source, source_file, file_sha256
        Where the rows came from.
    clock
        The source's clock.
    clock_evidence
        Why that one, where it was inferred, the next best after it.
    rows_read
        Rows of the file; ``bars`` and the rows quarantined at reading make them up.
    bars
        Rows fit for the lake.
    added, unchanged, replaced
        What the lake did with them (see `pipelines.lake.WriteReport`).
    quarantined
        Rows not fit, by reason, those in conflict with the lake among them.
    gaps, missing_bars
        Holes against the session calendar, and the bars they lack.
    largest_gaps
        The largest of them.
    bars_out_of_session
        Bars at hours at which the calendar has the market closed: many mean a wrong clock.
    decimals_seen, digits
        Most decimals of a price, and what the instrument has; fewer mean coarser data.
    first_closed_at_ns, last_closed_at_ns
        Closes of the first and last fit bar, UTC nanoseconds.
    report_html, report_json
        Where this report was written.
    quarantine
        Where the quarantined rows were written; None if there were none.
    """

    symbol: str
    timeframe: str
    price_side: str
    source: str
    source_file: str
    file_sha256: str
    clock: str
    clock_evidence: list[str]
    rows_read: int
    bars: int
    added: int
    unchanged: int
    replaced: int
    quarantined: dict[str, int]
    gaps: int
    missing_bars: int
    largest_gaps: list[GapRecord]
    bars_out_of_session: int
    decimals_seen: int
    digits: int
    first_closed_at_ns: int
    last_closed_at_ns: int
    report_html: str
    report_json: str
    quarantine: str | None

    @property
    def headline(self) -> str:
        """One sentence that says what happened."""
        return (
            f"{self.symbol} {self.timeframe} ({self.price_side}): {self.rows_read:,} rows read, "
            f"{self.bars:,} bars usable, {self.added:,} added to the lake, "
            f"{sum(self.quarantined.values()):,} rows in quarantine, {self.gaps:,} gaps"
        )


def utc_text(at_ns: int) -> str:
    """Return a time as ISO 8601 in UTC, to the second.

    Examples
    --------
    >>> utc_text(0)
    '1970-01-01T00:00:00Z'
    """
    return pd.Timestamp(at_ns, unit="ns").strftime("%Y-%m-%dT%H:%M:%SZ")


def write_report(report: IngestReport, bars: pd.DataFrame, gaps: Sequence[Gap]) -> None:
    """Write the report as HTML and JSON at the paths it names.

    Parameters
    ----------
    report
        The facts.
    bars
        The fit bars, for the plot of prices.
    gaps
        The gaps, for their marks in that plot.
    """
    page = Page(f"Ingestion of {report.symbol} {report.timeframe}", report.headline)
    page.cards(
        {
            "rows read": report.rows_read,
            "bars usable": report.bars,
            "added": report.added,
            "unchanged": report.unchanged,
            "quarantined": sum(report.quarantined.values()),
            "missing bars": report.missing_bars,
        }
    )
    page.heading("Prices")
    page.picture(draw_prices(bars, gaps), "Closing prices, with gaps marked in red")
    page.heading("Rows in quarantine")
    if report.quarantined:
        page.picture(draw_reasons(report.quarantined), "Rows in quarantine by reason")
        page.table(["reason", "rows"], list(report.quarantined.items()))
    else:
        page.paragraph("None: every row is usable.")
    page.heading(f"Largest gaps (of {show(report.gaps)})")
    page.table(
        ["after (UTC)", "before (UTC)", "bars missing", "duration", "by the source's clock"],
        [
            (g.after, g.before, g.missing_bars, g.duration, g.duration_on_source_clock)
            for g in report.largest_gaps
        ],
    )
    if report.clock_evidence:
        page.heading(f"Clock: {report.clock}")
        page.table(["evidence, best first"], [[words] for words in report.clock_evidence])
    page.heading("Facts")
    page.table(["", ""], list(_facts(report).items()))
    page.write(Path(report.report_html))
    write_json(Path(report.report_json), report)


def _facts(report: IngestReport) -> dict[str, str]:
    """Return what else there is to know, as people read it."""
    first, last = utc_text(report.first_closed_at_ns), utc_text(report.last_closed_at_ns)
    return {
        "file": report.source_file,
        "its SHA-256": report.file_sha256,
        "source": report.source,
        "prices": report.price_side,
        "clock of the stamps": report.clock,
        "closes (UTC)": f"{first} to {last}",
        "taking the place of others": show(report.replaced),
        "bars out of session": show(report.bars_out_of_session),
        "decimals of the prices": f"{report.decimals_seen} of {report.digits}",
        "rows in quarantine": report.quarantine or "none",
        "this report for programs": report.report_json,
    }


def write_json(path: Path, record: msgspec.Struct) -> None:
    """Write a record as indented JSON, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2))
    partial.replace(path)


def to_markdown(report: IngestReport) -> str:
    """Return the report as Markdown, for Prefect's page of artifacts."""
    counts = report.quarantined or {"none": 0}
    reasons = "".join(f"| {name} | {count:,} |\n" for name, count in counts.items())
    gaps = "".join(
        f"| {gap.after} | {gap.before} | {gap.missing_bars:,} | {gap.duration} |\n"
        for gap in report.largest_gaps
    )
    evidence = "".join(f"  - {words}\n" for words in report.clock_evidence)
    return (
        f"# Ingestion of {report.symbol} {report.timeframe}\n\n{report.headline}\n\n"
        f"- source: `{report.source}`, file `{report.source_file}`, clock {report.clock}\n"
        f"{evidence}"
        f"- closes: {utc_text(report.first_closed_at_ns)} to "
        f"{utc_text(report.last_closed_at_ns)}\n"
        f"- bars out of session: {report.bars_out_of_session:,}\n"
        f"- decimals: {report.decimals_seen} of {report.digits}\n\n"
        f"## Quarantine\n\n| reason | rows |\n| --- | ---: |\n{reasons}\n"
        f"## Largest gaps ({report.gaps:,} in all, {report.missing_bars:,} bars)\n\n"
        f"| after | before | bars | duration |\n| --- | --- | ---: | --- |\n{gaps}"
    )


def draw_prices(bars: pd.DataFrame, gaps: Sequence[Gap]) -> bytes:
    """Return a PNG of the prices, the largest gaps shaded; nothing is drawn across a wide one.

    A long series is drawn as each stretch's lowest low to highest high, so that no spike hides.
    """
    figure = Figure(figsize=(11.0, 4.2), dpi=110, layout="constrained")
    axes = _plain_axes(figure)
    stamps = bars["closed_at_ns"].to_numpy()
    wide_ns = (int(stamps[-1]) - int(stamps[0])) // _WIDTHS_OF_A_WIDE_GAP
    breaks = [gap.after_ns for gap in gaps if gap.before_ns - gap.after_ns > wide_ns]
    stretch = np.arange(len(bars)) // max(1, len(bars) // _POINTS_DRAWN)
    for _, part in bars.groupby(np.searchsorted(np.sort(breaks), stamps, side="left")):
        drawn = part.groupby(stretch[part.index - bars.index[0]]).agg(
            {"closed_at_ns": "last", "low": "min", "high": "max"}
        )
        at = drawn["closed_at_ns"].to_numpy().view("M8[ns]")
        axes.fill_between(at, drawn["low"], drawn["high"], color="#1f4e8c", linewidth=0.6)
    for gap in sorted(gaps, key=lambda gap: -gap.missing_bars)[:GAPS_SHOWN]:
        span = np.array([gap.after_ns, gap.before_ns], dtype="M8[ns]")
        axes.axvspan(span[0], span[1], color="#c2412d", alpha=0.35, linewidth=0.8)
    axes.set_ylabel("price, low to high")
    axes.set_xlabel("close (UTC)")
    axes.margins(x=0.01)
    return _png(figure)


def draw_reasons(quarantined: dict[str, int]) -> bytes:
    """Return a PNG of the quarantined rows by reason."""
    figure = Figure(figsize=(11.0, 0.6 + 0.4 * len(quarantined)), dpi=110, layout="constrained")
    axes = _plain_axes(figure)
    names = list(quarantined)[::-1]
    drawn = axes.barh(names, [quarantined[name] for name in names], color="#c2412d")
    axes.bar_label(drawn, fmt="{:,.0f}", padding=4)
    axes.margins(x=0.1)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("rows")
    return _png(figure)


def _plain_axes(figure: Figure) -> Axes:
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
