# ruff: noqa: INP001 - Alembic loads its files by path, not as a package
"""A view of the terminal's calls: what was sent to MetaTrader and what it answered.

Revision 0003.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_CALLS = """
CREATE VIEW audit.terminal_calls AS SELECT
    journal_id,
    sequence,
    number,
    decision_id,
    body ->> 'intent_id' AS intent_id,
    recorded_at,
    call ->> 'function' AS function,
    audit.to_time((call ->> 'called_at_ns')::bigint) AS called_at,
    audit.to_time((call ->> 'returned_at_ns')::bigint) AS returned_at,
    (call #>> '{server_before,told_ms}')::bigint AS server_before_ms,
    audit.to_time((call #>> '{server_before,at_ns}')::bigint) AS server_before,
    (call #>> '{server_after,told_ms}')::bigint AS server_after_ms,
    audit.to_time((call #>> '{server_after,at_ns}')::bigint) AS server_after,
    call -> 'request' AS request,
    call -> 'result' AS result,
    call -> 'echo' AS echo,
    call -> 'last_error' AS last_error,
    coalesce(call ->> 'trouble', '') AS trouble
FROM audit.records, jsonb_array_elements(body -> 'calls') WITH ORDINALITY AS each (call, number)
WHERE kind = 'result';
COMMENT ON VIEW audit.terminal_calls IS
    'Each call of MetaTrader for an order, in its order; times are the gateway host''s.';
"""


def upgrade() -> None:
    """Add the view."""
    op.execute(_CALLS)
