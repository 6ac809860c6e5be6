"""Journal and broker compared: what is a difference, and what only looks like one."""

from __future__ import annotations

from typing import Any

import pytest

from online.domain.account import Account, Deal, Position, RestingOrder
from online.domain.holdings import Holdings
from online.domain.market import Side
from online.domain.order import Intent, OrderReply, OrderStatus, Purpose
from online.domain.reconciliation import (
    MEANING,
    FindingKind,
    Known,
    Statement,
    compare_positions,
    compare_statement,
    unjournaled,
)

pytestmark = pytest.mark.lean
OURS, NOBODY = 77, 0
MONEY = 10_000.0


def deal(ticket: int, position: int = 1, **changes: Any) -> Deal:  # noqa: ANN401 - fields of Deal
    fields: dict[str, Any] = {
        "ticket": ticket, "order": ticket, "position": position, "magic": OURS,
        "symbol": "EURUSD", "side": Side.BUY, "entry": True, "reason": "expert",
        "volume_lots": 0.1, "price": 1.1, "at_ns": 1_000 + ticket, "profit": 0.0,
        "commission": 0.0,
    }  # fmt: skip
    return Deal(**{**fields, **changes})


def held(ticket: int = 1, **changes: Any) -> Position:  # noqa: ANN401 - fields of Position
    fields: dict[str, Any] = {
        "ticket": ticket, "magic": OURS, "symbol": "EURUSD", "side": Side.BUY,
        "volume_lots": 0.1, "opened_price": 1.1, "opened_at_ns": 1_001, "stop": 1.0, "target": 1.2,
    }  # fmt: skip
    return Position(**{**fields, **changes})


def intent(purpose: Purpose = Purpose.ENTRY, position: int = 0) -> Intent:
    return Intent(
        f"intent-{purpose}", OURS, "sx-1", purpose, "EURUSD", Side.BUY, 0.1, 1.0, 1.2, position, 1,
        1.1,
    )  # fmt: skip


def reply(status: OrderStatus, deal_ticket: int = 0) -> OrderReply:
    return OrderReply(status, 10009, 1, deal_ticket, 1, 1.1, 0.1, "")


def known(*deals: Deal, pending: tuple[Intent, ...] = ()) -> Known:
    holdings = Holdings()
    for each in deals:
        holdings.add(each)
    return Known(holdings, frozenset({OURS}), pending, began_at_ns=0)


def statement(*deals: Deal, **changes: Any) -> Statement:  # noqa: ANN401 - fields of Statement
    fields: dict[str, Any] = {
        "account": Account("USD", MONEY, MONEY),
        "positions": (), "orders": (), "deals": deals, "money_total": MONEY,
    }  # fmt: skip
    return Statement(**{**fields, **changes})


def resting(magic: int) -> RestingOrder:
    return RestingOrder(4, magic, "EURUSD", Side.BUY, "limit", 0.1, 1.0, 0.0, 0.0, "")


def kinds(findings: tuple[Any, ...]) -> list[FindingKind]:
    return [finding.kind for finding in findings]


def test_what_the_journal_bought_and_the_broker_holds_is_no_finding() -> None:
    assert compare_positions(known(deal(1)), [held()]) == ()
    assert compare_statement(known(deal(1)), statement(deal(1), positions=(held(),)), 0) == ()


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (held(9, magic=NOBODY), FindingKind.FOREIGN_POSITION),
        (held(9, magic=78), FindingKind.FOREIGN_POSITION),
        (held(1, volume_lots=0.2), FindingKind.VOLUME_DIFFERS),
        (held(1, side=Side.SELL), FindingKind.SIDE_DIFFERS),
    ],
)
def test_a_position_that_is_not_the_journals_is_named(
    position: Position, expected: FindingKind
) -> None:
    others = () if position.ticket == 1 else (held(),)
    (finding,) = compare_positions(known(deal(1)), (position, *others))
    assert (finding.kind, finding.subject) == (expected, str(position.ticket))


def test_a_foreign_fill_that_was_journaled_does_not_make_its_position_ours() -> None:
    by_hand = deal(5, 5, magic=NOBODY, reason="client")
    found = compare_positions(known(deal(1), by_hand), [held(), held(5, magic=NOBODY)])
    assert kinds(found) == [FindingKind.FOREIGN_POSITION]


