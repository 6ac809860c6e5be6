"""`sextant gateway`: the process beside the terminal, real or simulated."""

from __future__ import annotations

import logging
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from pipelines.commands.gateway_demonstrate import demonstrate
from pipelines.commands.gateway_orders import orders
from pipelines.commands.options import (
    HOME,
    SYMBOL,
    TIMEFRAME,
    HomeOption,
    JsonOption,
    SymbolOption,
    TimeframeOption,
)
from pipelines.commands.terminal import console, notes, write_json

if TYPE_CHECKING:
    from online.adapters.gateway_broker import GatewayBroker
    from online.gateway.messages import Status

PORT, TERMINAL_PORT = 8220, 8221
CertificatesOption = Annotated[
    Path,
    typer.Option(
        "--certificates",
        help="Folder with authority.pem, operator.pem and operator.key.",
        file_okay=False,
    ),
]
CERTIFICATES = Path("certificates")
_HALF_HOUR_S, _NEAR_S = 1800.0, 60.0
"""Clocks of the world differ by half hours; ticks of a busy market are not older than a minute."""


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(
        help="The process beside the MetaTrader 5 terminal; see online/gateway/README.md.",
        no_args_is_help=True,
    )
    group.command("certs", epilog="Example: sextant gateway certs --host 10.0.0.7")(certs)
    group.command("serve", epilog="Example: sextant gateway serve gateway.toml")(serve)
    group.command("check", epilog="Example: sextant gateway check --host 10.0.0.7")(check)
    group.command("resume", epilog="Example: sextant gateway resume --by ann")(resume)
    group.command("halt", epilog="Example: sextant gateway halt 'odd fills' --by ann")(halt)
    group.command("flatten", epilog="Example: sextant gateway flatten 'leave now' --by ann")(
        flatten
    )
    group.command("orders", epilog="Example: sextant gateway orders gateway.toml --json")(orders)
    group.command("record", epilog="Example: sextant gateway record gateway.toml --to session")(
        record
    )
    group.command("compare", epilog="Example: sextant gateway compare session/orders.jsonl")(
        compare
    )
    group.command("terminal", epilog="Example: sextant gateway terminal --bar-seconds 5")(terminal)
    group.command("demonstrate", epilog="Example: sextant gateway demonstrate lost-reply")(
        demonstrate
    )
    app.add_typer(group, name="gateway")


def certs(
    host: Annotated[
        list[str], typer.Option(help="Name or address of the gateway; may be given again.")
    ],
    folder: Annotated[Path, typer.Option(help="Where they are written.")] = CERTIFICATES,
    days: Annotated[int, typer.Option(min=1, help="How long they are valid.")] = 397,
) -> None:
    """Make the authority and the certificates of gateway, scorer and operator."""
    from online.gateway.certificates import issue

    for path in issue(folder, host, days=days):
        console.print(str(path), markup=False, soft_wrap=True)
    notes.print(
        "To the gateway's host: authority.pem, gateway.pem, gateway.key. To the scorer's: "
        "authority.pem, scorer.pem, scorer.key; whoever only reads prices takes reader.pem and "
        "reader.key. authority.key belongs on neither.",
        style="dim",
    )


def serve(
    config: Annotated[Path, typer.Argument(help="TOML file with the gateway's settings.")],
) -> None:
    """Run the gateway until Ctrl-C."""
    _serve(config, None)


def record(
    config: Annotated[Path, typer.Argument(help="TOML file with the gateway's settings.")],
    to: Annotated[Path, typer.Option(help="Folder that receives the session.")] = Path("session"),
) -> None:
    """Run the gateway and write down every call of the terminal; begin with a flat demo account."""
    _serve(config, to)


