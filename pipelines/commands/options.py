"""Options that several commands share."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from online.domain.market import Timeframe
from pipelines.home import DEFAULT_HOME

HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        help="Folder that holds the lake, the models, the journal and what runs.",
        file_okay=False,
    ),
]
TokenOption = Annotated[
    Path | None, typer.Option("--token", help="File with the bearer token, instead of the home's.")
]
SymbolOption = Annotated[str, typer.Option("--symbol", help="Instrument, such as EURUSD.")]
TimeframeOption = Annotated[
    str, typer.Option("--timeframe", help=f"Length of the bars: {', '.join(Timeframe)}.")
]
DayOption = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="Day (UTC) that bounds the bars."),
]
SpreadOption = Annotated[
    float | None,
    typer.Option(
        min=0.0, help="Assumed where the bars bring no spread, points; else the symbol's."
    ),
]
SlippageOption = Annotated[
    int | None,
    typer.Option(
        min=0, help="By how much a fill at the market is worse, points; else the symbol's."
    ),
]
SwapOption = Annotated[
    tuple[float, float] | None,
    typer.Option(
        metavar="LONG SHORT",
        help="Paid for a night to either side, points, negative costs; else the symbol's.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

HOME = DEFAULT_HOME.root
DEMO_HOME = HOME / "demo"
SYMBOL = "EURUSD"
TIMEFRAME = "H1"
