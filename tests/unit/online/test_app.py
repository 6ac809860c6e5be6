"""The composition root: what settings lead to, and what is left of a start that was refused."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from online.adapters.circuits import GuardedBroker
from online.adapters.gateway_broker import GatewayBroker
from online.adapters.mlflow_rest import MlflowRegistry
from online.adapters.sqlite_journal import open_journal
from online.api.accounting import OtherAccount
from online.api.scorer import Scorer
from online.app import compose, create_app, serve
from online.domain.errors import InvalidSettings, SextantError, Unavailable
from online.domain.news import NOTHING_TOLD
from online.gateway.certificates import issue
from online.settings import Settings
from tests.bundles import write_bundle
from tests.gateway_world import eventually
from tests.ports import free_port
from tests.scorers import calling, make_settings

NAME = "EURUSD.H1.barrier"
NEWS = "starts_at,ends_at,subject,impact,name\n"
HOLIDAY = "2017-10-03T00:00:00Z,2017-10-04T00:00:00Z,USD,high,Holiday\n"
PAPER = {"mode": "paper", "clock": {"kind": "system"}}


@pytest.fixture(autouse=True)
def _bundles(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundles" / NAME / "1")
    (tmp_path / "bundles" / NAME / "paper").symlink_to("1")


def settings_of(folder: Path, **changes: Any) -> Settings:  # noqa: ANN401 - settings
    """Return settings whose online store is nowhere: a scorer starts without it."""
    return make_settings(folder, folder / "no.sock", **changes)


def assert_journal_is_free(folder: Path) -> None:
    journal, _ = open_journal(folder / "journal.db")
    journal.close()


def composed(settings: Settings) -> Scorer:
    """Return a scorer that was composed and closed again."""

    async def story() -> Scorer:
        scorer, close = compose(settings)
        await close()
        return scorer

    return asyncio.run(story())


def test_a_gateway_stands_behind_a_circuit_and_tells_whose_account_it_is(tmp_path: Path) -> None:
    issue(tmp_path, ["127.0.0.1"])
    broker = {
        "kind": "gateway",
        "host": "127.0.0.1",
        "port": free_port(),
        "authority": tmp_path / "authority.pem",
        "certificate": tmp_path / "scorer.pem",
        "key": tmp_path / "scorer.key",
    }
    scorer = composed(settings_of(tmp_path, **PAPER, broker=broker))
    circuits = {each.name: each.essential for each in scorer.parts.breakers}
    assert circuits == {"features": True, "gateway": True}
    identify = scorer.parts.identify
    guarded = getattr(identify, "__self__", None)
    assert isinstance(guarded, GuardedBroker)
    assert isinstance(guarded.inner, GatewayBroker)
    assert scorer.parts.simulation is None
    charged = {**broker, "commission_per_lot": 4.5, "slippage_points": 7}
    own = composed(settings_of(tmp_path, **PAPER, broker=charged)).parts.instruments["EURUSD"]
    assert (own.commission_per_lot, own.slippage_points) == (4.5, 7)  # entries are sized by them
    with pytest.raises(InvalidSettings):
        compose(settings_of(tmp_path, **PAPER, broker={**broker, "key": tmp_path / "none.key"}))
    assert_journal_is_free(tmp_path)


def test_the_simulated_terminal_charges_what_entries_are_sized_by(tmp_path: Path) -> None:
    broker = {"kind": "simulated", "commission_per_lot": 4.5, "slippage_points": 7}
    parts = composed(settings_of(tmp_path, broker=broker)).parts
    assert parts.simulation is not None
    for symbol, market in parts.simulation.terminal.markets.items():
        assert market.instrument is parts.instruments[symbol]
        assert market.rules.slippage_points == 7
    assert parts.instruments["EURUSD"].commission_per_lot == 4.5
    assert parts.instruments["NSXUSD"].commission_per_lot == 0.0


def test_a_registry_that_is_down_is_no_reason_to_be_unready(tmp_path: Path) -> None:
    models = {"kind": "mlflow", "url": "http://127.0.0.1:1", "cache": tmp_path / "cache"}
    scorer = composed(settings_of(tmp_path, models=models))
    assert isinstance(scorer.parts.source, MlflowRegistry)
    assert {each.name: each.essential for each in scorer.parts.breakers} == {
        "features": True,
        "mlflow": False,
    }


@pytest.mark.parametrize("content", [None, "no calendar"])
def test_a_calendar_that_cannot_be_read_refuses_to_start_and_holds_no_journal(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "news.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SextantError):
        compose(settings_of(tmp_path, news={"kind": "file", "path": path}))
    assert_journal_is_free(tmp_path)


def test_a_feed_has_told_nothing_at_the_start_so_nothing_is_entered(tmp_path: Path) -> None:
    news = {"kind": "feed", "url": "http://127.0.0.1:1/"}
    scorer = composed(settings_of(tmp_path, **PAPER, news=news))
    assert scorer.parts.news is NOTHING_TOLD
    assert scorer.news_watch is not None
    assert not scorer.news_watch.state().ready


def test_a_symbol_that_is_not_known_refuses_to_start_and_holds_no_journal(tmp_path: Path) -> None:
    with pytest.raises(SextantError, match="XXXYYY"):
        create_app(settings_of(tmp_path, model={"name": "XXXYYY.H1.barrier", "alias": "paper"}))
    assert_journal_is_free(tmp_path)


def test_a_running_scorer_hears_of_news_and_of_a_moved_alias_and_leaves_no_task_behind(
    tmp_path: Path,
) -> None:
    news = tmp_path / "news.csv"
    news.write_text(NEWS)
    settings = settings_of(
        tmp_path,
        **PAPER,
        news={"kind": "file", "path": news, "poll_seconds": 0.01, "max_age_seconds": 0.0},
        model={"name": NAME, "alias": "paper", "watch_seconds": 0.01},
    )

    async def story() -> None:
        before = asyncio.all_tasks()
        async with calling(settings) as caller:
            scorer = caller.app.state.scorer
            assert scorer.loaded.version == "1"
            assert len(scorer.parts.news) == 0
            write_bundle(tmp_path / "bundles" / NAME / "2")
            alias = tmp_path / "bundles" / NAME / "paper"
            alias.unlink()
            alias.symlink_to("2")
            news.write_text(NEWS + HOLIDAY)

            async def has_heard() -> bool:
                return scorer.loaded.version == "2" and len(scorer.parts.news) == 1

            await eventually(has_heard)
        assert asyncio.all_tasks() == before

    asyncio.run(story())
    assert_journal_is_free(tmp_path)


def test_where_nobody_can_hang_up_limits_are_watched_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(signal, "SIGHUP")  # as on Windows
    settings = settings_of(tmp_path)

    class Source:
        def read(self) -> Any:  # noqa: ANN401 - limits
            return settings.limits

        def stamp(self) -> tuple[object, ...]:
            return ()

    async def story() -> None:
        async with calling(settings, Source()) as caller:
            assert caller.app.state.scorer.safety.state().ready

    asyncio.run(story())


def test_a_port_that_is_taken_is_told_and_the_journal_is_free_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=f"127.0.0.1:{port}") as refused:
            serve(settings_of(tmp_path, http={"port": port}))
    assert refused.value.code == "ADDRESS_UNAVAILABLE"
    assert_journal_is_free(tmp_path)


def test_what_refuses_to_start_is_what_serving_ends_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: Scorer) -> None:
        raise OtherAccount("the journal is of another account")

    monkeypatch.setattr(Scorer, "start", refuse)
    with pytest.raises(OtherAccount, match="another account"):
        serve(settings_of(tmp_path, http={"port": free_port()}))
    assert_journal_is_free(tmp_path)
