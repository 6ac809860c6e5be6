"""Risk in the story of an order: what is refused, what is closed, and what latches."""

from __future__ import annotations

import msgspec
import pytest

from online.domain.decision import Action
from online.domain.errors import Unavailable
from online.domain.market import Quote, Timeframe
from online.domain.news import Impact, NewsCalendar, NewsEvent
from online.domain.order import Purpose
from online.domain.reasons import Reason, Veto
from online.domain.record import HaltRecord, Request, decode_record, encode_record
from online.domain.trading_state import TradingState
from online.trade import Outcome, consider, run_to_completion
from tests.desks import World, codes
from tests.fakes import (
    BAR_NS,
    HOUR_NS,
    FakeFeatures,
    make_limits,
    make_reading,
)
from tests.journals import refold

pytestmark = pytest.mark.lean
FRIDAY_NS = BAR_NS + 87 * HOUR_NS  # 18:00 UTC, three hours before New York's close


class Trader(World):
    """A desk that is asked bar by bar, with everything fresh."""

    def __init__(self, **limits: object) -> None:
        super().__init__(limits=make_limits(**limits))

    def ask_at(self, bar_ns: int = BAR_NS) -> Outcome:
        self.move(bar_ns)
        return self.ask(bar_ns)

    def restart(self) -> None:
        """Fold the journal anew, from its bytes."""
        self.desk.book = refold(self.journal.records)


def test_positions_are_flattened_before_the_weekend_and_none_is_opened() -> None:
    trader = Trader(flatten_before_weekend_hours=4.0, no_entry_before_weekend_hours=4.0)
    assert trader.ask_at(FRIDAY_NS - 2 * HOUR_NS).record.decision.action is Action.BUY
    outcome = trader.ask_at(FRIDAY_NS)  # its own time is not out yet
    assert outcome.record.decision.action is Action.CLOSE
    assert [intent.purpose for intent in trader.broker.sent] == [Purpose.ENTRY, Purpose.CLOSE]
    assert codes(trader.ask_at(FRIDAY_NS + HOUR_NS)) == ["WEEKEND_NEAR"]


def test_without_the_policy_a_position_is_held_over_the_weekend() -> None:
    trader = Trader()
    trader.ask_at(FRIDAY_NS - 2 * HOUR_NS)
    assert codes(trader.ask_at(FRIDAY_NS)) == ["POSITION_OPEN"]


