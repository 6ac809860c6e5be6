"""The story of an order: what is sent, what is not, and what is recorded of both."""

from __future__ import annotations

import asyncio
import math

import msgspec
import pytest

from online.domain.account import RestingOrder
from online.domain.decision import Action
from online.domain.errors import JournalUnavailable, OrderInDoubt, SextantError, Unavailable
from online.domain.market import Side, Timeframe
from online.domain.order import Intent, OrderReply, OrderStatus, Purpose
from online.domain.record import (
    DealRecord,
    DecisionRecord,
    HaltRecord,
    Request,
    ResultRecord,
    decode_record,
    encode_record,
)
from online.ports import Observation, keep_finite
from online.sending import resolve_pending
from online.trade import consider, run_to_completion
from tests.desks import World, codes, deal
from tests.fake_broker import FakeBroker
from tests.fakes import (
    BAR_NS,
    FLAT,
    HOUR_NS,
    SHORT,
    make_account,
    make_limits,
    make_manifest,
    make_position,
    make_quote,
    make_windowed_contract,
    make_windowed_reading,
)
from tests.journals import refold

pytestmark = pytest.mark.lean
NAN = math.nan
DAY_NS = 24 * HOUR_NS


def test_an_edge_becomes_one_filled_order_with_the_labels_exits() -> None:
    world = World()
    outcome = world.ask()
    assert outcome.record.decision.action is Action.BUY
    (intent,) = world.broker.sent
    assert (intent.side, intent.quoted, intent.stop, intent.target) == (
        Side.BUY,
        1.1001,
        1.09885,
        1.1026,
    )
    assert intent.volume_lots == 0.8  # 1 % of 10,000 over 125 points
    assert intent.expires_at_ns == BAR_NS + 6 * HOUR_NS
    assert outcome.reply is not None
    assert outcome.reply.status is OrderStatus.FILLED


def test_the_decision_is_recorded_before_and_the_reply_after_the_order() -> None:
    world = World()
    seen: list[int] = []
    world.broker.when_sent = lambda _: seen.append(len(world.journal.records))
    world.ask()
    assert seen == [1]
    assert [type(r) for r in world.journal.records] == [DecisionRecord, ResultRecord]


def test_the_window_reaches_the_model_and_the_journal() -> None:
    world = World()
    world.model.manifest = make_manifest(vector=make_windowed_contract())
    reading = make_windowed_reading()
    world.features.reading = reading
    record = world.ask().record
    assert record.decision.action is Action.BUY
    assert world.model.windows == [reading.window]
    assert (record.window, record.window_stamp_ns) == (reading.window, BAR_NS)
    assert decode_record(encode_record(record)) == record


def test_a_torn_window_is_neither_scored_nor_traded_but_recorded() -> None:
    world = World()
    world.model.manifest = make_manifest(vector=make_windowed_contract())
    torn = msgspec.structs.replace(make_windowed_reading(), window_stamp_ns=BAR_NS - HOUR_NS)
    world.features.reading = torn
    outcome = world.ask()
    assert codes(outcome)[-1] == "TORN_WINDOW"
    assert (world.model.windows, world.broker.sent) == ([], [])
    assert outcome.record.window == torn.window


def test_a_decision_without_a_window_has_the_bytes_it_always_had() -> None:
    body = encode_record(World().ask().record)
    assert b'"window' not in body
    told = decode_record(body.replace(b'"vetoes":[]', b'"vetoes":[],"window":null'))
    assert told == decode_record(body)


def test_a_short_edge_sells() -> None:
    world = World()
    world.model.probabilities = SHORT
    world.ask()
    assert world.broker.sent[0].side is Side.SELL
    assert world.broker.sent[0].quoted == 1.1


def test_no_edge_holds_with_its_reason() -> None:
    world = World()
    world.model.probabilities = FLAT
    outcome = world.ask()
    assert outcome.record.decision.action is Action.HOLD
    assert codes(outcome) == ["NO_EDGE"]
    assert world.broker.sent == []


def test_decide_sends_nothing_and_leaves_the_bar_to_be_traded() -> None:
    world = World()
    assert world.ask(send=False).record.intent is not None
    assert world.broker.sent == []
    assert world.ask().reply is not None


def test_the_same_bar_is_never_traded_twice() -> None:
    world = World()
    world.broker.holds_positions = False
    world.ask()
    assert codes(world.ask()) == ["DUPLICATE_INTENT"]
    assert len(world.broker.sent) == 1


def test_an_open_position_keeps_its_exits_and_nothing_is_added() -> None:
    world = World()
    world.ask()
    world.move(BAR_NS + HOUR_NS)
    assert codes(world.ask(BAR_NS + HOUR_NS)) == ["POSITION_OPEN"]


