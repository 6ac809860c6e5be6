"""`sextant features list`, `show` and `page`: what can be computed, and what it looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from online.domain.market import Timeframe
from pipelines.commands.options import (
    HOME,
    SYMBOL,
    TIMEFRAME,
    HomeOption,
    JsonOption,
    SymbolOption,
    TimeframeOption,
)
from pipelines.commands.terminal import console, notes, rows_table, write_json
from pipelines.home import Home


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    group.command("list", epilog="Example: sextant features list --group higher")(list_features)
    group.command("show", epilog="Example: sextant features show h4_rsi_14")(show)
    group.command("page", epilog="Example: sextant features page --symbol EURUSD")(page)


def list_features(
    timeframe: TimeframeOption = TIMEFRAME,
    group: Annotated[
        str | None, typer.Option(help="One group, such as momentum, higher or cross.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the features that bars of a timeframe can have."""
    from feature_repo.catalogue import DEFAULT_NAMES, entries, expand, select, view_name

    length = Timeframe.parse(timeframe)
    found = entries(length) if group is None else select(expand([group], length), length)
    rows: list[dict[str, str | float]] = [
        {
            "name": feature.name,
            "view": view_name(length, feature.group),
            "of": feature.scope,
            "warm_up_bars": feature.memory_bars,
            "default": "yes" if feature.name in DEFAULT_NAMES else "",
            "meaning": feature.meaning,
        }
        for feature in found
    ]
    if json:
        write_json(rows)
        return
    console.print(rows_table(f"{len(rows)} features of {length} bars", rows))


def show(
    name: Annotated[str, typer.Argument(help="Of a feature, such as h4_rsi_14.")],
    symbol: SymbolOption = SYMBOL,
    timeframe: TimeframeOption = TIMEFRAME,
    json: JsonOption = False,
) -> None:
    """Tell everything about one feature, and for a symbol which peers it is made of."""
    from feature_repo.catalogue import select, view_name
    from feature_repo.feature import CrossFeature
    from feature_repo.peers import peers_of

    length = Timeframe.parse(timeframe)
    (feature,) = select([name], length)
    told: dict[str, str | int] = {
        "name": feature.name,
        "meaning": feature.meaning,
        "view": view_name(length, feature.group),
        "of": feature.scope,
        "formula": feature.formula,
        "source": feature.source,
        "inputs": " ".join(sorted(feature.inputs)),
        "warm_up_bars": feature.memory_bars,
        "maximum_age_bars": feature.maximum_age_bars,
        "version": feature.version,
    }
    if isinstance(feature, CrossFeature):
        peers = peers_of(symbol)
        told["peers"] = (
            f"{symbol} has none: the feature is absent"
            if peers is None
            else f"{symbol} beside {', '.join(peers.pairs)}; reference {peers.reference}"
        )
    if json:
        write_json(told)
        return
    width = max(map(len, told))
    for key, value in told.items():
        console.print(f"{key:<{width}}  {value}", markup=False, highlight=False, soft_wrap=True)


def page(
    symbol: SymbolOption = SYMBOL,
    timeframe: TimeframeOption = TIMEFRAME,
    output: Annotated[
        Path | None, typer.Option(help="The file, instead of one among the lake's reports.")
    ] = None,
    home: HomeOption = HOME,
) -> None:
    """Write the catalogue as a page to browse, with every feature drawn on a symbol's bars."""
    from pipelines.feature_pages import write_catalogue_page
    from pipelines.feature_steps import read_series

    length, place = Timeframe.parse(timeframe), Home(home)
    file = output or place.lake / "reports" / f"catalogue-{symbol}-{length}.html"
    with notes.status(f"drawing the features of {symbol} {length}"):
        write_catalogue_page(file, read_series(place, symbol, length))
    console.print(f"Page: {file}", soft_wrap=True)
