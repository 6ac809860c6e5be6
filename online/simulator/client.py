"""The client terminal: the program between the API and the trade server, with its switches."""

from __future__ import annotations

import time
from collections.abc import Callable

from online.domain.market import NANOSECONDS_PER_SECOND
from online.simulator.faults import Fault, FaultPlan
from online.simulator.latency import Latency
from online.simulator.prices import PriceRecorder
from online.simulator.records import DealRow
from online.simulator.tape import Tape
from online.simulator.terminal import SimulatedTerminal

_FOREVER_SECONDS = 3_600.0


class ClientTerminal:
    """A terminal on the trading host, logged in to the simulated broker.

    Parameters
    ----------
    terminal
        The account; a recorder is given to it if it has none.
    tape
        Recorded ticks; an order's latency plays them. Without a tape orders arrive at once.
    latency
        Of orders.
    faults
        What goes wrong.
    login, password, server
        The account's credentials; an empty password lets everybody in.
    wait
        Called with the seconds a slow answer takes.

    Attributes
    ----------
    connected
        False while the trade server is out of reach.
    trade_allowed
        The terminal's button for automated trading.
    api_allowed
        The terminal's option for trading through the Python API.
    current_faults
        What goes wrong in the call that is under way.
    """

    def __init__(
        self,
        terminal: SimulatedTerminal,
        *,
        tape: Tape | None = None,
        latency: Latency | None = None,
        faults: FaultPlan | None = None,
        login: int = 1_000_001,
        password: str = "",
        server: str = "Simulated-Demo",
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.terminal = terminal
        self.tape = tape
        self.latency = latency or Latency()
        self.faults = faults or FaultPlan()
        self.login = login
        self.password = password
        self.server = server
        self.wait = wait
        self.connected = self.trade_allowed = self.api_allowed = True
        self.current_faults: tuple[Fault, ...] = ()
        self.selected = set(terminal.markets)
        self.books: set[str] = set()
        self._hidden_until_ns: dict[int, int] = {}
        if terminal.recorder is None:
            terminal.recorder = PriceRecorder()
        self.recorder = terminal.recorder

    def travel(self) -> None:
        """Let an order travel: what is on the tape meanwhile happens before it arrives."""
        if self.tape is not None:
            self.tape.play_until(self.terminal.now_ns + self.latency.draw_ns())

    def hang(self) -> None:
        """Never return."""
        while True:
            self.wait(_FOREVER_SECONDS)

    def admits(self, login: int | None, password: str | None, server: str | None) -> bool:
        """Tell whether credentials are the account's; what is not given is not checked."""
        return (
            login in {None, self.login}
            and server in {None, self.server}
            and (not self.password or password in {None, self.password})
        )

    def hide_deals_after(self, ticket: int, seconds: float) -> None:
        """Keep deals with tickets above `ticket` out of the history for a while."""
        until_ns = self.terminal.now_ns + round(seconds * NANOSECONDS_PER_SECOND)
        for deal in self.terminal.server.history.deals[ticket:]:
            self._hidden_until_ns[deal.ticket] = until_ns

    def sees(self, deal: DealRow) -> bool:
        """Tell whether the history already shows a deal."""
        return self._hidden_until_ns.get(deal.ticket, 0) <= self.terminal.now_ns
