"""A simulated terminal in this process, for a real gateway to read: quotes of any time."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd

from online.domain.daylight import DaylightSaving
from online.domain.market import Quote
from online.gateway.terminal_server import TerminalServer
from online.instruments import find_instrument
from online.simulator.client import ClientTerminal
from online.simulator.rules import AccountRules
from online.simulator.server_time import ServerTime
from online.simulator.terminal import SimulatedTerminal
from tests.gateway_world import Terminal, World, running_world

ZONE = ServerTime(2, DaylightSaving.AMERICA)
_SERVER_TIME = '[server_time]\noffset_hours = 2\ndaylight_saving = "america"\n'


@dataclass
class LiveTerminal:
    """A terminal that is told its quotes, and the gateway beside it."""

    server: TerminalServer
    client: ClientTerminal
    world: World

    @property
    def place(self) -> dict[str, Any]:
        """Where the gateway is, for those who read prices."""
        return {"port": self.world.port, "certificates": self.world.folder / "certificates"}

    def quote(self, ticks: pd.DataFrame, symbol: str = "EURUSD") -> None:
        """Let the market say quotes: ``at_ns``, ``bid``, ``ask``; the last one is traded on."""
        at_ns, bid, ask = (ticks[name].to_numpy() for name in ("at_ns", "bid", "ask"))
        if len(ticks) > 1:
            self.client.recorder.add_many(symbol, at_ns[:-1], bid[:-1], ask[:-1])
        self.server.on_quote(Quote(symbol, float(bid[-1]), float(ask[-1]), int(at_ns[-1])))


@contextmanager
def live_terminal(
    folder: Path, told: str = _SERVER_TIME, symbols: tuple[str, ...] = ("EURUSD",)
) -> Iterator[LiveTerminal]:
    """Yield a terminal on New York's server time and a gateway that is told `told` of it."""
    rules = AccountRules(zone=ZONE, hedging=True)
    client = ClientTerminal(SimulatedTerminal([*map(find_instrument, symbols)], rules=rules))
    server = TerminalServer(client)
    threading.Thread(target=server.run, daemon=True).start()
    nobody = cast("subprocess.Popen[str]", None)
    with running_world(folder, Terminal(nobody, server.port), more=told) as world:
        yield LiveTerminal(server, client, world)
