"""Fitted models as ONNX files, checked against the library, and bound into a bundle.

What serves is what was fitted: calibration, threshold and every figure rest on the outputs of
`OnnxScorer`, one row at a time on one thread, exactly as the scorer computes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from models.dataset import Features
from models.families.family import Exportable
from models.families.graph import INPUT, OUTPUT
from models.labels import Outcome
from online.domain.bundle import (
    GOLDEN_FILE,
    GOLDEN_TOLERANCE,
    MANIFEST_FILE,
    PROOFS,
    bundle_digest,
)
from online.domain.errors import ModelRefused
from online.domain.manifest import Manifest, decode_manifest, encode_manifest

PARITY_ROWS = 10_000
GOLDEN_ROWS = 64
Scores = npt.NDArray[np.float32]


class OnnxScorer:
    """One ONNX file, scored row by row on one thread.

    Parameters
    ----------
    raw
        The file's bytes.
    """

    def __init__(self, raw: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(raw, options, ["CPUExecutionProvider"])

    def score(self, features: Features) -> Scores:
        """Return the raw probabilities of each row, scored on its own, shape ``(n_rows, 3)``."""
        scores = np.empty((len(features), len(Outcome)), dtype=np.float32)
        rows = np.ascontiguousarray(features, dtype=np.float32)
        run, wanted = self._session.run, [OUTPUT]
        for row in range(len(rows)):
            scores[row] = run(wanted, {INPUT: rows[row : row + 1]})[0][0]
        return scores


@dataclass(frozen=True, slots=True)
class ExportedMember:
    """A model's ONNX file and how far it is from its library.

    Parameters
    ----------
    family
        What it is.
    onnx
        The file's bytes.
    parity
        Greatest absolute difference of a probability.
    parity_rows
        Rows compared.
    """

    family: str
    onnx: bytes
    parity: float
    parity_rows: int

    @property
    def sha256(self) -> str:
        """SHA-256 of the file, hexadecimal."""
        return hashlib.sha256(self.onnx).hexdigest()


def export_member(
    family: str, fitted: Exportable, features: Features, seed: int, n_rows: int = PARITY_ROWS
) -> ExportedMember:
    """Convert a fitted model and compare both on real rows and perturbations of them.

    Parameters
    ----------
    family
        What it is.
    fitted
        The library's model.
    features
        Real rows, shape ``(n_rows, n_features)``.
    seed
        Of the perturbations.
    n_rows
        Rows to compare (> 0).

    Raises
    ------
    ModelRefused
        With code ``ONNX_PARITY`` if a probability differs by more than `GOLDEN_TOLERANCE`.
    """
    onnx = fitted.to_onnx()
    probe = probe_rows(features, n_rows, seed)
    difference = np.abs(OnnxScorer(onnx).score(probe).astype(np.float64) - fitted.predict(probe))
    worst = float(difference.max())
    if not worst <= GOLDEN_TOLERANCE:
        raise ModelRefused(
            f"the ONNX file of {family} differs from its library by {worst:.3g} on "
            f"{n_rows} rows; at most {GOLDEN_TOLERANCE:g} is allowed",
            code="ONNX_PARITY",
        )
    return ExportedMember(family, onnx, worst, n_rows)


def probe_rows(features: Features, n_rows: int, seed: int) -> Features:
    """Return `n_rows` rows: real ones first, then real ones moved about their own spread.

    Parameters
    ----------
    features
        Real rows, shape ``(n, n_features)``.
    n_rows
        Rows wanted (> 0).
    seed
        Of the choice and the noise.
    """
    random = np.random.default_rng(seed)
    if len(features) >= n_rows:
        rows = np.sort(random.choice(len(features), n_rows, replace=False))
        return np.ascontiguousarray(features[rows])
    n_moved = n_rows - len(features)
    rows = random.integers(0, len(features), n_moved)
    spread = features.std(axis=0, dtype=np.float64)
    noise = random.standard_normal((n_moved, features.shape[1])) * spread
    moved = (features[rows].astype(np.float64) + noise).astype(np.float32)
    return np.concatenate([features, moved])


def golden_vectors(
    members: Sequence[ExportedMember], features: Features, seed: int
) -> tuple[Features, Scores]:
    """Return inputs ``(n, n_features)`` and every member's outputs ``(n_members, n, 3)``."""
    half = GOLDEN_ROWS // 2
    real = probe_rows(features, min(half, len(features)), seed)
    inputs = probe_rows(real, GOLDEN_ROWS, seed)
    return inputs, np.stack([OnnxScorer(member.onnx).score(inputs) for member in members])


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model as the scorer reads it.

    Parameters
    ----------
    folder
        Holds the manifest, the members' ONNX files and the golden vectors.
    digest
        `online.domain.bundle.bundle_digest` of its files.
    """

    folder: Path
    digest: str


def write_bundle(
    folder: Path,
    manifest: Manifest,
    members: Mapping[str, ExportedMember],
    golden: tuple[Features, Scores],
) -> Bundle:
    """Write a bundle and return its digest.

    Parameters
    ----------
    folder
        New or empty.
    manifest
        Names the members' files.
    members
        By name.
    golden
        As `golden_vectors` returns it, members in the manifest's order.

    Raises
    ------
    ModelRefused
        With code ``BUNDLE_EXISTS`` if the folder already holds something.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ModelRefused(f"bundle folder {folder} is not empty", code="BUNDLE_EXISTS")
    (folder / MANIFEST_FILE).write_bytes(encode_manifest(manifest))
    for member in manifest.members:
        (folder / member.file).write_bytes(members[member.name].onnx)
    (folder / GOLDEN_FILE).write_bytes(_npz(inputs=golden[0], outputs=golden[1]))
    return Bundle(folder, digest_folder(folder))


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of the bundle in `folder`."""
    return decode_manifest((folder / MANIFEST_FILE).read_bytes())


def replay_golden(folder: Path, manifest: Manifest) -> float:
    """Return the greatest difference of a golden output, everything read back from the bundle."""
    with np.load(folder / GOLDEN_FILE, allow_pickle=False) as golden:
        inputs, outputs = golden["inputs"], golden["outputs"]
    worst = 0.0
    for member, expected in zip(manifest.members, outputs, strict=True):
        scores = OnnxScorer((folder / member.file).read_bytes()).score(inputs)
        worst = max(worst, float(np.abs(scores.astype(np.float64) - expected).max()))
    return worst


def digest_folder(folder: Path) -> str:
    """Return the bundle digest of the files in `folder`."""
    files = [path for path in folder.iterdir() if path.is_file()]
    return bundle_digest({p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files})


def read_proofs(folder: Path) -> dict[str, bytes]:
    """Return the certificates that lie beside the bundle in `folder`, by file name."""
    return {name: (folder / name).read_bytes() for name in PROOFS if (folder / name).is_file()}


def _npz(**arrays: npt.NDArray[np.float32]) -> bytes:
    """Return the arrays as NPZ bytes; NumPy stamps every entry 1980, so they are reproducible."""
    buffer = BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
