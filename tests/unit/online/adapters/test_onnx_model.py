"""A bundle is verified file by file and vector by vector, or refused by name."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from online.adapters.bundle_folder import BundleFolder
from online.adapters.onnx_model import load_bundle
from online.domain.errors import ModelRefused, NotFound
from online.domain.manifest import decode_manifest, encode_manifest
from tests.bundles import WEIGHTS, Array, golden, linear_onnx, write_bundle

pytestmark = pytest.mark.lean
STEEP = (-200.0, 0.05, 0.0, 0.0)
"""Where the sample model is undecided and leans on its largest weight."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "bundle", names=("first", "second"))
    return tmp_path / "bundle"


def test_a_sound_bundle_loads_and_scores_as_onnx_runtime_does_alone(folder: Path) -> None:
    model = load_bundle(folder, "paper", "7")
    assert (model.alias, model.version, model.manifest.name) == ("paper", "7", "EURUSD.H1.barrier")
    assert model.verification.bit_equal is True
    assert model.verification.n_golden == 16
    assert model.verification.runtime.startswith("onnxruntime ")
    inputs, expected = golden((folder / "second.onnx").read_bytes())
    first, second = model.score(tuple(inputs[3].tolist()))
    assert (first.name, second.name) == ("first", "second")
    assert np.array(second.raw, np.float32).tobytes() == expected[3].tobytes()


def test_one_unit_in_the_last_place_of_an_input_changes_the_score(folder: Path) -> None:
    model = load_bundle(folder, "paper")
    moved = float(np.nextafter(np.float32(STEEP[1]), np.float32(1)))
    assert model.score(STEEP) != model.score((STEEP[0], moved, *STEEP[2:]))
    assert model.score(STEEP) == model.score(STEEP)


def test_the_digest_covers_every_file(folder: Path) -> None:
    before = load_bundle(folder, "paper").sha256
    assert load_bundle(folder, "paper", digest=before).sha256 == before
    (folder / "extra.txt").write_text("added")
    with pytest.raises(ModelRefused, match="was registered"):
        load_bundle(folder, "paper", digest=before)


def flip(folder: Path) -> None:
    raw = bytearray((folder / "first.onnx").read_bytes())
    raw[-1] ^= 1
    (folder / "first.onnx").write_bytes(bytes(raw))


def replace_member(folder: Path, raw: bytes) -> None:
    """Put another file in a member's place, its hash in the manifest as if that were right."""
    manifest = decode_manifest((folder / "manifest.json").read_bytes())
    digest = hashlib.sha256(raw).hexdigest()
    member = msgspec.structs.replace(manifest.members[0], sha256=digest)
    changed = msgspec.structs.replace(manifest, members=(member, *manifest.members[1:]))
    (folder / "first.onnx").write_bytes(raw)
    (folder / "manifest.json").write_bytes(encode_manifest(changed))


def write_golden(folder: Path, **arrays: npt.NDArray[Any]) -> None:
    buffer = BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # names of arrays, not options
    (folder / "golden.npz").write_bytes(buffer.getvalue())


def change_golden(folder: Path, by: float) -> None:
    with np.load(folder / "golden.npz") as arrays:
        inputs, outputs = arrays["inputs"], arrays["outputs"].copy()
    outputs[1, 5, 2] += np.float32(by)
    write_golden(folder, inputs=inputs, outputs=outputs)


def shape(*size: int) -> Array:
    return np.zeros(size, np.float32)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (flip, "first.onnx of member 'first' has SHA-256"),
        (lambda f: (f / "first.onnx").unlink(), "lacks first.onnx"),
        (lambda f: (f / "manifest.json").unlink(), "lacks manifest.json"),
        (lambda f: (f / "golden.npz").unlink(), "lacks golden.npz"),
        (lambda f: (f / "manifest.json").write_text("{}"), "manifest cannot be read"),
        (lambda f: (f / "golden.npz").write_bytes(b"PK broken"), "golden.npz cannot be read"),
        (lambda f: write_golden(f, inputs=shape(2, 4)), "golden.npz cannot be read"),
        (lambda f: write_golden(f, inputs=shape(2, 3), outputs=shape(2, 2, 3)), "golden inputs"),
        (lambda f: write_golden(f, inputs=shape(0, 4), outputs=shape(2, 0, 3)), "golden inputs"),
        (lambda f: write_golden(f, inputs=shape(2, 4), outputs=shape(1, 2, 3)), "golden outputs"),
        (
            lambda f: write_golden(f, inputs=np.zeros((2, 4)), outputs=shape(2, 2, 3)),
            "not float32",
        ),
        (lambda f: replace_member(f, b"no model"), "is no ONNX model"),
        (lambda f: replace_member(f, linear_onnx(WEIGHTS[:3])), "reads 3 features"),
        (
            lambda f: replace_member(f, linear_onnx().replace(b"probabilities", b"probabilitiez")),
            "needs input 'input' and output 'probabilities'",
        ),
        (lambda f: change_golden(f, 2e-6), "member 'second' differs by .* golden vector 5"),
        (lambda f: change_golden(f, float("nan")), "member 'second' differs by nan"),
    ],
)
def test_a_bundle_that_is_not_what_it_says_is_refused_by_name(
    folder: Path, spoil: Callable[[Path], object], named: str
) -> None:
    spoil(folder)
    with pytest.raises(ModelRefused, match=named):
        load_bundle(folder, "paper")


def test_a_difference_within_the_tolerance_is_told_and_accepted(folder: Path) -> None:
    change_golden(folder, 5e-7)
    found = load_bundle(folder, "paper").verification
    assert found.bit_equal is False
    assert 0.0 < found.greatest_difference <= 1e-6


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="cannot be read"):
        load_bundle(tmp_path / "nowhere", "paper")


async def _fetch(root: Path, name: str, alias: str) -> str:
    return (await BundleFolder(root).fetch(name, alias)).version


def test_an_alias_that_leads_out_of_the_folder_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root" / "EURUSD.H1.barrier").mkdir()
    (tmp_path / "root" / "EURUSD.H1.barrier" / "paper").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotFound) as caught:
        asyncio.run(_fetch(tmp_path / "root", "EURUSD.H1.barrier", "paper"))
    assert caught.value.code == "NO_MODEL"
