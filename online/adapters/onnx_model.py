"""Model: a bundle folder verified file by file and vector by vector, scored by ONNX Runtime.

A bundle is refused, never half-loaded: every member's bytes must have the manifest's SHA-256, and
the golden vectors must come out again on this machine.
"""

from __future__ import annotations

import hashlib
import logging
import platform
import struct
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    RuntimeException,
)
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NotInRuntime

from online.domain.bundle import (
    GOLDEN_FILE,
    GOLDEN_TOLERANCE,
    MANIFEST_FILE,
    PROOFS,
    bundle_digest,
)
from online.domain.errors import InvalidInput, InvalidManifest, ModelRefused
from online.domain.manifest import Manifest, Member, decode_manifest
from online.domain.signal import MemberOutput

logger = logging.getLogger(__name__)
Array = npt.NDArray[np.float32]
_INPUT, _OUTPUT = "input", "probabilities"
_N_CLASSES = 3
_WARM_UP_RUNS = 50
_RUNTIME_ERRORS = (  # ONNX Runtime's errors share no base of their own
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NotInRuntime,
    RuntimeException,
    RuntimeError,
    ValueError,
)


class Verification(msgspec.Struct, frozen=True):
    """What was found when a bundle was loaded.

    Parameters
    ----------
    bit_equal
        True if every golden output came out with the very bits of the trainer's machine.
    greatest_difference
        Of a golden output, at most `GOLDEN_TOLERANCE`.
    n_golden
        Golden vectors replayed.
    runtime
        Fingerprint of what scores here: ONNX Runtime, processor, operating system.
    """

    bit_equal: bool
    greatest_difference: float
    n_golden: int
    runtime: str


class _MemberSession:
    """One ONNX file with its buffers bound once; a run allocates nothing but the result."""

    def __init__(self, name: str, raw: bytes, row: Array) -> None:
        self.name = name
        try:
            self._session = _open_session(raw)
            self._binding = self._session.io_binding()
            found = [o.name for o in self._session.get_outputs()]
            expected = self._session.get_inputs()[0].shape[1:]
        except _RUNTIME_ERRORS as error:
            raise ModelRefused(f"member {name!r} is no ONNX model: {error}") from error
        if _OUTPUT not in found or self._session.get_inputs()[0].name != _INPUT:
            raise ModelRefused(
                f"member {name!r} needs input {_INPUT!r} and output {_OUTPUT!r}, "
                f"its outputs are {found}"
            )
        if not _suits(expected, row.shape[1:]):
            raise ModelRefused(
                f"member {name!r} reads {' x '.join(map(str, expected))} features, the manifest "
                f"names {' x '.join(map(str, row.shape[1:]))}"
            )
        self._result = np.zeros((1, _N_CLASSES), dtype=np.float32)
        self._binding.bind_input(_INPUT, "cpu", 0, np.float32, row.shape, row.ctypes.data)
        self._binding.bind_output(
            _OUTPUT, "cpu", 0, np.float32, self._result.shape, self._result.ctypes.data
        )

    def run(self) -> list[float]:
        """Return the probabilities of what the bound row holds now."""
        self._session.run_with_iobinding(self._binding)
        answer: list[float] = self._result[0].tolist()
        return answer


