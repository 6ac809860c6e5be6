"""Tables for people: no word is cut, however narrow the terminal is."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipelines.commands.terminal import rows_table

COMPARED: list[dict[str, object]] = [
    {
        "contender": name,
        "net_units_per_trade": -0.114812,
        "account_per_lot": -23933.12,
        "sharpe_annual": -4.18,
        "max_drawdown_units": 340.12,
    }
    for name in ("xgboost", "coin, same entries")
]
GATES: list[dict[str, object]] = [
    {"gate": "tradable_target", "policy": "paper", "verdict": "pass", "meaning": "It is a side."},
    {"gate": "deflated_sharpe", "policy": "live", "verdict": "FAIL", "meaning": "No luck of many."},
]
SERIES: list[dict[str, object]] = [
    {
        "series": f"EURUSD {length} ask",
        "closes": "2017-01-01 23:00\n2017-12-29 22:00",
        "bars": "372,607",
        "largest gap (source clock)": "49:05:00\nafter 2018-04-01T21:25",
        "MiB": "6.2",
        "rows in quarantine": "9,969 DUPLICATE_ROW",
        "sources, clocks": "csv:histdata\nAmerica/New_York",
    }
    for length in ("M1", "M5", "M15", "M30", "H1", "H4", "D1")
]


def printed(rows: list[dict[str, object]], width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(rows_table("Title", rows))
    return out.getvalue()


@pytest.mark.parametrize("width", [50, 60, 80, 90, 100, 160])
@pytest.mark.parametrize("rows", [COMPARED, GATES, SERIES])
def test_every_word_of_a_table_is_whole_at_any_usual_width(
    rows: list[dict[str, object]], width: int
) -> None:
    told = printed(rows, width)
    assert "…" not in told
    for row in rows:
        for name, value in row.items():
            shown = f"{value:.6g}" if isinstance(value, float) else str(value)
            for word in (*name.split(), *shown.split()):
                assert word in told
    assert max(len(line) for line in told.splitlines()) <= width


def test_a_table_without_room_is_turned_and_one_with_room_is_not() -> None:
    wide, narrow = printed(COMPARED, 160), printed(COMPARED, 80)
    assert len(wide.splitlines()) < len(narrow.splitlines())
    assert any("contender" in line and "xgboost" in line for line in narrow.splitlines())


def test_a_row_becomes_a_table_where_even_the_turned_one_has_no_room() -> None:
    told = printed(SERIES, 50)
    assert told.count("rows in quarantine") == told.count("Title") == len(SERIES)


def test_numbers_are_set_to_the_right() -> None:
    told = printed([{"name": "a", "net": -1.5}, {"name": "bb", "net": -1615.38}], 80)
    assert "│ a    │     -1.5 │" in told


def test_what_fits_no_way_is_broken_and_not_cut() -> None:
    told = printed([{"name": "a" * 50, "other": "b" * 50}], 40)
    assert told.count("a") == 51  # with that of the head
    assert told.count("b") == 50
