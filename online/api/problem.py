"""Problems: the one JSON shape of every HTTP error (RFC 9457, ``application/problem+json``)."""

from __future__ import annotations

import logging

import msgspec

from online.domain.errors import (
    Conflict,
    InvalidInput,
    JournalCorrupt,
    ModelRefused,
    NotFound,
    OrderInDoubt,
    SextantError,
    Unavailable,
)

logger = logging.getLogger(__name__)
_ENCODER = msgspec.json.Encoder()


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An HTTP error, for people and programs.

    Parameters
    ----------
    type, title, status, detail, instance
        As RFC 9457 says; `detail` tells what was expected and what came.
    code
        Stable reason code to match on.
    correlation_id
        The request's, as in its ``X-Correlation-ID`` header.
    remedy
        What to do about it.
    intent_id, decision_id
        Of an order that was sent and is in doubt (``ORDER_IN_DOUBT``); else absent.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    correlation_id: str
    remedy: str
    intent_id: str = ""
    decision_id: str = ""

    def encode(self) -> bytes:
        """Return the problem's JSON."""
        return _ENCODER.encode(self)


class HttpError(SextantError):
    """A request refused at the door: the status is its own.

    Parameters
    ----------
    status
        HTTP status.
    message, code, remedy
        As for every error.
    headers
        To send with it.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        remedy: str,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message, code=code, remedy=remedy)
        self.status = status
        self.headers = headers


_TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Content too large",
    422: "Unprocessable content",
    500: "Internal error",
    503: "Service unavailable",
}


def status_of(error: SextantError) -> int:
    """Return the HTTP status of an error."""
    match error:
        case HttpError():
            return error.status
        case NotFound():
            return 404
        case InvalidInput():
            return 422
        case ModelRefused() | Conflict():
            return 409
        case Unavailable() | JournalCorrupt():
            return 503
        case _:
            return 500


def make_problem(error: SextantError, path: str, correlation_id: str) -> Problem:
    """Return an error as the problem that is answered.

    Parameters
    ----------
    error
        What happened.
    path, correlation_id
        Of the request.
    """
    status = status_of(error)
    title = _TITLES.get(status, "Error")
    in_doubt = error if isinstance(error, OrderInDoubt) else None
    return Problem(
        f"urn:sextant:problem:{error.code.lower().replace('_', '-')}",
        title,
        status,
        str(error),
        path,
        error.code,
        correlation_id,
        error.remedy,
        in_doubt.intent_id if in_doubt else "",
        in_doubt.decision_id if in_doubt else "",
    )


def from_status(status: int, detail: str, path: str, correlation_id: str) -> Problem:
    """Return the problem of a bare HTTP status, as the router raises it."""
    title = _TITLES.get(status, detail or "Error")
    code = title.upper().replace(" ", "_")
    return Problem(
        f"urn:sextant:problem:{code.lower().replace('_', '-')}",
        title,
        status,
        detail,
        path,
        code,
        correlation_id,
        "See /docs for the routes and their methods.",
    )