class OnnxModel:
    """A verified model; use `load_bundle`.

    Parameters
    ----------
    manifest, sha256, alias, version
        Of the bundle; `version` as the registry calls it.
    files
        Bytes of every member's file, in the manifest's order.

    Notes
    -----
    `score` uses one preallocated row: call it from one thread.
    """

    def __init__(
        self, manifest: Manifest, sha256: str, alias: str, version: str, files: list[bytes]
    ) -> None:
        self._manifest, self._sha256 = manifest, sha256
        self._alias, self.version = alias, version
        n_features = len(manifest.vector.names)
        self._row: Array = np.zeros((1, n_features), dtype=np.float32)
        self._row_bytes = self._row.data.cast("B")
        self._pack = struct.Struct(f"={n_features}f").pack_into
        window = manifest.vector.window
        self._window: Array = np.zeros((1, *(window.shape if window else (0, 0))), np.float32)
        self._members = [
            _MemberSession(member.name, raw, self._inputs_of(member))
            for member, raw in zip(manifest.members, files, strict=True)
        ]
        self.verification = Verification(
            bit_equal=False,
            greatest_difference=float("inf"),
            n_golden=0,
            runtime=runtime_fingerprint(),
        )

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""
        return self._manifest

    @property
    def sha256(self) -> str:
        """The bundle's digest."""
        return self._sha256

    @property
    def alias(self) -> str:
        """The alias it was loaded by."""
        return self._alias

    def _inputs_of(self, member: Member) -> Array:
        return self._window if member.reads == "window" else self._row

    def score(
        self, values: tuple[float, ...], window: bytes | None = None
    ) -> tuple[MemberOutput, ...]:
        """Return the members' raw outputs for one vector in the manifest's order.

        A member that fails is left out; `online.domain.ensemble` says what becomes of that.

        Raises
        ------
        InvalidInput
            With code ``WINDOW_SIZE`` if the manifest asks for a window and `window` is none or
            has other than its bytes.
        """
        self._pack(self._row_bytes, 0, *values)
        if self._window.size:
            self._take_window(window)
        outputs = []
        for member in self._members:
            try:
                short, neither, long = member.run()
            except _RUNTIME_ERRORS as error:
                logger.warning("member %s gave no output: %s", member.name, error)
                continue
            outputs.append(MemberOutput(member.name, (short, neither, long)))
        return tuple(outputs)

    def _take_window(self, window: bytes | None) -> None:
        if window is None or len(window) != self._window.nbytes:
            raise InvalidInput(
                f"a window of {self._window.nbytes} bytes is scored, got "
                f"{'none' if window is None else len(window)}",
                code="WINDOW_SIZE",
            )
        self._window.reshape(-1)[:] = np.frombuffer(window, dtype="<f4")


def load_bundle(folder: Path, alias: str, version: str = "", digest: str = "") -> OnnxModel:
    """Return the model in a bundle folder, verified and warm.

    Parameters
    ----------
    folder
        Holds ``manifest.json``, the members' ONNX files and ``golden.npz``, and nothing else but
        certificates, which are judged by `online.domain.certificate.permit`.
    alias
        The alias it was fetched by.
    version
        As the registry calls it.
    digest
        As the registry knows it; not compared where empty.

    Raises
    ------
    ModelRefused
        If a file is missing or changed, is no model, or a golden vector comes out differently:
        then member, row and difference are named.
    """
    files = _read_files(folder)
    manifest, members = _check_files(files, folder)
    found = _digest(files)
    if digest and found != digest:
        raise ModelRefused(f"bundle {folder} has digest {found}, {digest} was registered")
    model = OnnxModel(manifest, found, alias, version, members)
    model.verification = _replay_golden(model, files[GOLDEN_FILE])
    window = manifest.vector.window
    zeros = (0.0,) * len(manifest.vector.names), bytes(window.n_bytes) if window else None
    for _ in range(_WARM_UP_RUNS):
        model.score(*zeros)
    return model


def digest_bundle(folder: Path) -> str:
    """Return the digest of a bundle's files; none of them is opened as what it claims to be.

    Raises
    ------
    ModelRefused
        If one cannot be read, or there is none.
    """
    try:
        return _digest(_read_files(folder))
    except InvalidManifest as error:
        raise ModelRefused(f"bundle {folder}: {error}") from error


def read_proofs(folder: Path) -> dict[str, bytes]:
    """Return the certificates that lie in a bundle's folder, by file name.

    Raises
    ------
    ModelRefused
        If one is there and cannot be read.
    """
    try:
        return {name: (folder / name).read_bytes() for name in PROOFS if (folder / name).exists()}
    except OSError as error:
        raise ModelRefused(f"bundle {folder} cannot be read: {error}") from error


def runtime_fingerprint() -> str:
    """Return what scores here, so that two hosts' bits can be told apart.

    Examples
    --------
    >>> runtime_fingerprint().startswith("onnxruntime ")
    True
    """
    system = f"{platform.system()} {platform.machine()}"
    return f"onnxruntime {onnxruntime.__version__}, {_processor()}, {system}"


def _read_files(folder: Path) -> dict[str, bytes]:
    try:
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    except OSError as error:
        raise ModelRefused(f"bundle {folder} cannot be read: {error}") from error


def _digest(files: dict[str, bytes]) -> str:
    return bundle_digest({name: hashlib.sha256(raw).hexdigest() for name, raw in files.items()})


