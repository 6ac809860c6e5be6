"""`sextant orders`: look at orders and positions, close, change, cancel, trail, state a fate."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from online.domain.errors import InvalidInput
from pipelines.commands.options import HOME, HomeOption, JsonOption, TokenOption
from pipelines.commands.terminal import FittingTable, console, notes, write_json
from pipelines.home import Home

if TYPE_CHECKING:
    from pipelines.scorer_client import ScorerClient

URL = "http://127.0.0.1:8100"
_FATES = ("filled", "partial", "done", "rejected", "expired", "cancelled", "not_sent")
_HELP = """Orders and positions of a running scorer.

Every change is written to the journal with who wanted it, then sent once. It has an id; asked for
again with the same --id, it is answered with what is known of it and never sent a second time.
An order whose reply was lost is [bold]unknown[/] until the broker's own records tell its fate;
what it may be changing is left alone meanwhile.
"""

UrlOption = Annotated[
    str, typer.Option("--url", help=f"Of the scorer; else that of the home's platform, or {URL}.")
]
IdOption = Annotated[
    str, typer.Option("--id", help="Of the operation; the same id is carried out once.")
]
ByOption = Annotated[str, typer.Option("--by", help="Who wants it; journaled.")]
NoteOption = Annotated[str, typer.Option("--note", help="Why; journaled.")]
PositionArgument = Annotated[int, typer.Argument(help="The position's ticket.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    group.command("list", epilog="Example: sextant orders list")(list_orders)
    group.command("show", epilog="Example: sextant orders show op-3f2a")(show)
    group.command("close", epilog="Example: sextant orders close 1001 --volume 0.05")(close)
    group.command("close-all", epilog="Example: sextant orders close-all --symbol EURUSD")(
        close_all
    )
    group.command("modify", epilog="Example: sextant orders modify 1001 --stop 1.0925")(modify)
    group.command("cancel", epilog="Example: sextant orders cancel 2002")(cancel)
    group.command("trail", epilog="Example: sextant orders trail 1001 --distance 2 --unit atr")(
        trail
    )
    group.command(
        "resolve",
        epilog="Example: sextant orders resolve ID --status not_sent --by ann --note 'no trace'",
    )(resolve)
    app.add_typer(group, name="orders")


def list_orders(
    home: HomeOption = HOME,
    url: UrlOption = "",
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Show positions, what rests at the broker, what is unknown, and the newest orders."""
    with open_client(home, url, token) as scorer:
        orders, seen = scorer.get("/v1/orders"), scorer.get("/v1/positions")
    if json:
        write_json({**orders, "positions": seen["positions"]})
        return
    trailed = {record["position"] for record in orders["trails"]}
    names = ("ticket", "symbol", "side", "volume_lots", "opened_price", "stop", "target")
    lines = [["ticket", "symbol", "side", "lots", "opened at", "stop", "target", "trailed"]]
    for held in seen["positions"] or ():
        mark = "yes" if held["ticket"] in trailed else ""
        lines.append([*(str(held[name]) for name in names), mark])
    console.print(FittingTable("Open", lines) if seen["positions"] else "No position is open.")
    for title, rows in (("Fate unknown", "unresolved"), ("Newest orders", "newest")):
        if orders[rows]:
            console.print(_orders_table(title, orders[rows]))
    if orders["at_broker"]:
        told = ("ticket", "symbol", "side", "kind", "volume_lots", "price")
        resting = [[str(order[name]) for name in told] for order in orders["at_broker"]]
        head = ["ticket", "symbol", "side", "kind", "lots", "price"]
        console.print(FittingTable("Resting", [head, *resting]))


def show(
    intent_id: Annotated[str, typer.Argument(help="Of the order, as `list` shows it.")],
    home: HomeOption = HOME,
    url: UrlOption = "",
    token: TokenOption = None,
) -> None:
    """Show everything the journal holds of one order, as JSON."""
    with open_client(home, url, token) as scorer:
        order = scorer.get(f"/v1/orders/{intent_id}")
        records = scorer.records_of(order["decision_id"])
    write_json({"order": order, "records": records})


