"""The table of the terminal's calls: what was sent to MetaTrader, and what it answered."""

from __future__ import annotations

from pipelines.audit.columns import Column, sealed

TERMINAL_CALLS = (
    *sealed(),
    Column("intent_id", "text", "-", "record.intent_id", "Order that it was made for"),
    Column("decision_id", "text", "-", "record.decision_id", "Decision that made the order"),
    Column("recorded_at", "time", "UTC", "record.at_ns", "The scorer's clock when it was recorded"),
    Column("function", "text", "-", "call.function", "Of the MetaTrader5 package"),
    Column("called_at", "time", "UTC", "call.called_at_ns", "The gateway's clock before the call"),
    Column("returned_at", "time", "UTC", "call.returned_at_ns",
           "The gateway's clock after it; empty where nobody saw it return"),
    Column("server_before_ms", "integer", "ms of the server's wall clock",
           "call.server_before.told_ms", "Newest tick before the call, as the terminal told it"),
    Column("server_before", "time", "UTC", "call.server_before.at_ns",
           "The same by the server's configured zone"),
    Column("server_after_ms", "integer", "ms of the server's wall clock",
           "call.server_after.told_ms", "Newest deal that the answer led to; empty if unseen"),
    Column("server_after", "time", "UTC", "call.server_after.at_ns",
           "The same by the server's configured zone"),
    Column("request", "json", "-", "call.request", "What the package was given"),
    Column("result", "json", "-", "call.result",
           "What it returned, without the echo; empty where it returned nothing"),
    Column("echo", "json", "-", "call.echo", "The request as the answer repeats it"),
    Column("last_error", "json", "-", "call.last_error", "The package's code and words after it"),
    Column("trouble", "text", "-", "call.trouble", "Why there is no answer; empty if it returned"),
)  # fmt: skip
