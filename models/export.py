"""Fitted models as ONNX files, checked against the library, and bound into a bundle.

What serves is what was fitted: calibration, threshold and every figure rest on the outputs of
`OnnxScorer`, one row at a time on one thread, exactly as the scorer computes them; trees are scored
in batches, whose bits are those of single rows (``tests/laws/test_batch_laws.py``).
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
from models.families.graph import INPUT, OUTPUT, treats_rows_alone
from models.labels import Outcome
from models.windows import Inputs
from online.domain.bundle import (
    GOLDEN_FILE,
    GOLDEN_TOLERANCE,
    MANIFEST_FILE,
    PROOFS,
    bundle_digest,
)
from online.domain.errors import ModelRefused
from online.domain.manifest import Manifest, Reads, decode_manifest, encode_manifest

PARITY_ROWS = 10_000
GOLDEN_ROWS = 64
BATCH_ROWS = 1024
Scores = npt.NDArray[np.float32]


class OnnxScorer:
    """One ONNX file, scored on one thread: row by row, or in batches where the bits are the same.

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
        self._at_once = BATCH_ROWS if treats_rows_alone(raw) else 1

    def score(self, features: Features) -> Scores:
        """Return the raw probabilities of each row as if scored on its own, ``(n_rows, 3)``."""
        scores = np.empty((len(features), len(Outcome)), dtype=np.float32)
        rows = np.ascontiguousarray(features, dtype=np.float32)
        run, wanted = self._session.run, [OUTPUT]
        for start in range(0, len(rows), self._at_once):
            part = slice(start, start + self._at_once)
            scores[part] = run(wanted, {INPUT: rows[part]})[0]
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
    reads
        What its input is.
    """

    family: str
    onnx: bytes
    parity: float
    parity_rows: int
    reads: Reads = "vector"

    @property
    def sha256(self) -> str:
        """SHA-256 of the file, hexadecimal."""
        return hashlib.sha256(self.onnx).hexdigest()


def export_member(
    family: str,
    fitted: Exportable,
    inputs: Inputs,
    seed: int,
    n_rows: int = PARITY_ROWS,
    reads: Reads = "vector",
) -> ExportedMember:
    """Convert a fitted model and compare both on real rows and perturbations of them.

    Parameters
    ----------
    family
        What it is.
    fitted
        The library's model.
    inputs
        Real rows, as the family reads them.
    seed
        Of the perturbations.
    n_rows
        Rows to compare (> 0).
    reads
        What `inputs` are.

    Raises
    ------
    ModelRefused
        With code ``ONNX_PARITY`` if a probability differs by more than `GOLDEN_TOLERANCE`.
    """
    onnx = fitted.to_onnx()
    probe = probe_rows(inputs, n_rows, seed)
    difference = np.abs(OnnxScorer(onnx).score(probe).astype(np.float64) - fitted.predict(probe))
    worst = float(difference.max())
    if not worst <= GOLDEN_TOLERANCE:
        raise ModelRefused(
            f"the ONNX file of {family} differs from its library by {worst:.3g} on "
            f"{n_rows} rows; at most {GOLDEN_TOLERANCE:g} is allowed",
            code="ONNX_PARITY",
        )
    return ExportedMember(family, onnx, worst, n_rows, reads)


def probe_rows(inputs: Inputs, n_rows: int, seed: int) -> Features:
    """Return `n_rows` rows: real ones first, then real ones moved about their own spread.

    Parameters
    ----------
    inputs
        Real rows, vectors or windows.
    n_rows
        Rows wanted (> 0).
    seed
        Of the choice and the noise.
    """
    random = np.random.default_rng(seed)
    if len(inputs) >= n_rows:
        rows = np.sort(random.choice(len(inputs), n_rows, replace=False))
        return np.ascontiguousarray(inputs[rows])
    features = inputs[np.arange(len(inputs), dtype=np.int64)]
    n_moved = n_rows - len(features)
    rows = random.integers(0, len(features), n_moved)
    spread = features.std(axis=0, dtype=np.float64)
    noise = random.standard_normal((n_moved, *features.shape[1:])) * spread
    moved = (features[rows].astype(np.float64) + noise).astype(np.float32)
    return np.concatenate([features, moved])


@dataclass(frozen=True, slots=True)
class Golden:
    """Inputs and outputs that are stored with a model.

    Parameters
    ----------
    inputs
        Vectors, shape ``(n, n_features)``.
    outputs
        Of every member, shape ``(n_members, n, 3)``.
    windows
        Shape ``(n, length, n_window_features)``; None where no member reads one.
    """

    inputs: Features
    outputs: Scores
    windows: Features | None = None

    def read_by(self, reads: Reads) -> Features:
        """Return what a member that `reads` so scores."""
        return self.inputs if reads == "vector" or self.windows is None else self.windows


def golden_vectors(
    members: Sequence[ExportedMember], inputs_by: Mapping[Reads, Inputs], seed: int
) -> Golden:
    """Return real rows and moved ones with what every member makes of them.

    Parameters
    ----------
    members
        In the manifest's order.
    inputs_by
        Real rows by what reads them; vectors always.
    seed
        Of the choice and the moves.
    """
    found: dict[Reads, Features] = {}
    for reads, inputs in inputs_by.items():
        real = probe_rows(inputs, min(GOLDEN_ROWS // 2, len(inputs)), seed)
        found[reads] = probe_rows(real, GOLDEN_ROWS, seed)
    outputs = [OnnxScorer(member.onnx).score(found[member.reads]) for member in members]
    return Golden(found["vector"], np.stack(outputs), found.get("window"))


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
    golden: Golden,
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
    arrays = {"inputs": golden.inputs, "outputs": golden.outputs}
    if golden.windows is not None:
        arrays["windows"] = golden.windows
    (folder / GOLDEN_FILE).write_bytes(_npz(**arrays))
    return Bundle(folder, digest_folder(folder))


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of the bundle in `folder`."""
    return decode_manifest((folder / MANIFEST_FILE).read_bytes())


def replay_golden(folder: Path, manifest: Manifest) -> float:
    """Return the greatest difference of a golden output, everything read back from the bundle.

    NaN where an output is no number.
    """
    with np.load(folder / GOLDEN_FILE, allow_pickle=False) as arrays:
        golden = Golden(arrays["inputs"], arrays["outputs"], arrays.get("windows"))
    differences = []
    for member, expected in zip(manifest.members, golden.outputs, strict=True):
        scores = OnnxScorer((folder / member.file).read_bytes()).score(golden.read_by(member.reads))
        differences.append(np.abs(scores.astype(np.float64) - expected))
    return float(np.max(differences))  # unlike Python's own, it keeps what is no number


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
