"""The catalogue as a page to browse: every entry, with plots where bars are given."""

from __future__ import annotations

from pathlib import Path

from feature_repo.bars import BarArrays
from feature_repo.catalogue import CATALOGUE, DEFAULT_NAMES, available, groups, view_version
from feature_repo.engine import compute_batch
from pipelines.feature_report import draw
from pipelines.page import Page


def write_catalogue_page(path: Path, bars: BarArrays | None = None, of: str = "") -> None:
    """Write the catalogue as HTML, whole or not at all.

    Parameters
    ----------
    path
        Where.
    bars
        Bars to draw the features on; None for no plots. What they cannot serve is said.
    of
        What the bars are, for the reader, for example ``EURUSD H1``.
    """
    served = available(bars.inputs) if bars is not None else ()
    values = compute_batch(bars, served) if bars is not None else {}
    page = Page(
        "The feature catalogue",
        f"{len(CATALOGUE)} features in {len(groups())} views; generated from the code"
        + (f", drawn on {of}" if bars is not None else ""),
    )
    page.cards(
        {
            "features": len(CATALOGUE),
            "in the default vector": len(DEFAULT_NAMES),
            "longest warm-up, bars": max(feature.memory_bars for feature in CATALOGUE),
        }
    )
    for group, members in groups().items():
        page.heading(f"{group.value}, version {view_version(group)}")
        page.table(
            ["name", "meaning", "inputs", "warm-up", "max age", "version", "default", "source"],
            [
                (
                    feature.name,
                    feature.meaning,
                    " ".join(sorted(feature.inputs)),
                    feature.memory_bars,
                    f"{feature.maximum_age_bars} bar",
                    feature.version,
                    feature.name in DEFAULT_NAMES,
                    feature.source,
                )
                for feature in members
            ],
        )
        if bars is None:
            continue
        if all(feature.name in values for feature in members):
            page.picture(draw(bars, members, values), f"{group.value} features over time")
        else:
            absent = {name for feature in members for name in feature.inputs - bars.inputs}
            page.paragraph(f"These bars have no {', '.join(sorted(absent))}: the view is absent.")
    page.write(path)
