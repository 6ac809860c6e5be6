"""What was said to MetaTrader is told by `explain` and exported, call by call, as it was."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from online.adapters.sqlite_journal import verify
from online.domain.operation import Close
from online.domain.record import Record, ResultRecord
from online.domain.terminal_call import ServerStamp, TerminalCall
from pipelines.audit.call_table import TERMINAL_CALLS
from pipelines.audit.columns import Format, format_time
from pipelines.audit.export import export
from pipelines.cli import run
from pipelines.commands.explain_calls import tell_calls
from tests.fakes import BAR_NS
from tests.floors import TestFloor
from tests.journals import write_journal
from tests.terminal_calls import make_call, unanswered

DECISION = "EURUSD-H1-20171004T0000Z-1"
CALLS = (make_call(result={"retcode": 10004}, echo=None), unanswered("the worker was ended"))


def called(records: Sequence[Record], calls: tuple[TerminalCall, ...]) -> list[Record]:
    """Return records whose results tell calls."""
    return [
        msgspec.structs.replace(each, calls=calls) if isinstance(each, ResultRecord) else each
        for each in records
    ]


@pytest.fixture
def records() -> Sequence[Record]:
    floor = TestFloor()
    floor.enter()
    floor.operate("a", Close(1))
    return tuple(floor.journal.records())


@pytest.fixture
def journal(records: Sequence[Record], tmp_path: Path) -> Path:
    return write_journal(tmp_path / "journal.db", called(records, CALLS))


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def words(call: TerminalCall) -> str:
    return " ".join(line.plain for line in tell_calls([call]))


@pytest.mark.lean
@pytest.mark.parametrize("name", [DECISION, "op-a"])
def test_explaining_an_order_tells_what_was_sent_and_what_came_back(
    journal: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(journal) == 4
    assert run(["explain", name, "--journal", str(journal)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert told.count("Sent to MetaTrader at 2017-10-03 03:00:00.000000 UTC") == 2
    assert "(server's clock 2017-10-03 05:00:00.000): order_send action" in told
    assert "8.0 ms later (server's clock 2017-10-03 05:00:00.004): retcode 10004;" in told
    assert "It did not repeat the request." in told
    assert "No answer was seen: the worker was ended." in told


@pytest.mark.lean
def test_explaining_an_order_of_which_no_call_is_known_claims_none(
    records: Sequence[Record], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = write_journal(tmp_path / "plain.db", records)
    assert run(["explain", DECISION, "--journal", str(journal)]) == 0
    assert "MetaTrader at" not in capsys.readouterr().out


@pytest.mark.lean
def test_words_of_a_call_name_what_the_answer_repeats_otherwise_and_what_is_absent() -> None:
    assert words(make_call()).endswith("It repeats the request with price 1.1003.")
    same = make_call(echo=make_call().request, server_before=None, server_after=None)
    assert words(same).endswith("It repeats the request.")
    assert "server's clock" not in words(same)
    nothing = make_call(result=None, echo=None, last_error=(-10002, "IPC recv failed"))
    assert words(nothing).endswith(": nothing; last_error (-10002, 'IPC recv failed').")
    assert words(unanswered()).endswith("No answer was seen: the call did not return.")


def test_every_call_is_a_row_of_the_export_with_every_field_of_it(
    journal: Path, tmp_path: Path
) -> None:
    manifest = export(journal, tmp_path / "out", 0, 1 << 62, tuple(Format))
    rows = _csv(tmp_path / "out" / "terminal_calls.csv")
    assert (manifest.rows["terminal_calls"], manifest.rows["replies"], len(rows)) == (4, 2, 4)
    answered, lost = rows[0], rows[1]
    assert json.loads(answered["request"]) == make_call().request
    assert json.loads(answered["result"]) == {"retcode": 10004}
    assert answered["called_at"] == format_time(BAR_NS)
    assert answered["returned_at"] == format_time(BAR_NS + 8_000_000)
    assert int(answered["server_before_ms"]) == BAR_NS // 1_000_000 + 7_200_000
    assert answered["server_after"] == format_time(BAR_NS + 4_000_000)
    assert (lost["result"], lost["returned_at"], lost["last_error"]) == ("", "", "")
    assert lost["trouble"] == "the worker was ended"
    sources = {column.source for column in TERMINAL_CALLS}
    for name in TerminalCall.__struct_fields__:
        inner = ServerStamp.__struct_fields__ if "server" in name else ()
        wanted = {f"call.{name}.{each}" for each in inner} or {f"call.{name}"}
        assert wanted <= sources, name
