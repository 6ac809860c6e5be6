"""One route as a bare ASGI application: body in, bytes out, every error a problem.

FastAPI routes these and documents them; its validation stays off the request path.
"""

from __future__ import annotations

import itertools
import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from starlette.types import Receive, Scope, Send

from online.api.access import BearerAccess
from online.api.metrics import Meters
from online.api.problem import HttpError, make_problem, status_of
from online.domain.errors import SextantError

logger = logging.getLogger(__name__)
BODY_LIMIT = 64 * 1024
_ENCODER = msgspec.json.Encoder()
JSON, PROBLEM = b"application/json", b"application/problem+json"
_PROCESS, _NUMBERS = secrets.token_hex(6).encode(), itertools.count(1)
_CORRELATION = re.compile(rb"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class Call:
    """A request as its handler sees it."""

    body: bytes
    parameters: dict[str, str]
    client: str

    def who(self, by: str = "") -> str:
        """Return who called, for the journal: the name that was given, and whence the call came."""
        return f"{by} (api {self.client})" if by else f"api {self.client}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers."""

    body: bytes
    status: int = 200
    media_type: bytes = JSON

    @classmethod
    def of(cls, answer: msgspec.Struct | tuple[msgspec.Struct, ...], status: int = 200) -> Reply:
        """Return an answer as JSON."""
        return cls(_ENCODER.encode(answer), status)


Handler = Callable[[Call], Awaitable[Reply]]


class Endpoint:
    """An ASGI application around one handler.

    Parameters
    ----------
    handle
        Answers a call, or raises an error of Sextant's tree.
    access
        Checked first; None leaves the route open.
    meters
        Counts problems.
    """

    def __init__(self, handle: Handler, access: BearerAccess | None, meters: Meters) -> None:
        self._handle = handle
        self._access = access
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        correlation = correlation_of(headers)
        extra: tuple[tuple[bytes, bytes], ...] = ()
        try:
            if self._access is not None:
                self._access.check(headers.get(b"authorization"))
            body = await _read_body(headers, receive)
            client = scope.get("client") or ("unknown", 0)
            reply = await self._handle(Call(body, scope.get("path_params", {}), str(client[0])))
        except SextantError as error:
            reply = self._answer_error(error, scope["path"], correlation)
            extra = error.headers if isinstance(error, HttpError) else ()
        await send(
            {
                "type": "http.response.start",
                "status": reply.status,
                "headers": [
                    (b"content-type", reply.media_type),
                    (b"content-length", b"%d" % len(reply.body)),
                    (b"x-correlation-id", correlation),
                    *extra,
                ],
            }
        )
        await send({"type": "http.response.body", "body": reply.body})

    def _answer_error(self, error: SextantError, path: str, correlation: bytes) -> Reply:
        problem = make_problem(error, path, correlation.decode("ascii"))
        self._meters.count_problem(problem.code)
        if status_of(error) >= 500:  # noqa: PLR2004 - the server's own trouble is worth a line
            logger.warning("%s %s: %s", problem.code, problem.correlation_id, problem.detail)
        return Reply(problem.encode(), problem.status, PROBLEM)


def correlation_of(headers: dict[bytes, bytes]) -> bytes:
    """Return the caller's correlation id, or a new one where it sent none that is printable."""
    given = headers.get(b"x-correlation-id")
    if given is not None and _CORRELATION.fullmatch(given):
        return given
    return b"%b-%x" % (_PROCESS, next(_NUMBERS))


async def _read_body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """Return the whole body, never more than the limit.

    Raises
    ------
    HttpError
        413 if it is larger, 400 if the caller hung up.
    """
    declared = headers.get(b"content-length")
    if declared is not None and len(declared) > 6:  # noqa: PLR2004 - digits of the limit, and one
        raise _too_large()
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        if len(body) > BODY_LIMIT:
            raise _too_large()
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise HttpError(
            400, "the caller hung up", code="CALLER_GONE", remedy="Send the body whole."
        )
    if len(body) > BODY_LIMIT:
        raise _too_large()
    return body


def _too_large() -> HttpError:
    return HttpError(
        413,
        f"the body exceeds {BODY_LIMIT} bytes",
        code="BODY_TOO_LARGE",
        remedy="Send only the fields that /docs lists.",
    )
