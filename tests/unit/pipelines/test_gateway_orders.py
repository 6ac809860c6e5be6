"""`sextant gateway orders`: a gateway's own orders, by its inbox alone."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from online.domain.called_reply import with_calls
from online.domain.order import OrderReply, OrderStatus
from online.gateway.inbox import open_inbox
from online.gateway.inbox_copy import cause_of
from pipelines.commands.gateway_orders import orders
from tests.fakes import BAR_NS
from tests.gateway_world import closing, entry
from tests.terminal_calls import make_call

SETTINGS = """
port = 1
state = "state"
[tls]
authority = "a"
certificate = "b"
key = "c"
"""
FILLED = OrderReply(OrderStatus.FILLED, 10009, 4, 5, 4, 1.1, 0.1, "done")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(SETTINGS)
    open_inbox(tmp_path / "state" / "inbox.db").close()
    return path


def fill(config: Path) -> None:
    """Let a gateway take an entry, and by itself close it and begin to cancel an order."""
    replace = msgspec.structs.replace
    close = replace(closing(1, entry(1), 4), intent_id="flatten-4-1", comment="sx-flatten-1")
    cancel = replace(close, intent_id="flatten-order-6-2", comment="sx-flatten-2", order=6)
    inbox = open_inbox(config.parent / "state" / "inbox.db")
    inbox.accept((entry(1), close, cancel), BAR_NS)
    inbox.write_fact(cause_of("flatten-4-1"), "flatten: leave now (ann)")
    inbox.record("flatten-4-1", with_calls(FILLED, (make_call(),)), BAR_NS)
    inbox.close()


def test_a_gateways_own_orders_are_told_in_words(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(config)
    orders(config)
    told = capsys.readouterr().out
    assert "entry-1" not in told
    for words in (
        "flatten-4-1: filled",
        "close 0.1 lots EURUSD of position 4, sell",
        "Cause: flatten: leave now (ann).",
        "Sent to MetaTrader at",
        "'EURUSD', volume 0.1",
        "filled, return code 10009, 0.1 lots at 1.1, order 4, deal 5",
        "flatten-order-6-2: sending",
        "cancel order 6",
        "Cause: not kept by the release of then.",
        "Its fate is not known yet.",
    ):
        assert words in told
    orders(config, every=True)
    assert "Cause: a scorer sent it" in capsys.readouterr().out


def test_a_gateways_own_orders_are_told_to_programs(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(config)
    orders(config, json=True)
    told = json.loads(capsys.readouterr().out)
    assert [row["intent"]["intent_id"] for row in told] == ["flatten-4-1", "flatten-order-6-2"]
    assert told[0]["cause"] == "flatten: leave now (ann)"
    assert told[0]["calls"][0]["request"]["symbol"] == "EURUSD"
    assert told[0]["calls"][0]["called_at_ns"] == BAR_NS
    orders(config, every=True, json=True)
    assert len(json.loads(capsys.readouterr().out)) == 3


def test_a_gateway_that_placed_nothing_by_itself_says_so(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    orders(config)
    assert "placed no order by itself" in capsys.readouterr().out
    orders(config, every=True)
    assert "accepted no order" in capsys.readouterr().out
