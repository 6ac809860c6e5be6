"""The FastAPI application around a scorer: routing, documentation, problems; nothing slower."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Lifespan

from online.api.access import BearerAccess
from online.api.endpoint import PROBLEM, Endpoint, correlation_of
from online.api.front import Front
from online.api.problem import Problem, from_status
from online.api.route import Route
from online.api.routes import make_routes
from online.api.scorer import Scorer

_TITLE = "Sextant scorer"
_DESCRIPTION = (
    "Decides about bars, checks risk and sends orders. Every HTTP error is a problem "
    "(RFC 9457) with a stable `code`; a rule's refusal is no error but a veto in a decision."
)
HOT_PATHS = frozenset({"/v1/decide", "/v1/trade"})
_SCHEMA_PLACE = "#/components/schemas/{name}"


def make_application(
    scorer: Scorer, token: str | None, version: str, lifespan: Lifespan[FastAPI]
) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    scorer
        Answers; its parts may still be opening, `lifespan` starts it.
    token
        Bearer token of the protected routes; None leaves them closed to everybody.
    version
        Of Sextant.
    lifespan
        Starts and stops the scorer.

    Returns
    -------
    FastAPI
        Complete by itself; ``app.state.front`` is the same with a shorter way to the hot routes.
    """
    app = FastAPIOffline(  # its /docs brings its script along: a trading host has no internet
        title=_TITLE, version=version, description=_DESCRIPTION, lifespan=lifespan, redoc_url=None
    )
    access, routes = BearerAccess(token), make_routes(scorer)
    hot: dict[str, ASGIApp] = {}
    for route in routes:
        endpoint = Endpoint(route.handle, access if route.protected else None, scorer.meters)
        methods = [route.method]
        app.router.routes.append(StarletteRoute(route.path, endpoint, methods=methods))
        if route.path in HOT_PATHS:
            hot[route.path] = endpoint
    document = describe(routes, version)
    app.openapi = lambda: document  # type: ignore[method-assign]  # FastAPI's documented hook
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_failure)
    app.state.scorer = scorer
    app.state.front = Front(app, hot)
    return app


def describe(routes: tuple[Route, ...], version: str) -> dict[str, Any]:
    """Return the OpenAPI document, its schemas generated from the message types."""
    types = [t for r in routes for t in (r.reads, r.answers) if t is not None]
    schemas, components = msgspec.json.schema_components(
        [*types, Problem], ref_template=_SCHEMA_PLACE
    )
    by_type = {id(kind): schema for kind, schema in zip([*types, Problem], schemas, strict=True)}
    problem = by_type[id(Problem)]
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _describe_route(
            route, by_type, problem
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": _TITLE, "version": version, "description": _DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _describe_route(
    route: Route, by_type: dict[int, dict[str, Any]], problem: dict[str, Any]
) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": route.summary}
    if route.answers is not None:
        answer["content"] = {"application/json": {"schema": by_type[id(route.answers)]}}
    responses: dict[str, Any] = {"200": answer}
    statuses = (*route.problems, *((401, 403) if route.protected else ()))
    for status in sorted(statuses):
        content = {PROBLEM.decode(): {"schema": problem}}
        responses[str(status)] = {"description": "A problem.", "content": content}
    described: dict[str, Any] = {"summary": route.summary, "responses": responses}
    if route.reads is not None:
        body = {"application/json": {"schema": by_type[id(route.reads)]}}
        described["requestBody"] = {"required": True, "content": body}
    if route.protected:
        described["security"] = [{"bearer": []}]
    names = [part.strip("{}") for part in route.path.split("/") if part.startswith("{")]
    if names:
        described["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in names
        ]
    return described


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """Answer what the router refused: an unknown path, a wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for no other
    return _respond(request, error.status_code, str(error.detail), dict(error.headers or {}))


async def _answer_failure(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer a fault of the scorer's own: the server logs it, the caller gets a problem."""
    return _respond(request, 500, "the scorer failed; its log says why", {})


def _respond(request: Request, status: int, detail: str, headers: dict[str, str]) -> Response:
    correlation = correlation_of(dict(request.scope["headers"])).decode("ascii")
    problem = from_status(status, detail, request.url.path, correlation)
    headers["x-correlation-id"] = correlation
    return Response(problem.encode(), status, headers, PROBLEM.decode())
