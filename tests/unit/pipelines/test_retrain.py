"""When and on what a model is retrained, and how a retraining is known again."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.registry import Registry
from online.domain.errors import InvalidInput, NotFound
from online.domain.market import Timeframe
from pipelines.deployments import RETRAIN_CRON, make_deployments
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.retrain import (
    DAY_NS,
    WEEK_NS,
    RetrainReport,
    Window,
    choose_window,
    newest_bar_ns,
    read_receipt,
    write_receipt,
)
from pipelines.train import code_digest

REPORT = RetrainReport(
    *("EURUSD.H1.barrier", "3", "a" * 64, "a to b"),
    known=False,
    best_alias="paper",
    headline="So so.",
)


class _Known:
    """A registry that knows version 3 alone."""

    def find(self, name: str, version: str) -> object:
        if version != "3":
            raise NotFound(f"{name} has no version {version}")
        return object()


REGISTRY: Registry = _Known()  # type: ignore[assignment] # nothing else of it is asked


@given(st.integers(min_value=DAY_NS * 400, max_value=DAY_NS * 40_000))
def test_the_window_ends_on_the_monday_at_or_before_the_newest_bar(newest_ns: int) -> None:
    end_ns = choose_window(newest_ns, None).end_ns
    assert end_ns <= newest_ns < end_ns + WEEK_NS
    assert (end_ns // DAY_NS + 3) % 7 == 0  # the epoch was a Thursday, three days past Monday
    assert choose_window(end_ns, None) == choose_window(newest_ns, None)


def test_a_rolling_window_has_its_length_and_an_expanding_one_no_start() -> None:
    assert choose_window(400 * DAY_NS, None).start_ns is None
    window = choose_window(400 * DAY_NS, 90)
    assert window.start_ns is not None
    assert window.end_ns - window.start_ns == 90 * DAY_NS
    assert str(Window(None, 4 * DAY_NS)) == "the first bar to 1970-01-05"


def test_a_window_without_length_is_refused() -> None:
    with pytest.raises(InvalidInput, match="rolling_days"):
        choose_window(400 * DAY_NS, 0)


def test_a_series_that_is_not_in_the_lake_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no EURUSD H1"):
        newest_bar_ns(Lake(tmp_path), "EURUSD", Timeframe.H1)


def test_a_receipt_is_read_back_as_known_and_only_while_the_registry_has_the_version(
    tmp_path: Path,
) -> None:
    path = tmp_path / "folder" / "receipt.json"
    assert read_receipt(path, REGISTRY) is None
    write_receipt(path, REPORT)
    assert read_receipt(path, REGISTRY) == replace(REPORT, known=True)
    write_receipt(path, replace(REPORT, version="4"))
    assert read_receipt(path, REGISTRY) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "EURUSD"}'])
def test_a_broken_receipt_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "receipt.json"
    path.write_text(text)
    assert read_receipt(path, REGISTRY) is None


def test_the_schedule_of_retraining_is_chosen_and_may_be_none(tmp_path: Path) -> None:
    home = Home(tmp_path)

    def schedules(*given_: object) -> dict[str, list[str]]:
        made = make_deployments(home, "http://mlflow", *given_)  # type: ignore[arg-type]
        return {
            each.name: [str(s.schedule.cron) for s in each.schedules or []]  # type: ignore[union-attr]
            for each in made
        }

    assert schedules()["retrain"] == [RETRAIN_CRON]
    assert schedules("0 3 * * 0")["retrain"] == ["0 3 * * 0"]
    rolling = make_deployments(home, "http://mlflow", None, None, "rolling:90")
    given = next(each.parameters for each in rolling if each.name == "retrain")
    assert given["training_window"] == "rolling:90"
    never = schedules(None, 90)
    assert never["retrain"] == never["promote"] == never["train"] == []


def test_another_version_of_a_library_is_other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    known = code_digest.__wrapped__()
    assert code_digest.__wrapped__() == known

    def upgraded(library: str) -> str:
        return "0.0" if library == "xgboost" else version(library)

    monkeypatch.setattr("pipelines.train.package_version", upgraded)
    assert code_digest.__wrapped__() != known
