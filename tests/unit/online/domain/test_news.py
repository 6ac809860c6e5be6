"""The news calendar and trading hours: what is read, what is refused, what is in force."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from online.domain.errors import InvalidSettings
from online.domain.news import NO_NEWS, Impact, NewsCalendar, NewsEvent, parse_news
from online.domain.trading_hours import parse_hours
from online.instruments import CONFIG_FOLDER, load_instruments
from tests.fakes import BAR_NS, EURUSD, HOUR_NS, USDJPY

pytestmark = pytest.mark.lean
HEAD = "starts_at,ends_at,subject,impact,name\n"
LINE = "2017-10-06T12:00:00Z,2017-10-06T14:00:00+01:00,USD,High,Payrolls\n"


def event(start: int, end: int, subject: str = "USD") -> NewsEvent:
    """Return an event between two hours after the bar."""
    return NewsEvent(
        BAR_NS + start * HOUR_NS, BAR_NS + end * HOUR_NS, subject, Impact.HIGH, f"{start}"
    )


def test_a_calendar_is_read_from_csv_and_from_json_alike() -> None:
    row = dict(zip(HEAD.strip().split(","), LINE.strip().split(","), strict=True))
    (found,) = parse_news(HEAD + LINE, "here")
    assert parse_news(json.dumps([row]), "here") == (found,)
    assert (found.subject, found.impact, found.name) == ("USD", Impact.HIGH, "Payrolls")
    assert found.starts_at_ns == 1_507_291_200_000_000_000
    assert found.ends_at_ns - found.starts_at_ns == HOUR_NS
    assert parse_news(HEAD, "here") == ()


def test_the_example_of_a_calendar_can_be_read() -> None:
    path = CONFIG_FOLDER / "news.example.csv"
    assert len(parse_news(path.read_text(), str(path))) == 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "starts_at,ends_at\n",
        HEAD + "2017-10-06T12:00:00Z,2017-10-06T13:00:00Z,USD,High\n",
        HEAD + "2017-10-06T12:00:00Z,2017-10-06T13:00:00Z,USD,High,a,b\n",
        HEAD + "2017-10-06T12:00:00,2017-10-06T13:00:00Z,USD,High,no zone\n",
        HEAD + "yesterday,2017-10-06T13:00:00Z,USD,High,no instant\n",
        HEAD + "2017-10-06T13:00:00Z,2017-10-06T12:00:00Z,USD,High,backwards\n",
        HEAD + "2017-10-06T12:00:00Z,2017-10-06T13:00:00Z,,High,no subject\n",
        HEAD + "2017-10-06T12:00:00Z,2017-10-06T13:00:00Z,USD,huge,no impact\n",
        "[1]",
        '[{"starts_at": "2017-10-06T12:00:00Z"}]',
        "[",
        "<html></html>",
    ],
)
def test_what_is_no_calendar_is_refused_and_named(text: str) -> None:
    with pytest.raises(InvalidSettings, match="here") as caught:
        parse_news(text, "here")
    assert caught.value.code == "INVALID_NEWS_CALENDAR"


def test_events_are_in_force_from_their_start_to_before_their_end() -> None:
    calendar = NewsCalendar([event(2, 3), event(0, 10, "JPY"), event(1, 2), event(1, 2, "GBP")])
    names = [
        [e.name for e in calendar.in_force(EURUSD, BAR_NS + at) or ()]
        for at in (0, HOUR_NS, 2 * HOUR_NS - 1, 2 * HOUR_NS, 3 * HOUR_NS)
    ]
    assert names == [[], ["1"], ["1"], ["2"], []]
    assert [e.subject for e in calendar.in_force(USDJPY, BAR_NS + HOUR_NS) or ()] == ["JPY", "USD"]
    assert NO_NEWS.in_force(EURUSD, BAR_NS) == ()


def test_a_calendar_that_expires_tells_nothing_any_more() -> None:
    calendar = NewsCalendar([], expires_at_ns=BAR_NS + 1)
    assert calendar.in_force(EURUSD, BAR_NS) == ()
    assert calendar.in_force(EURUSD, BAR_NS + 1) is None


@pytest.mark.parametrize(
    "texts",
    [
        (),
        ("Sunday 17:00-Fri 17:00",),
        ("Sun 17:00-Fri 25:00",),
        ("Fri 17:00-Sun 17:00",),
        ("Mon 09:00-Mon 12:00", "Mon 11:00-Mon 15:00"),
        ("Mon 09:00-Mon 09:00",),
    ],
)
def test_hours_that_are_none_are_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidSettings, match="trading hours"):
        parse_hours(texts)


def test_an_instrument_with_wrong_hours_refuses_to_load(tmp_path: Path) -> None:
    path = tmp_path / "instruments.toml"
    path.write_text(
        '[EURUSD]\nbase_currency = "EUR"\nprofit_currency = "USD"\ndigits = 5\n'
        'contract_size = 100000.0\nhours = ["always"]\n'
    )
    with pytest.raises(InvalidSettings, match="EURUSD"):
        load_instruments(path)


def test_every_instrument_tells_its_typical_spread() -> None:
    assert all(each.typical_spread_points > 0.0 for each in load_instruments().values())
