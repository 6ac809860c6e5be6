"""What the broker did not tell, or told as no number, is never taken for nothing."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from online.domain.account import Deal, RestingOrder
from online.domain.circumstances import judge_circumstances
from online.domain.errors import Conflict, SextantError, Unavailable
from online.domain.exposure import OrderUnderWay
from online.domain.market import Quote, Side
from online.domain.operation import Close, Marks, Sight, plan
from online.domain.order import Intent
from online.domain.orders import Orders
from online.domain.reasons import Veto
from online.domain.risk import judge_entry
from online.domain.trailing import TrailingRule, trail
from online.ports import Observation, keep_finite
from tests.fakes import (
    BAR_NS,
    EURUSD,
    INSTRUMENTS,
    make_account,
    make_facts,
    make_intent,
    make_limits,
    make_position,
    make_quote,
    make_state,
)

pytestmark = pytest.mark.lean
NAN, INF = math.nan, math.inf
RESTING = RestingOrder(5, 7, "EURUSD", Side.BUY, "limit", 0.1, 1.09, 1.08, 1.12, "sx-1")
FILL = Deal(1, 1, 9, 7, "EURUSD", Side.BUY, True, "expert", 0.1, 1.1, BAR_NS, 0.0, 0.0)  # noqa: FBT003 - a field
WHOLE = Observation(
    quote=make_quote(),
    account=make_account(),
    positions=(make_position(),),
    deals=(FILL,),
    orders=(RESTING,),
    told_at_ns=BAR_NS,
    rates=(make_quote(),),
)


def codes(vetoes: tuple[Veto, ...]) -> set[str]:
    """Return the reason codes of vetoes."""
    return {veto.reason.value for veto in vetoes}


def without(part: str, **change: float) -> Observation:
    """Return an observation with one number of one part changed."""
    told = getattr(WHOLE, part)
    one = told[0] if isinstance(told, tuple) else told
    changed = msgspec.structs.replace(one, **change)
    kept = (changed,) if isinstance(told, tuple) else changed
    return msgspec.structs.replace(WHOLE, **{part: kept})


def test_a_whole_observation_is_kept_as_it_is() -> None:
    assert keep_finite(WHOLE) == (WHOLE, ())


@pytest.mark.parametrize("number", [NAN, INF, -INF])
@pytest.mark.parametrize(
    ("part", "field", "left", "expected"),
    [
        ("quote", "ask", None, "CROSSED_QUOTE"),
        ("account", "equity", None, "ACCOUNT_UNAVAILABLE"),
        ("account", "margin", None, "ACCOUNT_UNAVAILABLE"),
        ("positions", "volume_lots", None, "ACCOUNT_UNAVAILABLE"),
        ("orders", "price", None, "ACCOUNT_UNAVAILABLE"),
        ("deals", "profit", (), "ACCOUNT_UNAVAILABLE"),
        ("rates", "bid", (), "NO_CONVERSION_RATE"),
    ],
)
def test_what_is_not_finite_is_dropped_and_vetoed(
    part: str, field: str, left: object, expected: str, number: float
) -> None:
    kept, doubts = keep_finite(without(part, **{field: number}))
    assert codes(doubts) == {expected}
    assert kept == msgspec.structs.replace(WHOLE, **{part: left})


@pytest.mark.parametrize("fact", ["quote", "account", "positions", "orders"])
def test_no_entry_is_judged_without_every_fact(fact: str) -> None:
    found = judge_entry(make_intent(), make_facts(**{fact: None}), INSTRUMENTS, make_limits())
    assert codes(found) == {"ACCOUNT_UNAVAILABLE"}


def test_an_order_under_way_without_a_value_forbids_every_entry() -> None:
    strange = OrderUnderWay(77, "NOSUCH", Side.BUY, 0.1, 1.1)
    facts = make_facts(state=make_state(under_way=(strange,)))
    found = judge_entry(make_intent(), facts, INSTRUMENTS, make_limits())
    assert codes(found) == {"NO_CONVERSION_RATE"}


def test_nothing_is_entered_before_journal_and_broker_agree() -> None:
    facts = make_facts(state=make_state(unreconciled="they differ"))
    assert codes(judge_circumstances(EURUSD, facts, make_limits())) == {"NOT_RECONCILED"}


# Operations


def closing(volume_lots: float = 0.0, **sight: Any) -> Intent:  # noqa: ANN401 - any field of the sight
    """Plan the close of position 9, of 0.1 lots."""
    told = {"positions": (make_position(),), "orders": (), "quote": make_quote(), **sight}
    marks = Marks("op-1", "sx-1", 1 << 47 | 1)
    return plan(Close(9, volume_lots), Sight(**told), Orders(), EURUSD, marks)


def code_of(error: pytest.ExceptionInfo[SextantError]) -> str:
    return error.value.code


def test_a_position_that_is_told_is_closed() -> None:
    assert closing().position == 9


def test_nothing_is_done_to_what_the_broker_did_not_tell() -> None:
    with pytest.raises(Unavailable) as refused:
        closing(positions=None)
    assert code_of(refused) == "ACCOUNT_UNAVAILABLE"
    with pytest.raises(Unavailable) as refused:
        Sight((), None, None).order(5)
    assert code_of(refused) == "ACCOUNT_UNAVAILABLE"


@pytest.mark.parametrize(
    "quote",
    [
        None,
        Quote("USDJPY", 150.0, 150.1, BAR_NS),
        make_quote(1.2, 1.1),
        make_quote(0.0, 1.1),
        make_quote(NAN, 1.1),
    ],
)
def test_no_position_is_closed_on_what_is_no_market_of_it(quote: Quote | None) -> None:
    with pytest.raises(Unavailable) as refused:
        closing(quote=quote)
    assert code_of(refused) == "NO_QUOTE"


def test_no_rest_is_left_that_could_not_be_closed() -> None:
    with pytest.raises(Conflict) as refused:
        closing(0.09, positions=(make_position(volume_lots=0.095),))
    assert code_of(refused) == "VOLUME_LEFT_TOO_SMALL"


# Trailing


@pytest.mark.parametrize(
    "quote",
    [
        Quote("USDJPY", 150.0, 150.1, BAR_NS),
        make_quote(1.2, 1.1),
        make_quote(NAN, 1.1),
        make_quote(INF, INF),
        make_quote(0.0, 1.1),
    ],
)
def test_no_stop_follows_what_is_no_market_of_its_position(quote: Quote) -> None:
    held = make_position(stop=0.0)
    assert trail(held, make_quote(1.2, 1.2001), TrailingRule(0.01), EURUSD) == 1.19
    assert trail(held, quote, TrailingRule(0.01), EURUSD) is None


def test_no_stop_is_put_at_no_price() -> None:
    held = make_position(stop=0.0)
    assert trail(held, make_quote(1.1, 1.1001), TrailingRule(1.2), EURUSD) is None
