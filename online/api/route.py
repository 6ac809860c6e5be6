"""A route: what can be asked, who answers it, and what the API's page says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from online.api.endpoint import Handler


@dataclass(frozen=True, slots=True)
class Route:
    """A route and what the API's page says of it.

    Parameters
    ----------
    method, path
        As the router knows them.
    handle
        Answers it.
    summary
        One sentence.
    reads, answers
        Types of the bodies; None where there is no body, or it is not JSON.
    protected
        True if the bearer token is needed.
    problems
        Statuses it may answer with a problem.
    """

    method: str
    path: str
    handle: Handler
    summary: str
    reads: Any
    answers: Any
    protected: bool = False
    problems: tuple[int, ...] = ()
