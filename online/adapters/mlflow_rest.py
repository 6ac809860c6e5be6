"""Bundles from MLflow's registry over its REST API; MLflow itself is never imported.

Three steps: the alias gives a version, the version gives an artifact location, the server's proxy
gives the files. What passed its verification is kept, and used when MLflow does not answer.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import httpx
import msgspec

from online.adapters.bundle_source import FetchedBundle
from online.adapters.circuits import Circuit
from online.adapters.clocks import SystemClock
from online.domain.breaker import Breaker, BreakerRules
from online.domain.errors import ModelRefused, NotFound, Unavailable

_ALIAS = "/api/2.0/mlflow/registered-models/alias"
_DOWNLOAD_URI = "/api/2.0/mlflow/model-versions/get-download-uri"
_ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
_PROXIED = "mlflow-artifacts:"
DIGEST_TAG = "bundle_sha256"
"""Tag of a registered version that holds its bundle's digest."""
DOWNLOAD_WAITS = 60
"""How many times as long as one answer a whole bundle may take."""
MOST_BYTES = 512 * 1024 * 1024
"""Of all files of a bundle: whoever may move an alias must not fill memory or disk."""

DOWN = (httpx.HTTPError, Unavailable)
"""What says that MLflow does not do its work."""
_ABSENT = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})


class _Kept(msgspec.Struct, frozen=True):
    """What an alias last pointed at and verified."""

    version: str
    folder: str
    digest: str


class MlflowRegistry:
    """Source of bundles registered in MLflow.

    Parameters
    ----------
    url
        Of the server, for example ``http://127.0.0.1:5000``.
    cache
        Folder for fetched bundles and for what was verified last.
    timeout_seconds
        Longest wait for one answer (> 0).
    circuit
        Of the server; while it is open only what was kept is given out. None for none.
    """

    def __init__(
        self,
        url: str,
        cache: Path,
        timeout_seconds: float = 10.0,
        circuit: Circuit | None = None,
    ) -> None:
        self._circuit = circuit or Circuit(Breaker("mlflow", BreakerRules()), SystemClock(), DOWN)
        self._url = url.rstrip("/")
        self._cache = cache
        self._timeout_seconds = timeout_seconds

    async def fetch(self, name: str, alias: str) -> FetchedBundle:
        """Return the bundle an alias points at, downloaded; the kept one if MLflow is down.

        Raises
        ------
        NotFound
            With code ``NO_MODEL`` if MLflow knows no such name or alias.
        ModelRefused
            If the registered version is no bundle.
        Unavailable
            If MLflow does not answer and nothing was kept.
        """
        try:
            return await self._circuit.run(self._download, name, alias)
        except DOWN as error:
            kept = self.kept(name, alias)
            if kept is None:
                raise Unavailable(
                    f"MLflow at {self._url} does not answer ({type(error).__name__}: {error}) "
                    f"and no verified bundle of {name}@{alias} was kept"
                ) from error
            origin = f"{kept.origin}; MLflow at {self._url} does not answer"
            return replace(kept, origin=origin)

    async def look(self, name: str, alias: str) -> str:
        """Return the version an alias points at now.

        Raises
        ------
        NotFound
            With code ``NO_MODEL`` if MLflow knows no such name or alias.
        Unavailable
            If MLflow does not answer.
        """
        try:
            found = await self._circuit.run(self._find, name, alias)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"MLflow at {self._url} does not answer ({type(error).__name__}: {error})"
            ) from error
        return str(_dig(found, "model_version", "version"))

    def kept(self, name: str, alias: str) -> FetchedBundle | None:
        """Return the bundle that was verified last under an alias; None if there is none."""
        kept = self._read_kept(name, alias)
        if kept is None:
            return None
        return FetchedBundle(Path(kept.folder), kept.version, "kept bundle", kept.digest)

    def keep(self, name: str, alias: str, bundle: FetchedBundle) -> None:
        """Remember a verified bundle for the time MLflow does not answer."""
        pointer = self._pointer(name, alias)
        pointer.parent.mkdir(parents=True, exist_ok=True)
        new = pointer.with_suffix(".new")
        new.write_bytes(
            msgspec.json.encode(_Kept(bundle.version, str(bundle.folder), bundle.digest))
        )
        new.replace(pointer)
        self._prune(name)

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self._url, timeout=self._timeout_seconds, trust_env=False)

    async def _find(self, name: str, alias: str) -> object:
        async with _within(self._timeout_seconds), self._client() as client:
            return await _ask(client, _ALIAS, {"name": name, "alias": alias})

    async def _download(self, name: str, alias: str) -> FetchedBundle:
        whole_seconds = DOWNLOAD_WAITS * self._timeout_seconds
        async with _within(whole_seconds), self._client() as client:
            return await self._download_by(client, name, alias)

    async def _download_by(self, client: httpx.AsyncClient, name: str, alias: str) -> FetchedBundle:
        found = await _ask(client, _ALIAS, {"name": name, "alias": alias})
        version = str(_dig(found, "model_version", "version"))
        if not (version.isascii() and version.isdigit()):
            raise ModelRefused(f"a version of {name} is a number, MLflow says {version!r}")
        located = await _ask(client, _DOWNLOAD_URI, {"name": name, "version": version})
        location = str(_dig(located, "artifact_uri"))
        if not location.startswith(_PROXIED):
            raise ModelRefused(
                f"{name} version {version} lies at {location}, not behind the MLflow server",
                remedy="Start the MLflow server with --serve-artifacts and register again.",
            )
        path = location.removeprefix(_PROXIED).split("?")[0].strip("/")
        listed = await _ask(client, _ARTIFACTS, {"path": path})
        files: dict[str, bytes] = {}
        for file in _file_names(listed):
            known = sum(map(len, files.values()))
            files[file] = await _read(client, f"{_ARTIFACTS}/{quote(f'{path}/{file}')}", known)
        folder = self._write(name, version, files)
        return FetchedBundle(folder, version, f"MLflow at {self._url}", _digest(found))

    def _write(self, name: str, version: str, files: dict[str, bytes]) -> Path:
        """Write files into a folder of their own: the kept bundle stays until this one proves.

        What was fetched before and proved nothing goes: a refused alias is asked for again and
        again.
        """
        parent = self._cache / name
        parent.mkdir(parents=True, exist_ok=True)
        self._prune(name)
        folder = Path(tempfile.mkdtemp(prefix=f"{version}.", dir=parent))
        for file, raw in files.items():
            (folder / file).write_bytes(raw)
        return folder

    def _prune(self, name: str) -> None:
        """Remove the folders that no alias was verified from."""
        parent = self._cache / name
        pointers = [_read_pointer(path) for path in parent.glob("*.json")]
        kept = {Path(pointer.folder).name for pointer in pointers if pointer is not None}
        for folder in parent.iterdir():
            if folder.is_dir() and folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def _pointer(self, name: str, alias: str) -> Path:
        return self._cache / name / f"{alias}.json"

    def _read_kept(self, name: str, alias: str) -> _Kept | None:
        kept = _read_pointer(self._pointer(name, alias))
        return kept if kept is not None and Path(kept.folder).is_dir() else None


