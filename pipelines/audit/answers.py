"""What PostgreSQL answers, as errors of ours: silence, refusal, difference."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import (
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from online.domain.errors import InvalidInput, JournalCorrupt

SILENCE = (OperationalError, InterfaceError, PoolTimeout)
"""Errors of a server that does not answer now and may answer later."""

REMEDY_DIFFERENT = (
    "Keep both as evidence and find out which was changed: `sextant audit verify` judges the "
    "journal, PostgreSQL refuses changes to its copy."
)


def different(sequence: int, what: str) -> JournalCorrupt:
    """Return the error that names a record the journal and its copy do not share."""
    return JournalCorrupt(f"record {sequence} {what}", code="COPY_DIFFERS", remedy=REMEDY_DIFFERENT)


@contextmanager
def judged() -> Iterator[None]:
    """Turn what PostgreSQL refuses into an error of ours; what it does not answer passes."""
    try:
        yield
    except IntegrityError as error:
        raise JournalCorrupt(
            f"PostgreSQL refused: {first_line(error)}",
            code="COPY_DIFFERS",
            remedy=REMEDY_DIFFERENT,
        ) from error
    except ProgrammingError as error:
        raise InvalidInput(
            f"PostgreSQL refused: {first_line(error)}",
            code="DATABASE_REFUSED",
            remedy="Migrate the database, and grant the relay's role what infra/audit.md lists.",
        ) from error


def first_line(error: BaseException) -> str:
    """Return what the driver said, without SQLAlchemy's statement and parameters."""
    origin = getattr(error, "orig", None) if isinstance(error, SQLAlchemyError) else None
    return str(origin or error).strip().partition("\n")[0]
