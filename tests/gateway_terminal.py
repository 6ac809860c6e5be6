"""A simulated terminal as a process, ordered about by JSON lines on its standard input.

Run as ``python -m tests.gateway_terminal BALANCE [netting]``; it says its port and answers line by
line.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress

from online.domain.market import Instrument, Quote
from online.gateway.remote_terminal import Call
from online.gateway.terminal_server import TerminalServer
from online.simulator import constants as mt5
from online.simulator.client import ClientTerminal
from online.simulator.faults import Fault, FaultKind
from online.simulator.metatrader5 import SimulatedMetaTrader5
from online.simulator.terminal import SimulatedTerminal
from online.simulator.trade_tuples import TradeRequest

EURUSD = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0)


class MurderousServer(TerminalServer):
    """Ends a process when the next order arrives, before or after it is carried out."""

    victim, when = 0, ""

    def answer(self, package: SimulatedMetaTrader5, call: Call) -> bytes:
        """Carry out a call, or never answer it."""
        if call.name != "order_send" or not self.victim:
            return super().answer(package, call)
        victim, self.victim = self.victim, 0
        if self.when == "after":
            super().answer(package, call)
        os.kill(victim, signal.SIGKILL)
        raise EOFError


def flatten(terminal: SimulatedTerminal) -> int:
    """End every position and order at the server; return the newest deal's ticket."""
    market, server = terminal.markets["EURUSD"], terminal.server
    for order in tuple(server.pending.resting):
        remove = TradeRequest(mt5.TRADE_ACTION_REMOVE, order=order, symbol="EURUSD")
        server.execute(remove, terminal.now_ns)
    for held in tuple(server.book.open.values()):
        price = market.closing_price(held.side)
        server.matching.close(held, market, price, mt5.ORDER_REASON_SO, terminal.now_ns)
    return server.history.next_ticket - 1


def main() -> None:
    """Serve until standard input ends."""
    hedging = "netting" not in sys.argv[2:]
    terminal = SimulatedTerminal([EURUSD], balance=float(sys.argv[1]), hedging=hedging)
    client = ClientTerminal(terminal)
    server = MurderousServer(client)
    server.on_quote(Quote("EURUSD", 1.1, 1.1002, time.time_ns()))
    threading.Thread(target=server.run, daemon=True).start()
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        order = json.loads(line)
        told: object = None
        match order.pop("do"):
            case "fault":
                fault = Fault(FaultKind(order["kind"]), order.get("seconds", 0.0))
                client.faults.on(order.get("call", "order_send"), fault)
            case "waits":
                told = client.faults.waits
            case "kill":
                server.when, server.victim = order["when"], order["pid"]
            case "quote":
                server.on_quote(Quote("EURUSD", order["bid"], order["ask"], time.time_ns()))
            case "switch":
                for name, value in order.items():
                    setattr(client, name, value)
            case "flatten":
                told = flatten(terminal)
            case "deals":
                told = [
                    [d.magic, d.comment, d.volume, d.entry]
                    for d in terminal.server.history.deals[1:]
                ]
        with suppress(BrokenPipeError):
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