def test_a_position_is_closed_when_its_time_is_out_even_without_features() -> None:
    world = World()
    world.ask()
    late = BAR_NS + 6 * HOUR_NS
    world.move(late)
    world.features.down = True
    outcome = world.ask(late)
    assert outcome.record.decision.action is Action.CLOSE
    close = world.broker.sent[-1]
    assert (close.purpose, close.side, close.position) == (Purpose.CLOSE, Side.SELL, 100)
    assert world.broker.positions == ()


def test_a_position_that_is_not_ours_is_neither_closed_nor_added_to() -> None:
    world = World()
    world.broker.positions = (make_position(),)
    late = BAR_NS + 80 * HOUR_NS
    world.move(late)
    assert codes(world.ask(late)) == ["POSITION_OPEN", "FOREIGN_POSITION"]
    assert world.broker.sent == []


def test_a_strangers_position_hides_none_of_ours_whose_time_is_out() -> None:
    world = World()
    world.ask()
    world.broker.positions = (make_position(), *(world.broker.positions or ()))
    late = BAR_NS + 6 * HOUR_NS
    world.move(late)
    assert world.ask(late).record.decision.action is Action.CLOSE
    assert world.broker.sent[-1].position == 100


def test_a_lost_reply_blocks_the_symbol_until_there_is_evidence() -> None:
    world = World()
    world.broker.loses = True
    outcome = world.ask()
    assert outcome.reply is not None
    assert outcome.reply.status is OrderStatus.UNKNOWN
    world.broker.loses = False
    world.move(BAR_NS + 8 * HOUR_NS)
    assert "UNRESOLVED_ORDER" in codes(world.ask(BAR_NS + 8 * HOUR_NS))
    assert len(world.broker.sent) == 1
    assert run_to_completion(resolve_pending(world.desk)) == ()
    assert isinstance(world.journal.records[-1], ResultRecord)
    assert world.journal.records[-1].decision_id == outcome.record.decision_id
    assert world.ask(BAR_NS + 8 * HOUR_NS).record.decision.action is Action.CLOSE


def test_without_evidence_an_order_stays_unresolved() -> None:
    world = World()
    world.broker.loses = True
    world.ask()
    world.broker.sent.clear()
    assert len(run_to_completion(resolve_pending(world.desk))) == 1
    world.broker.down = True
    with pytest.raises(Unavailable):
        run_to_completion(resolve_pending(world.desk))


def test_a_reply_that_is_not_finite_is_an_unknown_fate() -> None:
    world = World()
    world.broker.answers = OrderReply(OrderStatus.FILLED, 10009, 1, 1, 1, NAN, 0.1, "filled")
    outcome = world.ask()
    assert outcome.reply is not None
    assert outcome.reply.status is OrderStatus.UNKNOWN
    assert world.desk.book.pending


def test_a_full_journal_sends_nothing() -> None:
    world = World()
    world.journal.room = 0
    with pytest.raises(JournalUnavailable):
        world.ask()
    assert world.broker.sent == []
    assert not world.desk.book.knows("EURUSD-H1-20171003T0300Z-entry")


def test_a_reply_that_cannot_be_recorded_leaves_the_order_unresolved() -> None:
    world = World()
    world.journal.room = 1
    with pytest.raises(OrderInDoubt) as doubt:
        world.ask()
    (sent,), (pending,) = world.broker.sent, world.desk.book.orders.pending
    assert doubt.value.intent_id == sent.intent_id == pending.intent.intent_id
    assert doubt.value.decision_id == pending.decision_id
    assert f"order {sent.intent_id} was sent and is in doubt: filled" in str(doubt.value)


def test_a_fill_is_recorded_once_though_many_decisions_see_it() -> None:
    world = World()
    world.broker.deals.append(deal(5))

    async def at_once() -> None:
        request = Request("EURUSD", Timeframe.H1, BAR_NS, send=False)
        world.journal.gate = gate = asyncio.Event()
        stories = [asyncio.ensure_future(consider(request, world.desk)) for _ in range(5)]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*stories)

    asyncio.run(at_once())
    assert sum(isinstance(r, DealRecord) for r in world.journal.records) == 1


def test_a_fill_whose_record_failed_is_recorded_by_the_next_decision() -> None:
    world = World()
    world.broker.deals.append(deal(5))
    world.journal.room = 0
    with pytest.raises(JournalUnavailable):
        world.ask()
    world.journal.room = 100
    world.ask()
    assert isinstance(world.journal.records[0], DealRecord)


