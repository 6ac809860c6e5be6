"""The front of the application: the hot routes skip the framework, all others go through it.

FastAPI's middlewares and router cost a request more than the decision itself. What they would do
for these routes, `Endpoint` does; a failure of its own is answered here as it is there.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from online.api.endpoint import PROBLEM, correlation_of
from online.api.problem import from_status

logger = logging.getLogger(__name__)


class Front:
    """An ASGI application before the application.

    Parameters
    ----------
    app
        Answers everything that is not hot.
    hot
        Endpoints of POST routes, by exact path.
    """

    def __init__(self, app: ASGIApp, hot: Mapping[str, ASGIApp]) -> None:
        self._app = app
        self._hot = hot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        endpoint = self._hot.get(scope.get("path", ""))
        if endpoint is None or scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        try:
            await endpoint(scope, receive, send)
        except Exception:  # the process edge: nothing may leave without a problem
            logger.exception("%s failed", scope["path"])
            await _send_failure(scope, send)


async def _send_failure(scope: Scope, send: Send) -> None:
    correlation = correlation_of(dict(scope["headers"]))
    detail = "the scorer failed; its log says why"
    body = from_status(500, detail, scope["path"], correlation.decode("ascii")).encode()
    headers = [
        (b"content-type", PROBLEM),
        (b"content-length", b"%d" % len(body)),
        (b"x-correlation-id", correlation),
    ]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
