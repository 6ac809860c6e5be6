# ruff: noqa: INP001 - Alembic loads its files by path, not as a package
"""The journal's copy: records that PostgreSQL itself checks, and views for SQL users.

A row is inserted with its raw bytes and hashes alone. A trigger refuses a row whose hash does not
follow, or that is not the next of its journal, and fills the columns for reading from the bytes, so
that no column can say something else than the sealed body. Nothing is ever changed or deleted.

Revision 0001, the first.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE audit.journals (
    journal_id text PRIMARY KEY,
    relayed_sequence bigint NOT NULL DEFAULT 0 CHECK (relayed_sequence >= 0),
    relayed_hash text NOT NULL DEFAULT repeat('0', 64),
    relayed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE audit.journals IS
    'One row a journal: how far its copy reaches, moved in the transaction that adds the rows.';
COMMENT ON COLUMN audit.journals.journal_id IS 'Hash of the first record.';

CREATE TABLE audit.records (
    journal_id text NOT NULL REFERENCES audit.journals,
    sequence bigint NOT NULL CHECK (sequence >= 1),
    kind text NOT NULL,
    decision_id text,
    recorded_at_ns bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    body jsonb NOT NULL,
    raw bytea NOT NULL,
    previous_hash text NOT NULL,
    hash text NOT NULL,
    PRIMARY KEY (journal_id, sequence)
);
COMMENT ON TABLE audit.records IS 'The journal, record by record; append-only.';
COMMENT ON COLUMN audit.records.raw IS 'Canonical bytes, sealed by the hash.';
COMMENT ON COLUMN audit.records.body IS
    'The same for reading; a NUL character, which jsonb cannot hold, shows as U+FFFD.';
COMMENT ON COLUMN audit.records.recorded_at IS 'Of the journal''s clock, floored to microseconds.';
CREATE INDEX records_of_decision ON audit.records (decision_id) WHERE decision_id IS NOT NULL;
CREATE INDEX records_of_kind ON audit.records (kind, recorded_at);
"""

_TRIGGERS = r"""
CREATE FUNCTION audit.take_record() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before text;
BEGIN
    IF NEW.sequence = 1 THEN
        before := repeat('0', 64);
        IF NEW.hash <> NEW.journal_id THEN
            RAISE EXCEPTION 'record 1 is of journal %, not of %', NEW.hash, NEW.journal_id
                USING ERRCODE = 'check_violation';
        END IF;
    ELSE
        SELECT hash INTO before FROM audit.records
        WHERE journal_id = NEW.journal_id AND sequence = NEW.sequence - 1;
    END IF;
    IF before IS DISTINCT FROM NEW.previous_hash THEN
        RAISE EXCEPTION 'record %: it does not follow from record %', NEW.sequence, NEW.sequence - 1
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.hash <> encode(sha256(NEW.previous_hash::bytea || NEW.raw), 'hex') THEN
        RAISE EXCEPTION 'record %: its hash is not that of its bytes', NEW.sequence
            USING ERRCODE = 'check_violation';
    END IF;
    NEW.body := replace(convert_from(NEW.raw, 'UTF8'), '\u0000', '\ufffd')::jsonb;
    NEW.kind := NEW.body ->> 'type';
    NEW.decision_id := nullif(NEW.body ->> 'decision_id', '');
    NEW.recorded_at_ns := (NEW.body ->> 'at_ns')::bigint;
    NEW.recorded_at := 'epoch'::timestamptz
        + div(NEW.recorded_at_ns, 1000)::bigint * interval '1 microsecond';
    RETURN NEW;
END
$$;
CREATE TRIGGER records_take BEFORE INSERT ON audit.records
    FOR EACH ROW EXECUTE FUNCTION audit.take_record();

CREATE FUNCTION audit.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the journal is append-only: no %', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER records_refuse_change BEFORE UPDATE OR DELETE ON audit.records
    FOR EACH ROW EXECUTE FUNCTION audit.refuse();
CREATE TRIGGER records_refuse_truncate BEFORE TRUNCATE ON audit.records
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse();
"""

_FUNCTIONS = """
CREATE FUNCTION audit.to_time(at_ns bigint) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT 'epoch'::timestamptz + div(at_ns, 1000)::bigint * interval '1 microsecond'
$$;
"""

_DECISIONS = """
CREATE VIEW audit.decisions AS SELECT
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
    body #>> '{intent,intent_id}' AS intent_id
FROM audit.records WHERE kind = 'decision';
"""

_ORDERS = """
CREATE VIEW audit.orders AS SELECT
    journal_id,
    sequence,
    decision_id,
    recorded_at AS decided_at,
    (body #>> '{request,send}')::boolean AS send_requested,
    body #>> '{intent,intent_id}' AS intent_id,
    (body #>> '{intent,magic}')::bigint AS magic,
    body #>> '{intent,comment}' AS comment,
    body #>> '{intent,purpose}' AS purpose,
    body #>> '{intent,symbol}' AS symbol,
    body #>> '{intent,side}' AS side,
    (body #>> '{intent,volume_lots}')::double precision AS volume_lots,
    (body #>> '{intent,quoted}')::double precision AS quoted,
    (body #>> '{intent,stop}')::double precision AS stop,
    (body #>> '{intent,target}')::double precision AS target,
    (body #>> '{intent,position}')::bigint AS position,
    audit.to_time((body #>> '{intent,expires_at_ns}')::bigint) AS expires_at
FROM audit.records WHERE kind = 'decision' AND body -> 'intent' <> 'null'::jsonb;
"""

_REPLIES = """
CREATE VIEW audit.replies AS SELECT
    journal_id,
    sequence,
    decision_id,
    body ->> 'intent_id' AS intent_id,
    recorded_at AS replied_at,
    body #>> '{reply,status}' AS status,
    (body #>> '{reply,retcode}')::bigint AS retcode,
    (body #>> '{reply,order}')::bigint AS order_ticket,
    (body #>> '{reply,deal}')::bigint AS deal_ticket,
    (body #>> '{reply,position}')::bigint AS position_ticket,
    (body #>> '{reply,price}')::double precision AS price,
    (body #>> '{reply,volume_lots}')::double precision AS volume_lots,
    body #>> '{reply,comment}' AS comment
FROM audit.records WHERE kind = 'result';
"""

_DEALS = """
CREATE VIEW audit.deals AS SELECT
    journal_id,
    sequence,
    recorded_at,
    (body #>> '{deal,ticket}')::bigint AS ticket,
    (body #>> '{deal,order}')::bigint AS order_ticket,
    (body #>> '{deal,position}')::bigint AS position_ticket,
    (body #>> '{deal,magic}')::bigint AS magic,
    body #>> '{deal,symbol}' AS symbol,
    body #>> '{deal,side}' AS side,
    (body #>> '{deal,entry}')::boolean AS entry,
    body #>> '{deal,reason}' AS reason,
    (body #>> '{deal,volume_lots}')::double precision AS volume_lots,
    (body #>> '{deal,price}')::double precision AS price,
    audit.to_time((body #>> '{deal,at_ns}')::bigint) AS dealt_at,
    (body #>> '{deal,profit}')::double precision AS profit,
    (body #>> '{deal,commission}')::double precision AS commission
FROM audit.records WHERE kind = 'deal';
"""


def upgrade() -> None:
    """Make tables, triggers and views."""
    for statements in (_TABLES, _TRIGGERS, _FUNCTIONS, _DECISIONS, _ORDERS, _REPLIES, _DEALS):
        op.execute(statements)