def test_yesterdays_loss_does_not_stop_today_and_todays_loss_stops_until_tomorrow() -> None:
    world = World()
    world.broker.holds_positions = False
    world.ask()
    world.broker.account = make_account(9_400.0)
    world.move(BAR_NS + HOUR_NS)
    assert codes(world.ask(BAR_NS + HOUR_NS)) == ["DAILY_LOSS_LIMIT"]
    world.broker.account = make_account(9_900.0)
    world.move(BAR_NS + 2 * HOUR_NS)
    assert codes(world.ask(BAR_NS + 2 * HOUR_NS)) == ["DAILY_LOSS_LIMIT"]  # latched
    world.broker.account = make_account(9_400.0)
    world.move(BAR_NS + DAY_NS)
    assert codes(world.ask(BAR_NS + DAY_NS)) == []


def test_a_drawdown_stops_entries_until_somebody_resumes() -> None:
    world = World(limits=make_limits(max_daily_loss_fraction=1.0))
    world.broker.holds_positions = False
    world.ask()
    world.broker.account = make_account(7_900.0)
    world.move(BAR_NS + HOUR_NS)
    assert codes(world.ask(BAR_NS + HOUR_NS)) == ["DRAWDOWN_LIMIT"]
    world.broker.account = make_account(10_000.0)
    world.move(BAR_NS + DAY_NS)
    assert codes(world.ask(BAR_NS + DAY_NS)) == ["REDUCING"]
    world.desk.book.apply(HaltRecord(world.clock.time_ns, "", "test"))
    assert codes(world.ask(BAR_NS + DAY_NS)) == []


def test_the_journal_folds_into_the_very_book_that_wrote_it() -> None:
    world = World()
    world.ask()
    for hours in range(1, 30):
        world.move(BAR_NS + hours * HOUR_NS)
        world.broker.account = make_account(10_000.0 - 40 * hours)
        world.ask(BAR_NS + hours * HOUR_NS)
    again = refold(world.journal.records)
    now_ns, positions = world.clock.time_ns, world.broker.positions or ()
    limits = world.desk.limits
    told = ("EURUSD", now_ns, limits, positions, world.broker.quote, ())
    assert again.state(*told) == world.desk.book.state(*told)
    assert again.pending == world.desk.book.pending
    assert again.allocate() == world.desk.book.allocate()


def test_the_same_facts_give_the_same_record_bytes() -> None:
    first, second = World().ask().record, World().ask().record
    assert encode_record(first) == encode_record(second)


def test_an_order_uses_the_limits_in_force_when_its_facts_were_gathered() -> None:
    world = World()
    outcome = world.ask()
    assert outcome.record.intent is not None
    smaller = World(limits=make_limits(max_volume_lots=0.05)).ask().record.intent
    assert smaller is not None
    assert smaller.volume_lots == 0.05


def test_a_story_that_waits_cannot_run_without_a_loop() -> None:
    async def waits() -> None:
        await asyncio.sleep(0)

    with pytest.raises(SextantError, match="waited"):
        run_to_completion(waits())


def test_the_observation_is_kept_as_it_was_told_when_all_is_finite() -> None:
    told = Observation(make_quote(), make_account(), (make_position(),), (deal(1),))
    assert keep_finite(told) == (told, ())


def test_positions_that_are_not_finite_are_dropped_again_after_they_were_dropped_once() -> None:
    odd = msgspec.structs.replace(make_position(), opened_price=NAN)
    told = Observation(make_quote(), make_account(), (odd,), ())
    first, doubts = keep_finite(told)
    assert (first.positions, len(doubts)) == (None, 1)
    again, doubts = keep_finite(told, first)
    assert (again.positions, len(doubts)) == (None, 1)


def test_a_resting_order_that_is_not_finite_is_not_told_and_stops_entries() -> None:
    world = World()
    odd = RestingOrder(4, 0, "EURUSD", Side.BUY, "limit", 0.1, NAN, 0.0, 0.0, "")
    world.broker.resting = (odd,)
    outcome = world.ask()
    assert codes(outcome)[0] == "ACCOUNT_UNAVAILABLE"
    assert world.broker.sent == []
    for record in world.journal.records:
        assert decode_record(encode_record(record)) == record


def test_evidence_that_is_not_finite_leaves_an_order_unresolved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    world.broker.loses = True
    world.ask()

    async def find(_: FakeBroker, __: Intent) -> OrderReply:
        return OrderReply(OrderStatus.FILLED, 10009, 1, 1, 1, NAN, 0.1, "found")

    monkeypatch.setattr(FakeBroker, "find", find)
    left = run_to_completion(resolve_pending(world.desk))
    assert [intent.intent_id for intent in left] == [world.broker.sent[0].intent_id]
