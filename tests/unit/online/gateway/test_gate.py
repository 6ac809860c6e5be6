from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from online.domain.errors import Unavailable
from online.domain.order import OrderReply, OrderStatus, Purpose
from online.domain.trading_state import TradingState
from online.gateway.gate import Gate
from online.gateway.inbox import Inbox, open_inbox
from online.gateway.market_desk import Health
from tests.gateway_world import closing, entry

pytestmark = pytest.mark.lean

WELL = Health(connected=True, trade_allowed=True, quote_age_seconds=None)


class Stopwatch:
    """A clock the test turns."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = open_inbox(tmp_path / "inbox.db")
    yield opened
    opened.close()


def gate_of(inbox: Inbox, watch: Stopwatch | None = None) -> Gate:
    gate = Gate(inbox, watch or Stopwatch())
    gate.health = WELL
    return gate


def rejected(code: int) -> OrderReply:
    return OrderReply(OrderStatus.REJECTED, code, 0, 0, 0, 0.0, 0.0, "no")


@pytest.mark.parametrize("state", [TradingState.REDUCING, TradingState.HALTED])
def test_strict_state_refuses_entries_and_lets_closes_through(
    inbox: Inbox, state: TradingState
) -> None:
    gate = gate_of(inbox)
    gate.tighten(state, "test")
    assert "test" in gate.refusal(entry(1))
    assert gate.refusal(closing(2, entry(1), 7)) == ""


def test_halt_survives_a_restart_until_it_is_resumed(inbox: Inbox) -> None:
    gate_of(inbox).tighten(TradingState.HALTED, "no scorer")
    again = gate_of(inbox)
    again.scorer_is_back()
    assert "no scorer" in again.refusal(entry(1))
    again.resume()
    assert gate_of(inbox).refusal(entry(1)) == ""


def test_reducing_ends_when_the_scorer_is_back(inbox: Inbox) -> None:
    gate = gate_of(inbox)
    gate.tighten(TradingState.REDUCING, "no scorer")
    gate.scorer_is_back()
    assert gate.refusal(entry(1)) == ""


def test_state_is_never_loosened_by_tightening(inbox: Inbox) -> None:
    gate = gate_of(inbox)
    assert gate.tighten(TradingState.HALTED, "first")
    assert not gate.tighten(TradingState.REDUCING, "second")
    assert (gate.state, gate.reason) == (TradingState.HALTED, "first")


@pytest.mark.parametrize(
    "health",
    [
        None,
        Health(connected=False, trade_allowed=True, quote_age_seconds=None),
        Health(connected=True, trade_allowed=False, quote_age_seconds=None),
        Health(connected=True, trade_allowed=True, quote_age_seconds=-3600.0),
    ],
)
def test_entry_needs_a_terminal_known_to_be_well(inbox: Inbox, health: Health | None) -> None:
    gate = gate_of(inbox)
    gate.health = health
    assert gate.refusal(entry(1))
    assert gate.refusal(closing(2, entry(1), 7)) == ""


@pytest.mark.parametrize(
    ("code", "seconds", "whole_account"),
    [(10018, 60.0, False), (10019, 300.0, True), (10024, 2.0, True), (10031, 5.0, True)],
)
def test_refusal_of_the_server_makes_entries_wait(
    inbox: Inbox, code: int, seconds: float, *, whole_account: bool
) -> None:
    watch = Stopwatch()
    gate = gate_of(inbox, watch)
    gate.learn(entry(1), rejected(code))
    assert str(code) in gate.refusal(entry(2))
    assert bool(gate.refusal(entry(3, symbol="GBPUSD"))) is whole_account
    watch.seconds += seconds
    assert gate.refusal(entry(2)) == ""


def test_one_close_of_a_position_is_let_through_at_a_time(inbox: Inbox) -> None:
    gate = gate_of(inbox)
    first, second = closing(2, entry(1), 7), closing(3, entry(1), 7)
    assert gate.refusal(first) == ""
    inbox.accept((first,), 1)
    assert gate.refusal(first) == ""  # asked again when its turn comes
    assert first.intent_id in gate.refusal(second)
    assert gate.refusal(closing(4, entry(2), 8)) == ""
    inbox.record(first.intent_id, rejected(10018), 2)
    assert gate.refusal(second) == ""


def test_a_close_of_unknown_fate_holds_back_the_next_and_new_exits_hold_back_none(
    inbox: Inbox,
) -> None:
    gate = gate_of(inbox)
    change = msgspec.structs.replace(entry(2), purpose=Purpose.MODIFY, position=7)
    inbox.accept((change,), 1)
    assert gate.refusal(closing(3, entry(1), 7)) == ""
    lost = closing(4, entry(1), 7)
    inbox.accept((lost,), 2)
    unknown = OrderReply(OrderStatus.UNKNOWN, 0, 0, 0, 0, 0.0, 0.0, "no reply")
    inbox.record(lost.intent_id, unknown, 3)
    assert lost.intent_id in gate.refusal(closing(5, entry(1), 7))


def test_a_halt_that_could_not_be_written_is_written_when_it_is_asked_for_again(
    inbox: Inbox,
) -> None:
    gate = gate_of(inbox)
    inbox._connection.execute("PRAGMA query_only=ON")  # as a full disk
    for _ in range(2):
        with pytest.raises(Unavailable):
            gate.tighten(TradingState.HALTED, "an operator says so")
        assert gate.state is TradingState.HALTED
    inbox._connection.execute("PRAGMA query_only=OFF")
    gate.tighten(TradingState.HALTED, "an operator says so")
    assert "an operator says so" in gate_of(inbox).refusal(entry(1)), "after a restart"


def test_a_resumption_that_could_not_be_written_is_not_in_force(inbox: Inbox) -> None:
    gate = gate_of(inbox)
    gate.tighten(TradingState.HALTED, "an operator says so")
    inbox._connection.execute("PRAGMA query_only=ON")
    with pytest.raises(Unavailable):
        gate.resume()
    assert gate.refusal(entry(1)), "who asked was told that it failed"
