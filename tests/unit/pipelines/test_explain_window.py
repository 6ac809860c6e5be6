"""What `sextant explain` tells of a decision's window."""

from __future__ import annotations

import hashlib
import io

import msgspec
import pytest
from rich.console import Console

from online.domain.manifest import encode_manifest
from online.domain.record import DecisionRecord, ModelRecord
from pipelines.commands.explain import tell
from pipelines.commands.story import Story
from tests.fakes import BAR_NS, make_manifest, make_windowed_contract, make_windowed_reading
from tests.journals import decision

pytestmark = pytest.mark.lean
READING = make_windowed_reading()


def explain(taken: DecisionRecord) -> str:
    manifest = encode_manifest(make_manifest(vector=make_windowed_contract())).decode()
    name = "EURUSD.H1.barrier"
    model = ModelRecord(BAR_NS, name, "paper", "1", "f" * 64, manifest, "runtime", bit_equal=True)
    console = Console(width=200, record=True, file=io.StringIO())
    for part in tell(Story(taken, model, None, (), ())):
        console.print(part)
    return console.export_text()


def test_a_window_is_told_by_its_bar_its_size_and_its_digest() -> None:
    assert READING.window is not None
    taken = msgspec.structs.replace(
        decision(1),
        features=(55.0, 0.0005, 0.00125, 0.5),
        view_stamps_ns=(BAR_NS, BAR_NS),
        window=READING.window,
        window_stamp_ns=BAR_NS,
    )
    digest = hashlib.sha256(READING.window).hexdigest()[:12]
    assert (
        "Window h1_window_short_3 v1: bar 2017-10-03 03:00:00 UTC, 24 bytes; 3 vectors of 2 "
        f"features were asked for; SHA-256 {digest}."
    ) in explain(taken)


def test_a_window_that_was_asked_for_and_not_held_is_told() -> None:
    taken = msgspec.structs.replace(
        decision(1), features=(1.0, 1.0, 1.0, 1.0), view_stamps_ns=(BAR_NS, BAR_NS)
    )
    assert "Window h1_window_short_3: none was held." in explain(taken)