def _check_files(files: dict[str, bytes], folder: Path) -> tuple[Manifest, list[bytes]]:
    for name in (MANIFEST_FILE, GOLDEN_FILE):
        if name not in files:
            raise ModelRefused(f"bundle {folder} lacks {name}; it holds {sorted(files)}")
    try:
        manifest = decode_manifest(files[MANIFEST_FILE])
    except InvalidManifest as error:
        raise ModelRefused(f"bundle {folder}: {error}") from error
    members = []
    for member in manifest.members:
        raw = files.get(member.file)
        if raw is None:
            raise ModelRefused(f"bundle {folder} lacks {member.file} of member {member.name!r}")
        found = hashlib.sha256(raw).hexdigest()
        if found != member.sha256:
            raise ModelRefused(
                f"{member.file} of member {member.name!r} has SHA-256 {found}, "
                f"the manifest says {member.sha256}"
            )
        members.append(raw)
    return manifest, members


def _replay_golden(model: OnnxModel, raw: bytes) -> Verification:
    """Score every golden vector on its own, as requests will be, and compare."""
    inputs, windows, expected = _read_golden(model.manifest, raw)
    worst, bit_equal = 0.0, True
    for row in range(len(inputs)):
        window = None if windows is None else windows[row].astype("<f4").tobytes()
        found = model.score(tuple(inputs[row].tolist()), window)
        lost = {m.name for m in model.manifest.members} - {output.name for output in found}
        if lost:
            raise ModelRefused(f"members {', '.join(sorted(lost))} fail on golden vector {row}")
        for place, output in enumerate(found):
            wanted = expected[place, row]
            got = np.array(output.raw, dtype=np.float32)
            difference = float(np.abs(got.astype(np.float64) - wanted).max())
            if not difference <= GOLDEN_TOLERANCE:
                raise ModelRefused(
                    f"member {output.name!r} differs by {difference:.3g} on golden vector {row}; "
                    f"at most {GOLDEN_TOLERANCE:g} is allowed",
                    code="GOLDEN_VECTOR_MISMATCH",
                )
            worst = max(worst, difference)
            bit_equal = bit_equal and got.tobytes() == wanted.tobytes()
    return Verification(bit_equal, worst, len(inputs), runtime_fingerprint())


def _read_golden(manifest: Manifest, raw: bytes) -> tuple[Array, Array | None, Array]:
    asked = manifest.vector.window
    try:
        with np.load(BytesIO(raw), allow_pickle=False) as arrays:
            inputs, outputs = arrays["inputs"], arrays["outputs"]
            windows = None if asked is None else arrays["windows"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelRefused(f"{GOLDEN_FILE} cannot be read: {error}") from error
    n_features, n_members = len(manifest.vector.names), len(manifest.members)
    expected = (n_members, len(inputs), _N_CLASSES)
    if inputs.ndim != 2 or inputs.shape[1] != n_features or not len(inputs):  # noqa: PLR2004 - rows and columns
        raise ModelRefused(f"golden inputs have shape {inputs.shape}, expected (n, {n_features})")
    if outputs.shape != expected:
        raise ModelRefused(f"golden outputs have shape {outputs.shape}, expected {expected}")
    if inputs.dtype != np.float32 or outputs.dtype != np.float32:
        raise ModelRefused(f"golden vectors are {inputs.dtype}, {outputs.dtype}, not float32")
    if asked is not None and windows is not None:
        shape = (len(inputs), *asked.shape)
        if windows.shape != shape or windows.dtype != np.float32:
            raise ModelRefused(
                f"golden windows are {windows.dtype} {windows.shape}, expected float32 {shape}"
            )
    return inputs, windows, outputs


def _suits(declared: list[Any], wanted: tuple[int, ...]) -> bool:
    """Tell whether a graph's row has the wanted shape; a size without a number suits any."""
    sizes = zip(declared, wanted, strict=False)
    return len(declared) == len(wanted) and all(
        not isinstance(size, int) or size == asked for size, asked in sizes
    )


def _open_session(raw: bytes) -> Any:  # noqa: ANN401 - onnxruntime publishes no types
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(raw, options, ["CPUExecutionProvider"])


def _processor() -> str:
    """Return the processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"
