"""What `sextant explain` says of risk: the broker's clock, conversion rates, news, limits."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from online.domain.market import Quote, Timeframe
from online.domain.news import Impact, NewsEvent
from online.domain.record import LimitsRecord, Request
from pipelines.commands.explain import tell
from pipelines.commands.story import Story
from tests.fakes import BAR_NS, HOUR_NS, make_decision, make_limits

pytestmark = pytest.mark.lean


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
    shown = io.StringIO()
    console = Console(file=shown, width=300)
    for part in tell(Story(decision, None, limits, (), ())):
        console.print(part)
    text = shown.getvalue()
    assert "The broker's clock was 0.250 s away." in text
    assert "Conversion rates: GBPUSD 1.3/1.3001." in text
    assert "News in force: EUR: Decision of the bank." in text
    assert "by ann (api 10.0.0.7)" in text
