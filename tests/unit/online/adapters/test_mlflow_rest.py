"""Bundles over MLflow's REST API, from a server that answers whatever it is told to."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse

import pytest

from online.adapters import mlflow_rest
from online.adapters.bundle_source import FetchedBundle
from online.adapters.mlflow_rest import MlflowRegistry
from online.domain.errors import ModelRefused, Unavailable

pytestmark = pytest.mark.lean
NAME = "EURUSD.H1.barrier"


@dataclass
class Answers:
    """What the server says of the version under every alias."""

    url: str = ""
    version: str = "1"
    files: dict[str, bytes] = field(default_factory=lambda: {"manifest.json": b"{}"})

    def of(self, path: str, query: str) -> bytes:
        if path.endswith("/alias"):
            return json.dumps({"model_version": {"version": self.version, "tags": []}}).encode()
        if path.endswith("/get-download-uri"):
            return json.dumps({"artifact_uri": "mlflow-artifacts:/1/bundle"}).encode()
        if query:
            listed = [{"path": name, "is_dir": False} for name in self.files]
            return json.dumps({"files": listed}).encode()
        return self.files[path.rpartition("/")[2]]


@pytest.fixture
def answers() -> Iterator[Answers]:
    """A running server."""
    told = Answers()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlparse(self.path)
            body = told.of(asked.path, asked.query)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told.url = f"http://127.0.0.1:{server.server_port}"
    yield told
    server.shutdown()
    server.server_close()


def folders(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / NAME).iterdir() if path.is_dir())


def test_a_version_that_leads_out_of_the_cache_is_refused(answers: Answers, tmp_path: Path) -> None:
    answers.version = "../../elsewhere"
    source = MlflowRegistry(answers.url, tmp_path / "var" / "cache")
    with pytest.raises(ModelRefused, match="version"):
        asyncio.run(source.fetch(NAME, "paper"))
    assert not list(tmp_path.rglob("elsewhere*"))


def test_bundles_that_are_refused_again_and_again_do_not_fill_the_disk(
    answers: Answers, tmp_path: Path
) -> None:
    source = MlflowRegistry(answers.url, tmp_path)
    good = asyncio.run(source.fetch(NAME, "paper"))
    source.keep(NAME, "paper", good)
    answers.version = "2"
    refused = [asyncio.run(source.fetch(NAME, "paper")) for _ in range(3)][-1]
    assert folders(tmp_path) == sorted([good.folder.name, refused.folder.name])
    (tmp_path / NAME / "broken.json").write_text("no pointer")
    again = asyncio.run(source.fetch(NAME, "paper"))
    assert folders(tmp_path) == sorted([good.folder.name, again.folder.name])


def test_a_bundle_of_no_reasonable_size_is_not_read_to_its_end(
    answers: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_rest, "MOST_BYTES", 1_000)
    answers.files = {"manifest.json": bytes(600), "a.onnx": bytes(300)}
    source = MlflowRegistry(answers.url, tmp_path)
    assert len(list(asyncio.run(source.fetch(NAME, "paper")).folder.iterdir())) == 2
    answers.files["a.onnx"] = bytes(500)
    with pytest.raises(ModelRefused, match="1,000 bytes") as caught:
        asyncio.run(source.fetch(NAME, "paper"))
    assert caught.value.code == "BUNDLE_TOO_LARGE"


def test_a_server_that_drips_is_given_up_in_time_and_the_kept_bundle_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_rest, "DOWNLOAD_WAITS", 1)

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)

    async def story() -> None:
        server = await asyncio.start_server(drip, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        source = MlflowRegistry(url, tmp_path, timeout_seconds=0.1)
        async with asyncio.timeout(10):
            with pytest.raises(Unavailable, match="not whole within"):
                await source.look(NAME, "paper")
            with pytest.raises(Unavailable, match="not whole within"):
                await source.fetch(NAME, "paper")
            kept = tmp_path / NAME / "1.kept"
            kept.mkdir(parents=True)
            source.keep(NAME, "paper", FetchedBundle(kept, "1", "MLflow", ""))
            assert (await source.fetch(NAME, "paper")).folder == kept
        server.close()

    asyncio.run(story())
