"""Every kind of record is in a table of the export, with every field of it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pyarrow.parquet
import pytest

from online.domain.account import Deal
from online.domain.breaker import BreakerState
from online.domain.circuit_record import CircuitRecord
from online.domain.former import FormerLimitsRecord
from online.domain.limits import Limits
from online.domain.market import Side
from online.domain.operation import Cancel
from online.domain.order import OrderReply, OrderStatus
from online.domain.reconciliation import Finding, FindingKind
from online.domain.record import (
    AccountRecord,
    DealRecord,
    HaltRecord,
    LimitsRecord,
    ModelRecord,
    OperationRecord,
    ReconciliationRecord,
    Record,
    ResolutionRecord,
    ResultRecord,
    TrailRecord,
    WrittenRecord,
)
from online.domain.sizing import Sizing
from online.domain.trading_state import TradingState
from online.domain.trailing import TrailingRule
from pipelines.audit.columns import Format
from pipelines.audit.export import export
from pipelines.audit.tables import STATES, TABLES, tables_of
from tests.fakes import make_intent, make_limits
from tests.journals import DAY_NS, FIRST_NS, decision, write_journal
from tests.terminal_calls import make_call

FOREVER_NS = 1 << 62
ENTRY = make_intent()
REPLY = OrderReply(OrderStatus.UNKNOWN, 10012, 0, 0, 0, 0.0, 0.0, "timeout")


def _model(at_ns: int, version: str) -> ModelRecord:
    return ModelRecord(
        at_ns, "EURUSD.H1.barrier", "champion", version, "a" * 64, "{}", "onnx", bit_equal=True
    )


def one_of_each(at_ns: int = FIRST_NS) -> tuple[Record, ...]:
    """Return records of every kind, in an order that can be."""
    sized = Sizing(100.0, 200.0, 8.0, 7.0, 0.4, 0.01, 0.01)
    ordered = msgspec.structs.replace(decision(1, at_ns), intent=ENTRY, vetoes=(), sizing=sized)
    strict = make_limits(max_volume_lots=0.5)
    cancel = make_intent(intent_id="op-c", order=7)
    deal = Deal(5, 4, 3, ENTRY.magic, "EURUSD", Side.BUY, True, "expert", 0.1, 1.1, at_ns, 0.0, 0.0)  # noqa: FBT003 - a deal's field
    finding = Finding(FindingKind.FOREIGN_DEAL, "5", "somebody's")
    return (
        AccountRecord(at_ns, "1@Fake"),
        LimitsRecord(at_ns, strict, "file", make_limits()),
        _model(at_ns, "3"),
        ordered,
        ResultRecord(ordered.decision_id, ENTRY.intent_id, at_ns, REPLY, (make_call(),)),
        ResolutionRecord(ordered.decision_id, ENTRY.intent_id, at_ns, "ann", "seen", REPLY),
        DealRecord(at_ns, deal),
        OperationRecord("op-c", 2, at_ns, "ann", "news", Cancel(7), None, None, None, cancel),
        TrailRecord(at_ns, 3, "EURUSD", TrailingRule(0.005), "ann", "news", 0.001),
        ReconciliationRecord(at_ns, True, (finding,)),  # noqa: FBT003 - a record's field
        CircuitRecord(at_ns, "features", BreakerState.OPEN, "no answer"),
        HaltRecord(at_ns, "somebody else trades", "reconciliation", TradingState.HALTED),
        HaltRecord(at_ns, "", "ann", TradingState.ACTIVE),
    )


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_kind_of_record_of_a_journal_makes_a_row_of_some_table() -> None:
    made = {type(record): tables_of(record) for record in one_of_each()}
    assert set(made) == set(get_args(WrittenRecord))
    assert all(tables and set(tables) <= set(TABLES) for tables in made.values())
    assert {table for tables in made.values() for table in tables} == set(TABLES)
    former = FormerLimitsRecord(FIRST_NS, {})
    assert set(get_args(Record)) - set(made) == {FormerLimitsRecord}
    assert tables_of(former) == ("limits",)


def _structs(kind: Any) -> list[type[msgspec.Struct]]:  # noqa: ANN401 - any annotation
    """Return the struct that a field is, if it is one; a list or union of several is none."""
    options = get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)
    found = [each for each in options if each is not NoneType]
    return found if len(found) == 1 and isinstance(found[0], msgspec.StructMeta) else []


def _missing(path: str, kind: Any, sources: set[str]) -> list[str]:  # noqa: ANN401 - any annotation
    """Return the paths below `path` that no column reads."""
    if path in sources or any(source.startswith(f"{path}.0") for source in sources):
        return []
    fields = [(each, get_type_hints(each)) for each in _structs(kind)]
    if not fields:
        return [path]
    return [
        lost
        for struct, hints in fields
        for name in struct.__struct_fields__
        for lost in _missing(f"{path}.{name}", hints[name], sources)
    ]


@pytest.mark.parametrize("kind", get_args(WrittenRecord))
def test_every_field_of_a_record_is_read_by_some_column(kind: type[msgspec.Struct]) -> None:
    (record,) = (each for each in one_of_each()[:-1] if type(each) is kind)
    sources = {column.source for table in tables_of(record) for column in TABLES[table]}
    if kind is ResultRecord:  # a row of the calls' table is one of them
        sources.add("record.calls")
    hints = get_type_hints(kind)
    lost = [
        path
        for name in kind.__struct_fields__
        for path in _missing(f"record.{name}", hints[name], sources)
    ]
    assert lost == []


def test_a_period_holds_who_changed_limits_models_states_and_accounts(tmp_path: Path) -> None:
    path = write_journal(tmp_path / "j.db", one_of_each())
    manifest = export(path, tmp_path / "out", 0, FOREVER_NS)
    expected = {**dict.fromkeys(TABLES, 1), "trading_states": 2}
    assert manifest.rows == expected
    (row,) = _csv(tmp_path / "out" / "limits.csv")
    assert json.loads(row["changes"]) == {"max_volume_lots": [1.0, 0.5]}
    assert msgspec.json.decode(row["limits"], type=Limits) == make_limits(max_volume_lots=0.5)
    (row,) = _csv(tmp_path / "out" / "decisions.csv")
    assert (row["risk_budget"], row["loss_per_lot"]) == ("100.0", "215.0")
    assert msgspec.json.decode(row["sizing"], type=Sizing).volume_lots == 0.4
    (row,) = _csv(tmp_path / "out" / "models.csv")
    assert (row["name"], row["version"], row["bit_equal"]) == ("EURUSD.H1.barrier", "3", "true")
    halted, resumed = _csv(tmp_path / "out" / "trading_states.csv")
    assert (halted["state"], halted["by"]) == ("halted", "reconciliation")
    assert (resumed["state"], resumed["reason"], resumed["by"]) == ("active", "", "ann")
    (row,) = _csv(tmp_path / "out" / "accounts.csv")
    assert (row["account"], row["new"]) == ("1@Fake", "false")
    (row,) = _csv(tmp_path / "out" / "reconciliations.csv")
    assert json.loads(row["findings"])[0]["kind"] == "FOREIGN_DEAL"


def test_csv_and_parquet_hold_the_same_of_every_kind(tmp_path: Path) -> None:
    export(write_journal(tmp_path / "j.db", one_of_each()), tmp_path / "out", 0, FOREVER_NS)
    for table, columns in TABLES.items():
        text = _csv(tmp_path / "out" / f"{table}.csv")
        typed = pyarrow.parquet.read_table(tmp_path / "out" / f"{table}.parquet").to_pylist()
        assert len(text) == len(typed) > 0
        for written, row in zip(text, typed, strict=True):
            assert list(written) == list(row) == [column.name for column in columns]
            shown = {k: "" if v is None else str(v) for k, v in row.items()}
            assert {k: v.lower() for k, v in written.items()} == {
                k: v.lower() for k, v in shown.items()
            }


def test_what_was_in_force_when_a_period_began_stands_first_in_its_table(tmp_path: Path) -> None:
    day_ns = FIRST_NS + 3 * DAY_NS
    records = (
        _model(FIRST_NS, "1"),
        _model(FIRST_NS + 1, "2"),
        HaltRecord(FIRST_NS + 2, "a test", "ann", TradingState.HALTED),
        decision(1, FIRST_NS + 3),
        decision(2, day_ns),
        _model(day_ns + 1, "3"),
        _model(day_ns + DAY_NS, "4"),
    )
    path = write_journal(tmp_path / "j.db", records)
    manifest = export(path, tmp_path / "out", day_ns, day_ns + DAY_NS, [Format.CSV])
    assert {name: rows for name, rows in manifest.rows.items() if rows} == {
        "decisions": 1,
        "models": 2,
        "trading_states": 1,
    }
    rows = _csv(tmp_path / "out" / "models.csv")
    assert [(row["version"], row["in_force_from"] < manifest.from_time) for row in rows] == [
        ("2", True),
        ("3", False),
    ]
    later = export(path, tmp_path / "later", FOREVER_NS - 1, FOREVER_NS, [Format.CSV])
    assert later.rows["models"] == later.rows["trading_states"] == 1
    assert later.rows["decisions"] == 0
    assert set(STATES) <= set(TABLES)


def test_of_circuits_the_newest_of_each_system_was_in_force(tmp_path: Path) -> None:
    day_ns = FIRST_NS + DAY_NS
    records = (
        CircuitRecord(FIRST_NS, "features", BreakerState.OPEN, "no answer"),
        CircuitRecord(FIRST_NS + 1, "gateway", BreakerState.OPEN, "no answer"),
        CircuitRecord(FIRST_NS + 2, "gateway", BreakerState.CLOSED),
        decision(1, day_ns),
    )
    path = write_journal(tmp_path / "j.db", records)
    export(path, tmp_path / "out", day_ns, day_ns + DAY_NS, [Format.CSV])
    rows = _csv(tmp_path / "out" / "circuits.csv")
    assert [(row["system"], row["state"]) for row in rows] == [
        ("features", "open"),
        ("gateway", "closed"),
    ]
