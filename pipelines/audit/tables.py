"""The tables of the export, and which of them a record makes a row of: every kind makes one."""

from __future__ import annotations

from typing import assert_never

from online.domain.circuit_record import CircuitRecord
from online.domain.former import FormerLimitsRecord
from online.domain.record import (
    AccountRecord,
    DealRecord,
    DecisionRecord,
    HaltRecord,
    LimitsRecord,
    ModelRecord,
    OperationRecord,
    ReconciliationRecord,
    Record,
    ResolutionRecord,
    ResultRecord,
    TrailRecord,
)
from pipelines.audit import call_table, state_tables, trade_tables
from pipelines.audit.columns import Column

CALLS = "terminal_calls"
"""The table that has a row for each of a record's calls."""
STATES: dict[str, tuple[Column, ...]] = {
    "models": state_tables.MODELS,
    "limits": state_tables.LIMITS,
    "trading_states": state_tables.TRADING_STATES,
    "accounts": state_tables.ACCOUNTS,
    "reconciliations": state_tables.RECONCILIATIONS,
    "circuits": state_tables.CIRCUITS,
}
"""Tables whose newest row holds until the next one; of circuits, the newest of each system."""
TABLES: dict[str, tuple[Column, ...]] = {
    "decisions": trade_tables.DECISIONS,
    "orders": trade_tables.ORDERS,
    "replies": trade_tables.REPLIES,
    CALLS: call_table.TERMINAL_CALLS,
    "deals": trade_tables.DEALS,
    "operations": trade_tables.OPERATIONS,
    "resolutions": trade_tables.RESOLUTIONS,
    "trails": trade_tables.TRAILS,
    **STATES,
}
"""Columns by table, in the order of the files."""


def tables_of(record: Record) -> tuple[str, ...]:  # noqa: C901, PLR0911, PLR0912 - one a kind
    """Return the tables that a record makes a row of."""
    match record:
        case DecisionRecord():
            return ("decisions",) if record.intent is None else ("decisions", "orders")
        case ResultRecord():
            return ("replies", CALLS) if record.calls else ("replies",)
        case DealRecord():
            return ("deals",)
        case OperationRecord():
            return ("operations",)
        case ResolutionRecord():
            return ("resolutions",)
        case TrailRecord():
            return ("trails",)
        case ModelRecord():
            return ("models",)
        case LimitsRecord() | FormerLimitsRecord():
            return ("limits",)
        case HaltRecord():
            return ("trading_states",)
        case AccountRecord():
            return ("accounts",)
        case ReconciliationRecord():
            return ("reconciliations",)
        case CircuitRecord():
            return ("circuits",)
        case _:
            assert_never(record)
