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
from online.adapters.onnx_model import _replay_golden, load_bundle
from online.domain.errors import InvalidInput, InvalidManifest, ModelRefused, NotFound
from online.domain.manifest import decode_manifest, encode_manifest
from tests.bundles import (
    WEIGHTS,
    Array,
    golden,
    linear_onnx,
    write_bundle,
    write_windowed_bundle,
)
from tests.fakes import WINDOW

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


class Failing:
    """A session that gives nothing."""

    name = "second"

    def run(self) -> list[float]:
        raise RuntimeError("out of memory")


def test_a_member_that_fails_while_it_serves_is_left_out_by_name(folder: Path) -> None:
    model = load_bundle(folder, "paper")
    model._members[1] = Failing()  # type: ignore[call-overload] # stands in for a session
    assert [output.name for output in model.score(STEEP)] == ["first"]
    with pytest.raises(ModelRefused, match="second fail on golden vector 0"):
        _replay_golden(model, (folder / "golden.npz").read_bytes())


def test_one_unit_in_the_last_place_of_an_input_changes_the_score(folder: Path) -> None:
    model = load_bundle(folder, "paper")
    moved = float(np.nextafter(np.float32(STEEP[1]), np.float32(1)))
    assert model.score(STEEP) != model.score((STEEP[0], moved, *STEEP[2:]))
    assert model.score(STEEP) == model.score(STEEP)


def read_arrays(folder: Path) -> dict[str, npt.NDArray[Any]]:
    with np.load(folder / "golden.npz") as arrays:
        return dict(arrays)


def test_members_over_the_vector_and_over_the_window_score_side_by_side(tmp_path: Path) -> None:
    manifest = write_windowed_bundle(tmp_path / "bundle")
    assert decode_manifest(encode_manifest(manifest)) == manifest
    model = load_bundle(tmp_path / "bundle", "paper")
    assert model.verification.bit_equal is True
    arrays = read_arrays(tmp_path / "bundle")
    for row in (0, 7, 3):
        packed = arrays["windows"][row].tobytes()
        found = model.score(tuple(arrays["inputs"][row].tolist()), packed)
        assert [output.name for output in found] == ["row", "steps"]
        outputs = np.array([output.raw for output in found], np.float32)
        assert outputs.tobytes() == arrays["outputs"][:, row].tobytes()


@pytest.mark.parametrize("window", [None, b"", bytes(WINDOW.n_bytes - 4)])
def test_a_window_that_is_none_or_too_short_is_not_scored(
    tmp_path: Path, window: bytes | None
) -> None:
    write_windowed_bundle(tmp_path / "bundle")
    model = load_bundle(tmp_path / "bundle", "paper")
    with pytest.raises(InvalidInput) as caught:
        model.score(STEEP, window)
    assert caught.value.code == "WINDOW_SIZE"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda arrays: arrays.pop("windows"), "golden.npz cannot be read"),
        (lambda a: a.update(windows=a["windows"][:, 1:]), "golden windows are"),
        (lambda a: a.update(windows=a["windows"][1:]), "golden windows are"),
        (lambda a: a.update(windows=a["windows"].astype(np.float64)), "golden windows are"),
        (lambda a: a.update(windows=a["windows"] + np.float32(1.0)), "'steps' differs by"),
    ],
)
def test_golden_windows_that_are_not_what_was_said_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], named: str
) -> None:
    write_windowed_bundle(tmp_path / "bundle")
    arrays = read_arrays(tmp_path / "bundle")
    change(arrays)
    write_golden(tmp_path / "bundle", **arrays)
    with pytest.raises(ModelRefused, match=named):
        load_bundle(tmp_path / "bundle", "paper")


def test_a_member_that_reads_a_window_of_another_shape_is_refused(tmp_path: Path) -> None:
    write_windowed_bundle(tmp_path / "bundle")
    replace_member(tmp_path / "bundle", linear_onnx(window=(2, 2)), "steps")
    with pytest.raises(ModelRefused, match="reads 2 x 2 features, the manifest names 3 x 2"):
        load_bundle(tmp_path / "bundle", "paper")


def test_a_member_over_a_window_needs_a_vector_with_one(folder: Path) -> None:
    manifest = decode_manifest((folder / "manifest.json").read_bytes())
    member = msgspec.structs.replace(manifest.members[0], reads="window")
    with pytest.raises(InvalidManifest, match="first read a window"):
        msgspec.structs.replace(manifest, members=(member,))


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


def replace_member(folder: Path, raw: bytes, name: str = "first") -> None:
    """Put another file in a member's place, its hash in the manifest as if that were right."""
    manifest = decode_manifest((folder / "manifest.json").read_bytes())
    digest = hashlib.sha256(raw).hexdigest()
    members = tuple(
        msgspec.structs.replace(member, sha256=digest) if member.name == name else member
        for member in manifest.members
    )
    changed = msgspec.structs.replace(manifest, members=members)
    (folder / f"{name}.onnx").write_bytes(raw)
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