def _read_pointer(path: Path) -> _Kept | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError):
        return None


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """Bound the whole: HTTP's own time-out is one of each part, and a server may drip for ever.

    Raises
    ------
    Unavailable
        If it takes longer.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise Unavailable(f"MLflow's answer was not whole within {seconds:g} s") from error


async def _read(client: httpx.AsyncClient, path: str, known: int) -> bytes:
    """Return a file, if it and the `known` bytes of others are no more than `MOST_BYTES`."""
    async with client.stream("GET", path) as answer:
        if not answer.is_success:
            await answer.aread()
        _check(answer)
        parts: list[bytes] = []
        async for part in answer.aiter_bytes():
            parts.append(part)
            known += len(part)
            if known > MOST_BYTES:
                raise ModelRefused(
                    f"the bundle has more than {MOST_BYTES:,} bytes", code="BUNDLE_TOO_LARGE"
                )
    return b"".join(parts)


async def _ask(client: httpx.AsyncClient, path: str, query: dict[str, str]) -> object:
    answer = await client.get(path, params=query)
    _check(answer)
    try:
        return msgspec.json.decode(answer.content)
    except msgspec.DecodeError as error:
        raise Unavailable(f"MLflow's answer to {path} is not JSON: {error}") from error


def _digest(found: object) -> str:
    """Return the bundle's digest as it was registered; empty where the version has none."""
    version = _dig(found, "model_version")
    tags = version.get("tags", []) if isinstance(version, dict) else []
    return next((str(_dig(tag, "value")) for tag in tags if _dig(tag, "key") == DIGEST_TAG), "")


def _check(answer: httpx.Response) -> None:
    """Raise what an answer means that is not a success."""
    if answer.is_success:
        return
    if answer.status_code < 500:  # noqa: PLR2004 - 5xx is the server's own fault
        try:
            code = _dig(msgspec.json.decode(answer.content), "error_code")
        except (msgspec.DecodeError, Unavailable):
            code = ""
        if code in _ABSENT:
            raise NotFound(
                f"MLflow knows no such model or alias: {answer.text}",
                code="NO_MODEL",
                remedy="Train and promote a model, then POST /v1/model/reload.",
            )
    raise Unavailable(f"MLflow answered {answer.status_code} to {answer.request.url}")


def _dig(found: object, *names: str) -> object:
    for name in names:
        if not isinstance(found, dict) or name not in found:
            raise Unavailable(f"MLflow's answer lacks {name!r}: {found}")
        found = found[name]
    return found


def _file_names(listed: object) -> list[str]:
    """Return the plain names of a listing's files, refusing names that lead elsewhere."""
    files = _dig(listed, "files") if isinstance(listed, dict) and listed else []
    found = []
    for file in files if isinstance(files, list) else []:
        name = str(_dig(file, "path")).rpartition("/")[2]
        if _dig(file, "is_dir"):
            continue
        if not name or name.startswith(".") or "\\" in name:
            raise ModelRefused(f"a bundle's file needs a plain name, got {name!r}")
        found.append(name)
    if not found:
        raise ModelRefused("the registered version holds no file")
    return found
