"""The relay as a part of the platform: ready, told when PostgreSQL is gone, and ready again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from online.domain.errors import SextantError
from pipelines.home import Home
from pipelines.platform.services import relay
from pipelines.platform.state import PartStatus, judge_parts
from pipelines.platform.supervisor import Platform
from tests.journals import halts, write_journal
from tests.postgres import PostgresForTests

pytestmark = pytest.mark.integration
DEADLINE_SECONDS = 60.0


def wait_for(platform: Platform, *, ready: bool) -> PartStatus:
    """Ask for the relay's status until it is so."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        (part,) = judge_parts(platform.state_file)
        if part.ready is ready:
            return part
        assert time.monotonic() < deadline, part
        time.sleep(0.05)  # between two looks; the look decides


def test_status_tells_how_far_the_copy_is_and_that_postgres_is_gone(
    tmp_path: Path, postgres_server: PostgresForTests, url: str
) -> None:
    home, secret = Home(tmp_path), tmp_path / "url"
    secret.write_text(url)
    write_journal(home.journal, halts(12))
    with Platform(home, ("relay",)) as platform:
        platform.start(relay(home, ("--url-file", str(secret), "--poll-seconds", "0.05")))
        assert wait_for(platform, ready=True).detail.startswith("copied up to record ")
        postgres_server.stop()
        write_journal(home.journal, halts(3, first=12))
        assert "circuit" in wait_for(platform, ready=False).detail
        postgres_server.start()
        wait_for(platform, ready=True)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while wait_for(platform, ready=True).detail != "copied up to record 15":
            assert time.monotonic() < deadline


def test_a_database_that_cannot_be_named_ends_the_start(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_journal(home.journal, halts(1))
    with pytest.raises(SextantError, match="no PostgreSQL was named"), Platform(home) as platform:
        platform.start(relay(home))
