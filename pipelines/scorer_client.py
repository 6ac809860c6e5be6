"""A client of the scorer's API, for the replaying feed and the demo."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from online.domain.errors import InvalidInput, SextantError, Unavailable
from online.domain.market import Timeframe
from online.simulator.bars import BidAskBar

ORDER_SECONDS = 60.0
"""Longest wait for what sends one order: a gateway's reply, and the turn of others before it."""
CLOSING_SECONDS = 900.0
"""Longest wait for what closes everything, one position after the other."""
IDLE_SECONDS = 30.0
"""How long an idle connection is used again: well below what the scorer keeps one open."""
_ADDRESS = re.compile(r"https?://[^/\s]+.*")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OBJECT = dict[str, Any]


class ScorerClient:
    """Talks to one scorer over one connection.

    Parameters
    ----------
    url
        Base address, for example ``http://127.0.0.1:8100``.
    token
        Secret file with the bearer token.
    timeout_seconds
        Longest wait for an answer that no order's fate is part of.

    Attributes
    ----------
    order_seconds, closing_seconds
        Longest wait for what sends one order, and for what closes everything.
    """

    order_seconds = ORDER_SECONDS
    closing_seconds = CLOSING_SECONDS

    def __init__(self, url: str, token: Path, timeout_seconds: float = 10.0) -> None:
        if not _ADDRESS.fullmatch(url):
            raise InvalidInput(f"a scorer's address is like http://127.0.0.1:8100, got {url!r}")
        try:
            secret = token.read_text().strip()
        except OSError as error:
            raise InvalidInput(
                f"the scorer's token {token} cannot be read: {error.strerror}",
                code="NO_TOKEN",
                remedy="`sextant up` makes one: name the home it runs on (--home), or the file "
                "(--token).",
            ) from error
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
            timeout=timeout_seconds,
            limits=httpx.Limits(keepalive_expiry=IDLE_SECONDS),
            trust_env=False,  # the scorer is on this host: no proxy
        )

    def __enter__(self) -> Self:
        """Return the client; leaving the block closes its connection."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self._http.close()

    def trade(self, symbol: str, timeframe: Timeframe, bar_closed_at_ns: int) -> dict[str, Any]:
        """Ask for a decision about a bar and for its order to be sent; return the answer."""
        body = {
            "symbol": symbol,
            "timeframe": timeframe.value,
            "bar_closed_at": _EPOCH + timedelta(microseconds=bar_closed_at_ns // 1000),
        }
        return self.operate("/v1/trade", body, self.order_seconds)

    def move_market(
        self, symbol: str, finished: BidAskBar | None, upcoming: BidAskBar | None
    ) -> None:
        """Move the simulated market: finish one bar, open the next, set the virtual clock."""
        body = {"symbol": symbol, "finished": finished, "upcoming": upcoming}
        self._post("/v1/simulator/bar", body)

    def get(self, path: str) -> dict[str, Any]:
        """Return what a GET of `path` answers.

        Raises
        ------
        Unavailable, SextantError
            As for the other calls.
        """
        answer: dict[str, Any] = self._read(lambda: self._http.get(path), path)
        return answer

    def records_of(self, decision_id: str) -> list[dict[str, Any]]:
        """Return every record of a decision or operation, oldest first; errors as `get`."""
        path = f"/v1/decisions/{decision_id}"
        kind = list[dict[str, Any]]
        records: list[dict[str, Any]] = self._read(lambda: self._http.get(path), path, kind)
        return records

    def post(self, path: str, body: object) -> dict[str, Any]:
        """Return what a POST of `body` to `path` answers; errors as `get`."""
        return self._post(path, body)

    def operate(self, path: str, body: object, wait_seconds: float) -> dict[str, Any]:
        """Return what a POST answers that sends orders: it waits for the fate of each.

        Raises
        ------
        SextantError
            With code ``MAY_BE_UNDER_WAY`` if no answer of the scorer's came: what was asked for may
            be carried out all the same. Else errors as `get`.
        """
        content = msgspec.json.encode(body)
        try:
            response = self._http.post(path, content=content, timeout=wait_seconds)
        except httpx.ConnectError as error:
            raise self._silent(path, error) from error
        except httpx.HTTPError as error:
            raise _in_doubt(
                f"no answer to {path} came within {wait_seconds:g} s: {error}"
            ) from error
        try:
            answer: dict[str, Any] = _answer_of(response, path, _OBJECT)
        except msgspec.DecodeError as error:
            raise _in_doubt(_is_none(response)) from error
        return answer

    def _post(self, path: str, body: object) -> dict[str, Any]:
        content = msgspec.json.encode(body)
        answer: dict[str, Any] = self._read(lambda: self._http.post(path, content=content), path)
        return answer

    def _silent(self, path: str, error: httpx.HTTPError) -> Unavailable:
        at = str(self._http.base_url).rstrip("/")
        return Unavailable(f"no scorer answers at {at}{path}: {error}")

    def _read(self, call: Any, path: str, kind: Any = _OBJECT) -> Any:  # noqa: ANN401 - of httpx
        try:
            response: httpx.Response = call()
        except httpx.HTTPError as error:
            raise self._silent(path, error) from error
        try:
            return _answer_of(response, path, kind)
        except msgspec.DecodeError as error:
            raise Unavailable(
                _is_none(response),
                code="NOT_THE_SCORER",
                remedy="Check the address, and whether a proxy stands before the scorer.",
            ) from error


def _answer_of(response: httpx.Response, path: str, kind: Any) -> Any:  # noqa: ANN401 - a type
    if response.is_error:
        answer = msgspec.json.decode(response.content, type=_OBJECT)
        raise SextantError(
            f"the scorer refused {path}: {answer.get('detail', response.text)}",
            code=answer.get("code", "SCORER_REFUSED"),
            remedy=answer.get("remedy"),
        )
    return msgspec.json.decode(response.content, type=kind)


def _is_none(response: httpx.Response) -> str:
    kind = response.headers.get("content-type", "what has no type")
    return f"{response.url} answers {response.status_code} with {kind}: that is no scorer's answer"


def _in_doubt(trouble: str) -> Unavailable:
    return Unavailable(
        f"{trouble}; what was asked for may be carried out all the same",
        code="MAY_BE_UNDER_WAY",
        remedy="Ask again, with the same id where there is one: nothing is sent twice, and "
        "what became of each order is told. `sextant orders list` tells what is open.",
    )