@pytest.mark.parametrize(
    ("state", "closes"), [(TradingState.REDUCING, True), (TradingState.HALTED, False)]
)
def test_a_position_whose_time_is_out_is_closed_while_reducing_and_not_while_halted(
    state: TradingState,
    closes: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    trader = Trader()
    trader.ask_at()
    trader.desk.book.apply(HaltRecord(BAR_NS, "a storm", "ann", state))
    outcome = trader.ask_at(BAR_NS + 6 * HOUR_NS)
    assert (outcome.record.decision.action is Action.CLOSE) is closes
    assert (trader.broker.positions == ()) is closes
    if not closes:
        assert codes(outcome) == ["POSITION_OPEN", "HALTED"]


def test_entries_that_are_used_up_keep_no_close_from_being_sent() -> None:
    trader = Trader(max_closes_per_window=1, max_orders_per_window=1, order_window_seconds=86_400)
    trader.ask_at()
    assert trader.ask_at(BAR_NS + 6 * HOUR_NS).record.decision.action is Action.CLOSE
    assert codes(trader.ask_at(BAR_NS + 7 * HOUR_NS)) == ["ORDER_RATE_LIMIT"]


def test_no_order_leaves_that_the_whole_check_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The laws of closing in doubt are of `judge_order`: it is what stands before every order."""
    trader, refusal = Trader(), (Veto(Reason.HALTED, "a test"),)

    def refuse(*_: object) -> tuple[Veto, ...]:
        return refusal

    with monkeypatch.context() as patched:
        patched.setattr("online.trade.judge_order", refuse)
        assert trader.ask_at().record.vetoes == refusal
    assert trader.broker.sent == []
    assert trader.ask_at(BAR_NS + HOUR_NS).record.decision.action is Action.BUY
    with monkeypatch.context() as patched:
        patched.setattr("online.trade.judge_order", refuse)
        assert trader.ask_at(BAR_NS + 7 * HOUR_NS).record.vetoes == refusal
    assert [intent.purpose for intent in trader.broker.sent] == [Purpose.ENTRY]
    assert trader.ask_at(BAR_NS + 8 * HOUR_NS).record.decision.action is Action.CLOSE


def test_an_event_of_the_calendar_is_on_record_with_the_decision_it_stopped() -> None:
    trader = Trader()
    event = NewsEvent(BAR_NS, BAR_NS + HOUR_NS, "EUR", Impact.HIGH, "Decision")
    trader.desk.news = NewsCalendar([event])
    outcome = trader.ask_at()
    assert codes(outcome) == ["NEWS_BLACKOUT"]
    assert outcome.record.news == (event,)
    assert codes(trader.ask_at(BAR_NS + HOUR_NS)) == []


def test_a_calendar_that_is_too_old_stops_entries() -> None:
    trader = Trader()
    trader.desk.news = NewsCalendar((), expires_at_ns=BAR_NS)
    assert codes(trader.ask_at()) == ["NEWS_UNAVAILABLE"]


def test_losses_in_a_row_stop_entries_over_a_restart_until_resumed() -> None:
    trader = Trader(max_consecutive_losses=1, max_daily_loss_fraction=1.0)
    trader.ask_at()
    (deal,) = trader.broker.deals
    lost = msgspec.structs.replace(
        deal,
        ticket=deal.ticket + 1,
        side=deal.side.opposite,
        entry=False,
        reason="stop",
        profit=-50.0,
    )
    trader.broker.deals.append(lost)
    trader.broker.positions = ()
    assert codes(trader.ask_at(BAR_NS + HOUR_NS)) == ["CONSECUTIVE_LOSSES"]
    trader.restart()
    assert codes(trader.ask_at(BAR_NS + 2 * HOUR_NS)) == ["REDUCING", "CONSECUTIVE_LOSSES"]
    trader.desk.book.apply(HaltRecord(trader.clock.time_ns, "", "ann"))
    assert codes(trader.ask_at(BAR_NS + 3 * HOUR_NS)) == []


def test_what_a_market_did_between_two_decisions_is_measured_by_the_collar() -> None:
    trader = Trader(price_collar_units=4.0)
    trader.broker.holds_positions = False
    trader.ask_at()
    trader.restart()
    bar_ns = BAR_NS + HOUR_NS
    trader.clock.time_ns = bar_ns
    trader.broker.quote = Quote("EURUSD", 1.1052, 1.1053, bar_ns)
    trader.features.reading = make_reading(stamps_ns=(bar_ns, bar_ns))
    request = Request("EURUSD", Timeframe.H1, bar_ns, send=True)
    jumped = run_to_completion(consider(request, trader.desk))
    assert codes(jumped) == ["PRICE_COLLAR"]


def test_the_limits_of_one_decision_are_one_even_if_they_change_while_facts_are_gathered() -> None:
    trader = Trader()

    class Swapping(FakeFeatures):
        async def read(self, *arguments: object) -> object:  # type: ignore[override]
            trader.desk.limits = make_limits(order_window_seconds=1, max_volume_lots=0.01)
            return await super().read(*arguments)  # type: ignore[arg-type]

    trader.desk.features = Swapping()  # type: ignore[assignment]
    outcome = trader.ask_at()
    assert outcome.record.intent is not None
    assert outcome.record.intent.volume_lots == 0.8


def test_a_broker_that_does_not_answer_is_no_reason_to_forget_a_rule() -> None:
    trader = Trader()
    trader.broker.down = True
    found = codes(trader.ask_at())
    assert {"ACCOUNT_UNAVAILABLE", "NO_QUOTE", "CLOCK_SKEW"} <= set(found)
    with pytest.raises(Unavailable):
        run_to_completion(trader.broker.observe("EURUSD", 0))


def test_a_decision_journals_why_its_entry_has_its_volume() -> None:
    record = Trader().ask_at().record
    assert record.sizing is not None
    assert record.intent is not None
    assert record.sizing.volume_lots == record.intent.volume_lots > 0.0
    assert decode_record(encode_record(record)) == record


def test_an_entry_that_is_refused_tells_its_size_and_one_that_was_never_sized_none() -> None:
    poor = Trader(risk_per_trade_fraction=1e-7)
    record = poor.ask_at().record
    assert [veto.reason for veto in record.vetoes] == [Reason.VOLUME_TOO_SMALL]
    assert record.sizing is not None
    assert 0.0 < record.sizing.afforded_lots < record.sizing.least_lots
    held = Trader()
    held.ask_at()
    waiting = held.ask_at(BAR_NS + HOUR_NS).record
    assert waiting.sizing is None
    assert b"sizing" not in encode_record(waiting)  # as every record of before
