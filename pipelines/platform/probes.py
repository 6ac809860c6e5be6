"""Probes: is a service ready? Each asks the service itself and answers in words."""

from __future__ import annotations

import json
import socket
import ssl
from datetime import datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import msgspec

PROBE_TIMEOUT_S = 2.0


@cache
def _authorities() -> ssl.SSLContext:
    """Return whom HTTPS trusts; to read that takes 20 ms, and a start asks dozens of times."""
    import httpx  # noqa: PLC0415 - as below

    return httpx.create_ssl_context(trust_env=False)


class Health(msgspec.Struct, frozen=True):
    """What a probe found.

    Parameters
    ----------
    ready
        True if the service does its work.
    detail
        Why not, or what it said, for people.
    """

    ready: bool
    detail: str


class HttpProbe(msgspec.Struct, frozen=True, tag="http"):
    """Ready when a GET of `url` answers 200."""

    url: str

    def check(self) -> Health:
        """Ask once."""
        import httpx  # noqa: PLC0415 - half of what every command would take to start

        try:
            reply = httpx.get(
                self.url, timeout=PROBE_TIMEOUT_S, trust_env=False, verify=_authorities()
            )
        except httpx.HTTPError as error:
            return _silent(self.url, error)
        if reply.status_code == HTTPStatus.OK:
            return Health(ready=True, detail=f"{self.url} answers")
        return Health(ready=False, detail=f"{self.url} answers {reply.status_code}")


class ValkeyProbe(msgspec.Struct, frozen=True, tag="valkey"):
    """Ready when the server behind the Unix socket `path` answers PING."""

    path: str

    def check(self) -> Health:
        """Ask once."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(PROBE_TIMEOUT_S)
                connection.connect(self.path)
                connection.sendall(b"PING\r\n")
                answer = connection.recv(64)
        except OSError as error:
            return Health(ready=False, detail=f"{self.path} does not answer: {error}")
        if answer.startswith(b"+PONG"):
            return Health(ready=True, detail=f"{self.path} answers PONG")
        return Health(ready=False, detail=f"{self.path} answers {answer!r}")


class _Deployment(msgspec.Struct, frozen=True):
    """What Prefect's server tells of a deployment."""

    name: str
    updated: Annotated[datetime, msgspec.Meta(tz=True)]
    status: str | None = None


class DeploymentsProbe(msgspec.Struct, frozen=True, tag="deployments"):
    """Ready when Prefect's server holds every named deployment and something serves it.

    Parameters
    ----------
    api_url
        Of Prefect's server, ending in ``/api``.
    names
        Deployment names.
    since
        Moment (ISO 8601, UTC) after which they must have been registered: Prefect goes on calling
        those of a process that was killed ready for a while.
    """

    api_url: str
    names: tuple[str, ...]
    since: str

    def check(self) -> Health:
        """Ask once."""
        import httpx  # noqa: PLC0415 - as above

        try:
            reply = httpx.post(
                f"{self.api_url}/deployments/filter",
                json={},
                timeout=PROBE_TIMEOUT_S,
                trust_env=False,
                verify=_authorities(),
            )
            if reply.status_code != HTTPStatus.OK:
                return Health(ready=False, detail=f"{self.api_url} answers {reply.status_code}")
            rows = msgspec.json.decode(reply.content, type=list[_Deployment])
        except httpx.HTTPError as error:
            return _silent(self.api_url, error)
        except msgspec.DecodeError as error:
            detail = f"what answers {self.api_url} is not Prefect: {error}"
            return Health(ready=False, detail=detail)
        since = datetime.fromisoformat(self.since)
        served = {row.name for row in rows if row.status == "READY" and row.updated >= since}
        missing = sorted(set(self.names) - served)
        if missing:
            return Health(ready=False, detail=f"not served yet: {', '.join(missing)}")
        return Health(ready=True, detail=f"{len(self.names)} flows served")


class ReportProbe(msgspec.Struct, frozen=True, tag="report"):
    """Ready when the service said so in its report, the JSON of a `Health`."""

    path: str

    def check(self) -> Health:
        """Read once."""
        try:
            return msgspec.json.decode(Path(self.path).read_bytes(), type=Health)
        except FileNotFoundError:
            return Health(ready=False, detail=f"no report yet in {self.path}")
        except (OSError, msgspec.DecodeError) as error:
            return Health(ready=False, detail=f"{self.path} cannot be read: {error}")


Probe = HttpProbe | ValkeyProbe | DeploymentsProbe | ReportProbe


def write_report(path: Path, health: Health) -> None:
    """Write the report a `ReportProbe` reads, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"ready": health.ready, "detail": health.detail}))
    fresh.replace(path)


def _silent(url: str, error: Exception) -> Health:
    return Health(ready=False, detail=f"{url} does not answer ({type(error).__name__})")
