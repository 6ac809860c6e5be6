"""Sessions recorded beside a terminal, compared with the simulator."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from online.domain.errors import InvalidInput
from online.domain.market import Instrument, Quote, Side
from online.gateway.comparison import compare
from online.gateway.order_desk import OrderDesk
from online.gateway.recording import RecordedCall, read_session, record_calls
from online.gateway.request import OrderRules
from online.gateway.terminal_choice import SimulatedChoice, connect
from online.gateway.translation import Translation
from online.simulator.client import ClientTerminal
from online.simulator.metatrader5 import SimulatedMetaTrader5
from online.simulator.rules import AccountRules
from online.simulator.server_time import ServerTime
from online.simulator.terminal import SimulatedTerminal
from tests.gateway_world import closing, entry

pytestmark = pytest.mark.lean

ACCOUNT = (1_000_001, "Simulated-Demo")
EURUSD = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0, volume_max=5.0)


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """Return a session with an entry, its close, a refusal and an order in the other direction."""
    rules = AccountRules(hedging=True, commission_per_lot=3.5)
    client = ClientTerminal(SimulatedTerminal([EURUSD], rules=rules))
    path = tmp_path / "orders.jsonl"
    terminal = record_calls(SimulatedMetaTrader5(client), path)
    connect(terminal, SimulatedChoice())
    terminal.account_info()
    clock_ns = time.time_ns()
    client.terminal.on_quote(Quote("EURUSD", 1.1, 1.1002, clock_ns))
    translation = Translation({}, ServerTime())
    desk = OrderDesk(terminal, ACCOUNT, translation, OrderRules(), lambda: None)
    opened = desk.execute(entry(1), 1.0)
    client.terminal.on_quote(Quote("EURUSD", 1.1007, 1.1009, clock_ns + 10**9))
    desk.execute(closing(2, entry(1), opened.position), 1.0)
    desk.execute(entry(3, volume_lots=9.0, quoted=1.1009), 1.0)
    desk.execute(entry(4, side=Side.SELL, stop=1.12, target=1.08), 1.0)
    return path


def change(session: Path, old: str, new: str) -> list[RecordedCall]:
    text = session.read_text()
    assert old in text
    session.write_text(text.replace(old, new, 1))
    return list(read_session(session))


def test_session_of_the_simulator_is_its_own_equal(session: Path) -> None:
    found = compare(read_session(session))
    assert (found.requests, found.deals, found.differences) == (4, 3, ())


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('"retcode":10014', '"retcode":10013', "retcode"),
        ('"price":1.1002,"commission"', '"price":1.1005,"commission"', "deal.price"),
        (
            '"commission":-0.35,"swap":0.0,"profit":5',
            '"commission":-0.35,"swap":0.0,"profit":6',
            "deal.profit",
        ),
        ('"comment":"sx-4","external_id"', '"comment":"other","external_id"', "deal.comment"),
    ],
)
def test_difference_is_named_with_its_request(
    session: Path, old: str, new: str, field: str
) -> None:
    (difference,) = compare(change(session, old, new)).differences
    assert difference.field == field


def test_session_names_nobody(session: Path) -> None:
    account = next(call for call in read_session(session) if call.call == "account_info")
    assert not {"login", "name", "company"} & set(account.value)


def test_session_that_is_damaged_names_its_line(session: Path) -> None:
    with session.open("a") as file:
        file.write("{}\n")
    last = len(session.read_text().splitlines())
    with pytest.raises(InvalidInput, match=f"line {last}"):
        list(read_session(session))


def test_session_without_an_order_compares_nothing(session: Path) -> None:
    calls = [call for call in read_session(session) if call.call != "order_send"]
    with pytest.raises(InvalidInput, match="nothing to compare"):
        compare(calls)
