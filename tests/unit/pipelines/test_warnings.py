"""What our code warns of is seen by whoever runs a command."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from pipelines.commands.environment import PACKAGES, tell_warnings


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    """Leave no handler behind."""
    before = {name: list(logging.getLogger(name).handlers) for name in PACKAGES}
    yield
    for name, handlers in before.items():
        logging.getLogger(name).handlers = handlers


def test_a_warning_is_a_line_on_standard_error_once_however_often_it_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell_warnings()
    tell_warnings()
    for package in PACKAGES:
        logging.getLogger(f"{package}.somewhere").warning("3 bars of [EURUSD] are %s", "missing")
        logging.getLogger(f"{package}.somewhere").info("nothing to be seen")
    logging.getLogger("another").warning("not ours")
    told = capsys.readouterr()
    assert told.err.splitlines() == ["warning: 3 bars of [EURUSD] are missing"] * len(PACKAGES)
    assert not told.out


def test_what_runs_for_days_is_told_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    tell_warnings()
    tell_warnings(stamped=True)
    logging.getLogger("pipelines.follow").error("gone")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(" ERROR gone")
    assert line[:4].isdigit()