def close(
    position: PositionArgument,
    volume: Annotated[
        float | None, typer.Option(help="Lots to close; all of them where it is not given.")
    ] = None,
    by: ByOption = "",
    note: NoteOption = "",
    client_id: IdOption = "",
    home: HomeOption = HOME,
    url: UrlOption = "",
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Close a position at the market, or a part of it."""
    body = {"position": position, "volume_lots": volume}
    _operate("close", body, client_id, by, note, _Place(home, url, token, json))


def close_all(
    symbol: Annotated[str, typer.Option(help="Only this one's; else every symbol's.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    by: ByOption = "",
    note: NoteOption = "",
    client_id: IdOption = "",
    home: HomeOption = HOME,
    url: UrlOption = "",
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Cancel every resting order of this journal, then close every position of it.

    What a person or another program opened is left alone and named.
    """
    if not yes:
        what = f"all of {symbol}" if symbol else "every position"
        typer.confirm(f"Close {what} at the market and cancel its resting orders?", abort=True)
    chosen = client_id or new_id()
    notes.print(f"Closing, id {chosen}: asked for again with --id, it goes on and tells of all.")
    body = {"symbol": symbol, "confirm": True, "client_id": chosen, "by": by, "note": note}
    with open_client(home, url, token) as scorer:
        answer = scorer.operate("/v1/orders/close-all", body, scorer.closing_seconds)
    if json:
        write_json(answer)
    else:
        for each in answer["operations"]:
            reply, refusal = each["reply"], each["refusal"]
            said = f"{refusal['code']}: {refusal['detail']}" if refusal else _words(reply)
            console.print(f"{each['client_id']}: {said}", markup=False, soft_wrap=True)
        if not answer["operations"]:
            console.print("Nothing of this journal is open.")
        for ticket in answer["left_alone"]:
            notes.print(f"position {ticket} is not of this journal: left alone")
    done = all(each["reply"] and each["reply"]["status"] in _DONE for each in answer["operations"])
    raise typer.Exit(0 if done else 1)


def modify(
    position: PositionArgument,
    stop: Annotated[float | None, typer.Option(help="Price; kept where not given.")] = None,
    target: Annotated[float | None, typer.Option(help="Price, 0 for none; kept likewise.")] = None,
    by: ByOption = "",
    note: NoteOption = "",
    client_id: IdOption = "",
    home: HomeOption = HOME,
    url: UrlOption = "",
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Replace a position's stop loss or take profit at the broker."""
    from online.domain.errors import InvalidInput, NotFound

    if stop is None and target is None:
        raise InvalidInput("give --stop, --target or both: else there is nothing to change")
    with open_client(home, url, token) as scorer:
        seen = scorer.get("/v1/positions")["positions"] or ()
    held = next((each for each in seen if each["ticket"] == position), None)
    if held is None:
        raise NotFound(f"no position {position} is open", code="UNKNOWN_POSITION")
    body = {
        "position": position,
        "stop": held["stop"] if stop is None else stop,
        "target": held["target"] if target is None else target,
    }
    _operate("modify", body, client_id, by, note, _Place(home, url, token, json))


def cancel(
    order: Annotated[int, typer.Argument(help="The broker's ticket of the resting order.")],
    by: ByOption = "",
    note: NoteOption = "",
    client_id: IdOption = "",
    home: HomeOption = HOME,
    url: UrlOption = "",
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Take back an order that waits at the broker for its price."""
    _operate("cancel", {"order": order}, client_id, by, note, _Place(home, url, token, json))


def trail(
    position: PositionArgument,
    distance: Annotated[
        float | None, typer.Option(help="From the market to the stop; in the unit given.")
    ] = None,
    step: Annotated[float, typer.Option(min=0.0, help="Least move of the stop, same unit.")] = 0.0,
    unit: Annotated[
        str, typer.Option(help="price, or atr: the model's unit of volatility as it is now.")
    ] = "price",
    end: Annotated[bool, typer.Option("--end", help="Trail it no more; its stop stays.")] = False,
    by: ByOption = "",
    note: NoteOption = "",
    home: HomeOption = HOME,
    url: UrlOption = "",
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Let a position's broker-side stop follow the market, in its favour alone.

    Models do not do this: their exits are their label's. Only a position put here is trailed.
    """
    from online.domain.errors import InvalidInput

    if end is (distance is not None):
        raise InvalidInput("give --distance to trail the position, or --end to stop that")
    body = {"position": position, "distance": distance, "step": step, "unit": unit}
    with open_client(home, url, token) as scorer:
        answer = scorer.post("/v1/orders/trail", {**body, "by": by, "note": note})
    if json:
        write_json(answer)
    else:
        told = [str(record["position"]) for record in answer["trails"]]
        console.print(f"Trailed now: {', '.join(told) or 'none'}.")


def resolve(
    intent_id: Annotated[str, typer.Argument(help="Of the order of unknown fate, or vanished.")],
    status: Annotated[
        str,
        typer.Option(help=f"What became of it: {', '.join(_FATES)}."),
    ],
    by: Annotated[str, typer.Option("--by", help="Your name; journaled.")],
    note: Annotated[str, typer.Option("--note", help="From what you know it; journaled.")],
    price: Annotated[float, typer.Option(help="Of the fill, if there was one.")] = 0.0,
    volume: Annotated[float, typer.Option(help="Of the fill, lots.")] = 0.0,
    position: Annotated[int, typer.Option(help="The position's ticket, if it opened one.")] = 0,
    home: HomeOption = HOME,
    url: UrlOption = "",
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """State what became of an order of unknown fate, or of one that rested and vanished.

    The broker's evidence goes first: it is looked for once more, and an order that the broker
    still shows is refused. State only what you have seen in
    the terminal's history or been told by the broker; the journal keeps your name and note.
    """
    if status not in _FATES:
        raise InvalidInput(f"--status is one of {', '.join(_FATES)}, got {status!r}")
    told = {"price": price, "volume_lots": volume, "position": position}
    body = {"intent_id": intent_id, "status": status, "by": by, "note": note, **told}
    with open_client(home, url, token) as scorer:
        answer = scorer.post("/v1/orders/resolve", body)
    if json:
        write_json(answer)
    else:
        console.print(f"{intent_id} is {answer['stage']} by the word of {by}.")


_DONE = frozenset({"filled", "done", "accepted"})


class _Place:
    """Where a scorer is and how its answer is shown."""

    def __init__(self, home: Path, url: str, token: Path | None, json: bool) -> None:  # noqa: FBT001 - Typer's flag
        self.client = open_client(home, url, token)
        self.json = json


def _operate(
    name: str, body: dict[str, Any], client_id: str, by: str, note: str, place: _Place
) -> None:
    """Ask for an operation, show what came of it, and exit 1 where it was not carried out."""
    chosen = client_id or new_id()
    with place.client as scorer:
        asked = {**body, "client_id": chosen, "by": by, "note": note}
        answer = scorer.operate(f"/v1/orders/{name}", asked, scorer.order_seconds)
    if place.json:
        write_json(answer)
    else:
        told = _words(answer["reply"]) if answer["reply"] else answer["stage"]
        console.print(f"{name}, id {chosen}: {told}", markup=False, soft_wrap=True)
        if answer["stage"] == "unknown":
            notes.print("Its fate is looked for; `sextant orders list` tells when it is known.")
    raise typer.Exit(0 if answer["stage"] in _DONE else 1)


def open_client(home: Path, url: str, token: Path | None) -> ScorerClient:
    """Return a client of the scorer at a URL, or of the platform that runs in a home."""
    from pipelines.platform.state import read_state
    from pipelines.scorer_client import ScorerClient

    platform = read_state(Home(home).run / "platform.json")
    found = [part.url for part in platform.parts if part.name == "scorer"] if platform else []
    return ScorerClient(url or (found or [URL])[0], token or Home(home).token)


def new_id() -> str:
    """Return an id for an operation that was given none."""
    return uuid.uuid4().hex[:12]


def _words(reply: dict[str, Any]) -> str:
    fill = f", {reply['volume_lots']} lots at {reply['price']}" if reply["price"] else ""
    said = f" ({reply['comment']})" if reply["comment"] else ""
    return f"{reply['status']}{fill}{said}"


def _orders_table(title: str, orders: list[dict[str, Any]]) -> FittingTable:
    lines = [("id", "what", "symbol", "side", "lots", "stage", "told")]
    for order in orders:
        intent, reply = order["intent"], order["reply"]
        lines.append(
            (
                *(order["intent_id"], intent["purpose"], intent["symbol"], intent["side"]),
                *(str(intent["volume_lots"]), order["stage"], _words(reply) if reply else ""),
            )
        )
    return FittingTable(title, lines)
