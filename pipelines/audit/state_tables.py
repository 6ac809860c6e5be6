"""Tables of the export about what was in force: models, limits, trading states, accounts."""

from __future__ import annotations

from pipelines.audit.columns import Column, sealed

MODELS = (
    *sealed(),
    Column("in_force_from", "time", "UTC", "record.at_ns", "When it began to trade"),
    Column("name", "text", "-", "record.name", "Registered name of the bundle"),
    Column("alias", "text", "-", "record.alias", "Name under which it was asked for"),
    Column("version", "text", "-", "record.version", "Registered version of the bundle"),
    Column("model_sha256", "text", "-", "record.sha256", "Digest of the bundle"),
    Column("policy", "text", "-", "record.policy", "Of its certificate; empty without one"),
    Column("approver", "text", "-", "record.approver", "Who approved it; empty without a person"),
    Column("bit_equal", "boolean", "-", "record.bit_equal",
           "True if its golden vectors were reproduced bit for bit, false within tolerance"),
    Column("runtime", "text", "-", "record.runtime", "What scored it"),
    Column("manifest", "text", "-", "record.manifest", "All it says of itself, as JSON"),
)  # fmt: skip
LIMITS = (
    *sealed(),
    Column("in_force_from", "time", "UTC", "record.at_ns", "When they came into force"),
    Column("by", "text", "-", "record.by", "Who or what put them in force"),
    Column("changes", "json", "-", "record.changes", "Limits that differ: value before and after"),
    Column("limits", "json", "-", "record.limits", "All of them, by name"),
    Column("previous", "json", "-", "record.previous", "What they replaced, if anything is known"),
)  # fmt: skip
TRADING_STATES = (
    *sealed(),
    Column("in_force_from", "time", "UTC", "record.at_ns", "When it came into force"),
    Column("state", "text", "-", "record.trading",
           "active: resumed; reducing: closes alone; halted: nothing that no person asks for"),
    Column("reason", "text", "-", "record.reason", "Why; empty where trading was resumed"),
    Column("by", "text", "-", "record.by", "Who: a person, reconciliation, a program"),
    Column("stated", "text", "-", "record.state", "As recorded; empty in the oldest records"),
)  # fmt: skip
ACCOUNTS = (
    *sealed(),
    Column("in_force_from", "time", "UTC", "record.at_ns", "When the account was known"),
    Column("account", "text", "-", "record.account", "By the broker's word"),
    Column("new", "boolean", "-", "record.new",
           "True if a new epoch begins: the one before ended, tickets are counted anew"),
)  # fmt: skip
CIRCUITS = (
    *sealed(),
    Column("in_force_from", "time", "UTC", "record.at_ns", "When the circuit changed"),
    Column("system", "text", "-", "record.system", "Outside system: features, gateway, mlflow"),
    Column("state", "text", "-", "record.state", "open: it is not asked; closed: it is again"),
    Column("trouble", "text", "-", "record.trouble", "The failure that opened it; else empty"),
)  # fmt: skip
RECONCILIATIONS = (
    *sealed(),
    Column("in_force_from", "time", "UTC", "record.at_ns", "When journal and broker were compared"),
    Column("compared", "boolean", "-", "record.compared",
           "True once they agreed on everything since the scorer's start"),
    Column("findings", "json", "-", "record.findings", "On what they differed from then on"),
)  # fmt: skip