def test_a_position_the_broker_does_not_hold_is_missing_unless_a_reply_closed_it() -> None:
    journal = known(deal(1))
    assert kinds(compare_positions(journal, [])) == [FindingKind.MISSING_POSITION]
    journal.holdings.settle(intent(Purpose.CLOSE, position=1), reply(OrderStatus.FILLED, 2), 2_000)
    assert compare_positions(journal, []) == ()
    assert kinds(compare_statement(journal, statement(deal(1)), 0)) == [FindingKind.MISSING_DEAL]
    journal.holdings.add(deal(2, side=Side.SELL, entry=False))
    assert journal.holdings.lots == {}
    assert compare_statement(journal, statement(*journal.holdings.deals.values()), 0) == ()


def test_what_an_order_of_unknown_fate_may_have_done_is_no_finding_about_positions() -> None:
    doubtful = known(deal(1), pending=(intent(),))
    assert compare_positions(doubtful, [held(volume_lots=0.2)]) == ()
    assert compare_positions(doubtful, [held(), held(9, magic=NOBODY)]) == ()
    assert compare_positions(doubtful, []) == ()
    found = compare_statement(doubtful, statement(deal(1), positions=(held(),)), 0)
    assert kinds(found) == [FindingKind.UNRESOLVED_ORDER]
    assert not found[0].blocks


def test_a_position_whose_deals_have_not_come_is_judged_by_its_orders_fate() -> None:
    journal = known()
    journal.holdings.settle(intent(), reply(OrderStatus.FILLED), 2_000)
    assert compare_positions(journal, [held()]) == ()
    journal.holdings.settle(intent(), reply(OrderStatus.NOT_SENT), 2_000)
    assert kinds(compare_positions(journal, [held()])) == [FindingKind.FATE_DIFFERS]


def test_a_netted_position_with_another_ticket_is_known_by_its_identifier() -> None:
    turned = known(deal(1), deal(2, side=Side.SELL, volume_lots=0.3))
    told = held(2, identifier=1, side=Side.SELL, volume_lots=0.2)
    assert compare_positions(turned, [told]) == ()
    told = held(2, identifier=1, side=Side.SELL, volume_lots=0.3)
    assert kinds(compare_positions(turned, [told])) == [FindingKind.VOLUME_DIFFERS]


def test_an_order_that_rests_at_the_broker_is_foreign_unless_it_is_ours() -> None:
    told = statement(orders=(resting(NOBODY),))
    assert kinds(compare_statement(known(), told, 0)) == [FindingKind.FOREIGN_ORDER]
    assert compare_statement(known(), statement(orders=(resting(OURS),)), 0) == ()


def test_deals_are_compared_one_by_one_since_the_instant_asked_for() -> None:
    journal = known(deal(1), deal(2, 2), deal(3, 3))
    positions = tuple(held(ticket) for ticket in (1, 2, 3))

    def told(*deals: Deal) -> list[FindingKind]:
        return kinds(compare_statement(journal, statement(*deals, positions=positions), 1_002))

    assert told(deal(2, 2), deal(3, 3)) == []
    assert told(deal(2, 2)) == [FindingKind.MISSING_DEAL]
    assert told(deal(2, 2), deal(3, 3, price=1.2)) == [FindingKind.DEAL_DIFFERS]
    assert told(deal(2, 2), deal(3, 3), deal(4, 4, magic=5)) == [FindingKind.FOREIGN_DEAL]
    closed_by_hand = deal(4, 3, reason="client", side=Side.SELL)
    assert told(deal(2, 2), deal(3, 3), closed_by_hand) == [FindingKind.FOREIGN_DEAL]
    assert unjournaled(journal, (deal(3, 3), deal(4, 4))) == (deal(4, 4),)


def test_foreign_deals_from_before_the_journal_are_not_its_business() -> None:
    late = Known(Holdings(), frozenset(), (), began_at_ns=5_000)
    told = statement(deal(1, magic=NOBODY), deal(2, magic=NOBODY, at_ns=5_000))
    (finding,) = compare_statement(late, told, 0)
    assert (finding.kind, finding.subject) == (FindingKind.FOREIGN_DEAL, "2")


@pytest.mark.parametrize("total", [MONEY - 0.02, float("nan")])
def test_a_balance_that_is_not_the_sum_of_its_deals_is_a_finding(total: float) -> None:
    found = compare_statement(known(), statement(money_total=total), 0)
    assert kinds(found) == [FindingKind.BALANCE_DIFFERS]


def test_every_kind_of_finding_has_a_meaning() -> None:
    assert set(MEANING) == set(FindingKind)