def compare(
    session: Annotated[Path, typer.Argument(help="orders.jsonl of a recorded session.")],
    json: JsonOption = False,
) -> None:
    """Send a session's requests to the simulated terminal; exit 0 if its answers are the same."""
    from online.gateway.comparison import compare as compare_session
    from online.gateway.recording import read_session

    found = compare_session(read_session(session))
    if json:
        write_json(found)
    else:
        console.print(f"{found.requests} requests and {found.deals} deals were compared.")
        table = Table("request", "field", "recorded", "simulated")
        for each in found.differences:
            table.add_row(str(each.request), each.field, each.recorded, each.simulated)
        console.print(table if found.differences else "The simulator answered as the terminal did.")
    raise typer.Exit(1 if found.differences else 0)


def check(
    host: Annotated[str, typer.Option(help="Of the gateway.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of the gateway.")] = PORT,
    certificates: CertificatesOption = CERTIFICATES,
    symbol: Annotated[
        str, typer.Option("--symbol", help="Look at its newest tick, too: is the clock right?")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Say how a gateway is; exit 0 if orders would go through, of the symbol if one is named."""
    from online.gateway.certificates import find_expiry

    status = _ask(host, port, certificates, lambda broker: broker.status(symbol))
    ready = (
        status.state == "active"
        and status.connected
        and status.trade_allowed
        and all(worker.ready for worker in status.workers)
        and (not symbol or status.tick_age_seconds is not None)
    )
    expires_at = find_expiry(certificates / "operator.pem")
    if json:
        import msgspec

        told = {"ready": ready, "certificate_expires_at": expires_at}
        write_json({**told, **msgspec.structs.asdict(status)})
    else:
        _show(status, symbol)
        console.print(f"The operator's certificate expires {expires_at:%Y-%m-%d}.")
    raise typer.Exit(0 if ready else 1)


def resume(
    by: Annotated[str, typer.Option(help="Who resumes; it is logged.")],
    host: Annotated[str, typer.Option(help="Of the gateway.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of the gateway.")] = PORT,
    certificates: CertificatesOption = CERTIFICATES,
) -> None:
    """Let entries through again after the dead-man switch has halted them."""
    _show(_ask(host, port, certificates, lambda broker: broker.resume(by)))


def halt(
    reason: Annotated[str, typer.Argument(help="Why; it is logged and kept.")],
    by: Annotated[str, typer.Option(help="Who halts; it is logged.")],
    host: Annotated[str, typer.Option(help="Of the gateway.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of the gateway.")] = PORT,
    certificates: CertificatesOption = CERTIFICATES,
) -> None:
    """Let no entry through, with or without a scorer, until resumed."""
    _show(_ask(host, port, certificates, lambda broker: broker.climb(by, reason, flatten=False)))


def flatten(
    reason: Annotated[str, typer.Argument(help="Why; it is logged and kept.")],
    by: Annotated[str, typer.Option(help="Who flattens; it is logged.")],
    host: Annotated[str, typer.Option(help="Of the gateway.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of the gateway.")] = PORT,
    certificates: CertificatesOption = CERTIFICATES,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
) -> None:
    """Halt, and close all that came through this gateway, with or without a scorer."""
    if not yes:
        typer.confirm("Halt and close everything?", abort=True, err=True)
    _show(_ask(host, port, certificates, lambda broker: broker.climb(by, reason, flatten=True)))


def terminal(
    home: HomeOption = HOME,
    symbol: SymbolOption = SYMBOL,
    timeframe: TimeframeOption = TIMEFRAME,
    bar_seconds: Annotated[
        float, typer.Option(min=0.05, help="Seconds one recorded bar takes.")
    ] = 60.0,
    spread_points: Annotated[
        float | None,
        typer.Option(min=0.0, help="Assumed on bars without a spread, points; else the symbol's."),
    ] = None,
    port: Annotated[int, typer.Option(help="Loopback TCP port.")] = TERMINAL_PORT,
) -> None:
    """Run a simulated terminal whose market is the lake's last quarter, told as if it were now."""
    from online.domain.market import Timeframe
    from online.gateway.playback import play
    from online.gateway.terminal_server import TerminalServer
    from online.instruments import find_instrument
    from online.simulator.client import ClientTerminal
    from online.simulator.terminal import SimulatedTerminal
    from pipelines.feed import find_replay_start_ns
    from pipelines.home import Home
    from pipelines.lake import Lake
    from pipelines.market import read_market

    _log_to_standard_error()
    instrument, length = find_instrument(symbol), Timeframe.parse(timeframe)
    start_ns = find_replay_start_ns(Home(home), symbol, length)
    market = read_market(
        Lake(Home(home).lake), instrument, length, start_ns + 1, 1 << 62, spread_points
    )
    server = TerminalServer(
        ClientTerminal(SimulatedTerminal([instrument], hedging=True)), port=port
    )
    threading.Thread(target=server.run, name="terminal", daemon=True).start()
    console.print(f"listening on 127.0.0.1:{server.port}; {market.costs_note}", markup=False)
    stop = threading.Event()
    played = play(server, symbol, market.quotes, bar_seconds, stop)
    console.print(f"{played} bars were played; the account stays until Ctrl-C.")
    stop.wait()


def _ask(
    host: str,
    port: int,
    certificates: Path,
    question: Callable[[GatewayBroker], Awaitable[Status]],
) -> Status:
    """Ask a gateway as its operator; what goes wrong is told once, as an error."""
    import asyncio

    from online.adapters.gateway_address import GatewayAddress
    from online.adapters.gateway_broker import GatewayBroker
    from online.gateway.messages import Role
    from online.gateway.tls import TlsFiles

    tls = TlsFiles(
        certificates / "authority.pem",
        certificates / "operator.pem",
        certificates / "operator.key",
    )

    logging.getLogger("online").addHandler(logging.NullHandler())

    async def ask() -> Status:
        broker = GatewayBroker(GatewayAddress(host, port, tls), Role.OPERATOR)
        try:
            return await question(broker)
        finally:
            await broker.close()

    return asyncio.run(ask())


def _show(status: Status, symbol: str = "") -> None:
    age = status.tick_age_seconds
    untold = f"none of {symbol}: is that a symbol?" if symbol else "ask with --symbol"
    facts = (
        ("state", status.state.value + (f": {status.reason}" if status.reason else "")),
        ("account", f"{status.login} at {status.server}" if status.login else "not known yet"),
        ("terminal", "connected" if status.connected else "not connected to its trade server"),
        ("automated trading", "allowed" if status.trade_allowed else "off"),
        ("newest tick", untold if age is None else tell_age(age)),
        ("scorer", "linked" if status.scorer_linked else "not linked"),
        ("orders without a known fate", str(status.unresolved)),
        ("session, gateway start", f"{status.epoch}, {status.gateway}"),
    )
    table = Table("", "", show_header=False)
    for name, value in facts:
        table.add_row(name, value)
    for worker in status.workers:
        state = "ready" if worker.ready else f"not ready: {worker.trouble}"
        table.add_row(
            f"{worker.role} worker",
            f"{state}, process {worker.pid or '-'}, replaced {worker.replaced} times",
        )
    console.print(table)


def tell_age(seconds: float) -> str:
    """Say a tick's age, and what an age of whole half hours, or from the future, hints at."""
    off_s = abs(seconds - round(seconds / _HALF_HOUR_S) * _HALF_HOUR_S)
    shifted = seconds > _HALF_HOUR_S / 2 and off_s < _NEAR_S
    if seconds < -_NEAR_S or shifted:
        return f"{seconds:.1f} s old: whole hours mean that the gateway's server_time is wrong"
    return f"{seconds:.1f} s old"


def _serve(config: Path, record: Path | None) -> None:
    from online.gateway.serving import serve_gateway
    from online.gateway.settings import load_gateway_settings

    _log_to_standard_error()
    settings = load_gateway_settings(config)

    def listening(port: int) -> None:
        console.print(f"listening on {settings.host}:{port}", markup=False)

    serve_gateway(settings, listening, record)


def _log_to_standard_error() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
