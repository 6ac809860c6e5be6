"""The page: self-contained, escaped, whole or not at all."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pipelines.charts import equity_chart, price_chart
from pipelines.page import Page, show
from pipelines.performance import measure
from pipelines.trades import Trade
from tests import worlds

PNG = b"\x89PNG\r\n\x1a\n"


def test_a_page_holds_its_tables_and_pictures_and_fetches_nothing(tmp_path: Path) -> None:
    page = Page("Report <1>", "A & B")
    page.heading("Figures")
    page.paragraph("5 < 6")
    page.cards({"trades": 1234})
    page.table(["name", "met"], [["ratio", True], ["other", False]])
    page.table(
        ["wanted", "meaning"], [["<= 1e-06", "A sentence that goes on for more than a line"]]
    )
    page.table(["side", "net"], [["buy", -748.04], ["sell", 2.5]])
    page.picture(PNG, 'price "chart"')
    page.write(tmp_path / "deep" / "page.html")
    text = (tmp_path / "deep" / "page.html").read_text()
    assert "Report &lt;1&gt;" in text
    assert "1,234" in text
    assert "<td class='yes'>yes</td>" in text
    assert "<td class='s'>&lt;= 1e-06</td><td class='t'>A sentence" in text
    assert "<th>side</th><th class='n'>net</th>" in text
    assert "price &quot;chart&quot;" in text
    assert "http://" not in text
    assert "https://" not in text
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567, "1,234,567"),
        (0.12345, "0.1235"),
        (1234.5, "1,234.50"),
        (-0.0000234, "-2.3e-05"),
        (0.0, "0.0000"),
        (math.nan, "n/a"),
    ],
)
def test_numbers_are_shown_as_people_read_them(value: float, text: str) -> None:
    assert show(value) == text


def test_charts_are_pictures() -> None:
    bars = worlds.random_bars(50, seed=3)
    stamps = [bar.closed_at_ns for bar in bars]
    trades = [
        Trade(1, "EURUSD", "buy", 0.1, stamps[3], bars[3].close, stamps[9], 1.2, "target", 5.0),
        Trade(2, "EURUSD", "sell", 0.1, stamps[12], bars[12].close, stamps[20], 1.2, "stop", -5.0),
    ]
    assert price_chart(bars, trades, "EURUSD H1").startswith(PNG)
    flat = measure((), 100.0, last=(stamps[-1], 101.0))
    assert equity_chart({"model": flat, "rules": flat}, "USD").startswith(PNG)
