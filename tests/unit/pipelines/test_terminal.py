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


def printed(rows: list[dict[str, object]], width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(rows_table("Title", rows))
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 160])
@pytest.mark.parametrize("rows", [COMPARED, GATES])
def test_every_word_of_a_table_is_whole_at_any_usual_width(
    rows: list[dict[str, object]], width: int
) -> None:
    told = printed(rows, width)
    assert "…" not in told
    for row in rows:
        for name, value in row.items():
            assert name in told
            for word in (f"{value:.6g}" if isinstance(value, float) else str(value)).split():
                assert word in told
    assert max(len(line) for line in told.splitlines()) <= width


def test_a_table_without_room_is_turned_and_one_with_room_is_not() -> None:
    wide, narrow = printed(COMPARED, 160), printed(COMPARED, 80)
    assert len(wide.splitlines()) < len(narrow.splitlines())
    assert any("contender" in line and "xgboost" in line for line in narrow.splitlines())


def test_what_fits_no_way_is_broken_and_not_cut() -> None:
    told = printed([{"name": "a" * 50, "other": "b" * 50}], 40)
    assert told.count("a") == 51  # with that of the head
    assert told.count("b") == 50
