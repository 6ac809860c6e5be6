"""The catalogue as a page to browse: every entry, with plots where bars are given."""

from __future__ import annotations

from pathlib import Path

from feature_repo.catalogue import DEFAULT_NAMES, entries, groups, served, view_name, view_version
from feature_repo.panel import Panel
from feature_repo.peers import peers_of
from feature_repo.vector import compute_vectors
from feature_repo.windows import WINDOWS
from online.domain.market import Timeframe
from pipelines.feature_report import draw
from pipelines.page import Page


def write_catalogue_page(
    path: Path, panel: Panel | None = None, timeframe: Timeframe = Timeframe.H1
) -> None:
    """Write the catalogue as HTML, whole or not at all.

    Parameters
    ----------
    path
        Where.
    panel
        Bars to draw the features on; None for no plots. What they cannot serve is said.
    timeframe
        Of the bars that the entries are about where no panel is given.
    """
    length = timeframe if panel is None else panel.timeframe
    known = entries(length)
    shown = served(panel) if panel is not None else ()
    values = compute_vectors(panel, shown) if panel is not None else {}
    of = "" if panel is None else f", drawn on {panel.symbol} {length}"
    page = Page(
        "The feature catalogue",
        f"{len(known)} features of {length} bars in {len(groups(known))} views; generated from the "
        f"code{of}",
    )
    page.cards(
        {
            "features": len(known),
            "in the default vector": len(DEFAULT_NAMES),
            "longest warm-up, bars": max(feature.memory_bars for feature in known),
        }
    )
    for group, members in groups(known).items():
        page.heading(f"{view_name(length, group)}, version {view_version(group, length)}")
        page.table(
            [
                "name",
                "meaning",
                "of",
                "inputs",
                "warm-up",
                "max age",
                "version",
                "default",
                "source",
            ],
            [
                (
                    feature.name,
                    feature.meaning,
                    feature.scope,
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
        if panel is None:
            continue
        drawn = [feature for feature in members if feature.name in values]
        if drawn:
            page.picture(draw(panel.own, drawn, values), f"{group.value} features over time")
        absent = [feature for feature in members if feature.name not in values]
        if absent:
            page.paragraph(f"Absent here: {_why_absent(panel)}")
    _tell_windows(page, length)
    page.write(path)


def _tell_windows(page: Page, timeframe: Timeframe) -> None:
    """List the windows, each in a view of its own."""
    asked = {window: window.contract(timeframe) for window in WINDOWS}
    page.heading("windows")
    page.table(
        ["name", "view", "version", "vectors", "bytes", "features"],
        [
            (window.key, of.view, of.version, of.length, of.n_bytes, ", ".join(of.features))
            for window, of in asked.items()
        ],
    )


def _why_absent(panel: Panel) -> str:
    """Say what a panel's bars lack, in one sentence."""
    peers = peers_of(panel.symbol)
    lacking = sorted({"volume"} - panel.own.inputs)
    if panel.own.microstructure is None:
        lacking.append("what quotes tell")
    if peers is None:
        lacking.append("peers (peers.toml names none)")
    elif not panel.others:
        lacking.append(f"the bars of {', '.join(peers.others)}")
    return f"these bars lack {', '.join(lacking)}."
