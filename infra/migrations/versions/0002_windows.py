# ruff: noqa: INP001 - Alembic loads its files by path, not as a package
"""The window of a decision beside its features, for SQL users; the records are as they were.

Revision 0002.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_DECISIONS = """
CREATE OR REPLACE VIEW audit.decisions AS SELECT
    journal_id,
    sequence,
    decision_id,
    (body ->> 'number')::bigint AS number,
    recorded_at AS decided_at,
    body #>> '{request,symbol}' AS symbol,
    body #>> '{request,timeframe}' AS timeframe,
    audit.to_time((body #>> '{request,bar_closed_at_ns}')::bigint) AS bar_closed_at,
    (body #>> '{request,send}')::boolean AS send_requested,
    body #>> '{decision,action}' AS action,
    body #> '{decision,reasons}' AS reasons,
    body -> 'vetoes' AS vetoes,
    body ->> 'model_sha256' AS model_sha256,
    (body #>> '{signal,probabilities,0}')::double precision AS probability_short,
    (body #>> '{signal,probabilities,1}')::double precision AS probability_neither,
    (body #>> '{signal,probabilities,2}')::double precision AS probability_long,
    (body #>> '{quote,bid}')::double precision AS bid,
    (body #>> '{quote,ask}')::double precision AS ask,
    audit.to_time((body #>> '{quote,at_ns}')::bigint) AS quoted_at,
    body #>> '{account,currency}' AS account_currency,
    (body #>> '{account,balance}')::double precision AS balance,
    (body #>> '{account,equity}')::double precision AS equity,
    body -> 'features' AS features,
    body -> 'view_stamps_ns' AS view_stamps_ns,
    body -> 'positions' AS positions,
    body -> 'state' AS risk_state,
    body #>> '{intent,intent_id}' AS intent_id,
    body ->> 'window' AS "window",
    (body ->> 'window_stamp_ns')::bigint AS window_stamp_ns
FROM audit.records WHERE kind = 'decision';
COMMENT ON COLUMN audit.decisions."window" IS
    'Packed window as served: base64 of little-endian float32, oldest vector first.';
"""


def upgrade() -> None:
    """Add the window's columns to the view of decisions."""
    op.execute(_DECISIONS)
