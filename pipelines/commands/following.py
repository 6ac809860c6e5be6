"""`sextant follow`: the live terminal's ticks into bars, features and decisions, as they come."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.commands.environment import prepare_environment, tell_warnings
from pipelines.commands.options import (
    HOME,
    SYMBOL,
    HomeOption,
    TimeframeOption,
    TokenOption,
)
from pipelines.commands.terminal import console, notes
from pipelines.home import Home

if TYPE_CHECKING:
    from pipelines.follow import Followed

_NANOSECONDS_PER_SECOND = 1_000_000_000
_EXAMPLE = "Example: sextant follow --symbol EURUSD --symbol GBPUSD --symbol USDJPY --timeframe M1"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("follow", epilog=_EXAMPLE)(follow)


def follow(
    symbol: Annotated[
        list[str] | None,
        typer.Option(
            help="Instrument, such as EURUSD (the default); may be given again. Features across "
            "symbols are served for one whose peers are all followed."
        ),
    ] = None,
    timeframe: TimeframeOption = "M1",
    host: Annotated[str, typer.Option(help="Of the gateway.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of the gateway.")] = 8220,
    certificates: Annotated[
        Path, typer.Option(help="Folder with authority.pem, reader.pem and reader.key.")
    ] = Path("certificates"),
    scorer: Annotated[
        str | None, typer.Option(help="Address of a scorer that is asked to trade on each bar.")
    ] = None,
    token: TokenOption = None,
    every_seconds: Annotated[
        float, typer.Option(min=0.05, help="Between two looks at the terminal.")
    ] = 1.0,
    bars: Annotated[
        int | None, typer.Option(min=1, help="End after so many closed bars; else at Ctrl-C.")
    ] = None,
    home: HomeOption = HOME,
) -> None:
    """Follow the live terminal: its ticks close bars, whose features go to Redis and the lake.

    A symbol has features across symbols if all of its peers (peers.toml) are followed with it.
    """
    prepare_environment(Home(home))
    from online.domain.errors import Unavailable
    from online.domain.market import Timeframe
    from pipelines.follow import LiveFeed
    from pipelines.follow_report import telling
    from pipelines.scorer_client import ScorerClient
    from pipelines.sources.terminal_link import GatewayPlace, open_link

    tell_warnings(stamped=True)
    symbols = list(dict.fromkeys(symbol or [SYMBOL]))
    for each in symbols:
        notes.print(_peers_line(each, symbols), markup=False, soft_wrap=True)
    place = GatewayPlace(host=host, port=port, certificates=certificates)
    length, stop, closed = Timeframe.parse(timeframe), threading.Event(), 0
    with contextlib.ExitStack() as opened:
        link = opened.enter_context(open_link(place))
        trader = None
        if scorer is not None:
            trader = opened.enter_context(ScorerClient(scorer, token or Home(home).token))
        feed = LiveFeed(Home(home), link, symbols, length, time.time_ns, trader=trader)
        told = opened.enter_context(telling(Home(home), length.value, symbols, time.time_ns()))
        while bars is None or closed < bars:
            followed, trouble = [], ""
            try:
                followed = feed.poll()
            except Unavailable as error:
                trouble = f"{error.code}: {error}"
                notes.print(trouble, markup=False, soft_wrap=True)
            told.tell(followed, time.time_ns(), trouble)
            for answered in followed:
                console.print(_line(answered), markup=False, soft_wrap=True)
            closed += len(followed)
            if bars is None or closed < bars:
                stop.wait(every_seconds)


def _peers_line(symbol: str, symbols: list[str]) -> str:
    """Return whom a symbol is seen beside, or why there are no features across symbols."""
    from pipelines.live_vectors import split_peers

    peers, wanting = split_peers(symbol, symbols)
    if peers:
        return f"{symbol} is seen beside {', '.join(peers)}"
    why = f"{', '.join(wanting)} not followed" if wanting else "peers.toml names no peers"
    return f"{symbol} has no features across symbols in this run: {why}"


def _line(followed: Followed) -> str:
    """Return a closed bar in a line."""
    bar, told = followed.bar, followed.bar.microstructure
    at = datetime.fromtimestamp(bar.closed_at_ns // _NANOSECONDS_PER_SECOND, tz=UTC)
    spread = "" if told is None else f", spread {told.spread_points:.1f} points"
    served = "kept" if followed.receipt is None else f"{len(followed.receipt.written)} views served"
    decided = "" if followed.decision is None else f", {tell_decision(followed.decision)}"
    price = f"{bar.close:g} of {bar.volume:g} ticks{spread}"
    return f"{at:%Y-%m-%d %H:%M} {followed.symbol} {price}; {served}{decided}"


def tell_decision(answer: Mapping[str, Any]) -> str:
    """Return what was decided, under which id it is explained, and what spoke against it."""
    codes = [veto["reason"] for veto in (*answer.get("reasons", ()), *answer.get("vetoes", ()))]
    because = f" ({', '.join(dict.fromkeys(codes))})" if codes else ""
    return f"{answer.get('action', 'decided')}{because}: {answer.get('decision_id', 'no id')}"
