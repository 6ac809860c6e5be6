"""What `sextant explain` says of risk: the broker's clock, conversion rates, news, limits."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from online.domain.market import Quote, Timeframe
from online.domain.news import Impact, NewsEvent
from online.domain.record import LimitsRecord, Request
from online.domain.sizing import Sizing
from pipelines.commands.explain import tell
from pipelines.commands.story import Story
from tests.fakes import BAR_NS, HOUR_NS, make_account, make_decision, make_limits

pytestmark = pytest.mark.lean


def shown(story: Story) -> str:
    """Return what is told of a decision."""
    page = io.StringIO()
    console = Console(file=page, width=300)
    for part in tell(story):
        console.print(part)
    return page.getvalue()


def test_what_was_told_besides_is_explained() -> None:
    event = NewsEvent(BAR_NS, BAR_NS + HOUR_NS, "EUR", Impact.HIGH, "Decision of the bank")
    decision = make_decision(
        1,
        request=Request("EURGBP", Timeframe.H1, BAR_NS, send=False),
        told_at_ns=BAR_NS + 250_000_000,
        rates=(Quote("GBPUSD", 1.3, 1.3001, BAR_NS),),
        news=(event,),
    )
    limits = LimitsRecord(BAR_NS, make_limits(), "ann (api 10.0.0.7)")
    text = shown(Story(decision, None, limits, (), ()))
    assert "The broker's clock was 0.250 s away." in text
    assert "Conversion rates: GBPUSD 1.3/1.3001." in text
    assert "News in force: EUR: Decision of the bank." in text
    assert "by ann (api 10.0.0.7)" in text
    assert "Volume:" not in text


def test_why_an_entry_has_its_volume_is_explained() -> None:
    sizing = Sizing(100.0, 200.0, 8.0, 7.0, 0.4, 0.01, 0.01)
    decision = make_decision(1, sizing=sizing, account=make_account())
    text = shown(Story(decision, None, None, (), ()))
    assert (
        "100.00 USD may be lost at the stop, where a lot loses 215.00 (price 200.00, slippage of "
        "both fills 8.00, commission of both sides 7.00): 0.4651 lots, limited to 0.4, 0.4 in "
        "steps of 0.01 from 0.01." in text
    )
    unknown = Sizing(100.0, 200.0, None, None, 0.4, 1.0, 0.01)
    text = shown(Story(make_decision(1, sizing=unknown), None, None, (), ()))
    assert "slippage of both fills not known, none counted" in text
    assert "commission of both sides not known, none counted): 0.5 lots" in text
    assert "limited to 0.4, 0 in steps of 0.01 from 1." in text
