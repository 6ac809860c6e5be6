"""Small real bundles for tests: a linear softmax in ONNX, written without the onnx package.

The scorer's own tests run where only its dependencies are installed.
"""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from online.domain.bundle import GOLDEN_FILE, MANIFEST_FILE
from online.domain.manifest import Manifest, Member, encode_manifest
from online.domain.signal import Calibration
from tests.fakes import WINDOW, make_manifest, make_windowed_contract

Array = npt.NDArray[np.float32]
WEIGHTS = np.array(
    [[-0.06, 0.0, 0.06], [-300.0, 0.0, 300.0], [0.0, 0.0, 0.0], [-1.0, 0.2, 1.0]], np.float32
)
BIAS = np.array([3.0, 0.0, -3.0], np.float32)
_OPSET, _IR_VERSION, _FLOAT = 13, 8, 1


def linear_onnx(
    weights: Array = WEIGHTS, bias: Array = BIAS, window: tuple[int, int] | None = None
) -> bytes:
    """Return ``softmax(x @ weights + bias)`` as ONNX bytes, encoded by hand.

    Parameters
    ----------
    weights, bias
        Shapes ``(n_features, 3)`` and ``(3,)``.
    window
        Shape of one input where it is a window, flattened before it is weighed.
    """
    read = "input" if window is None else "flat"
    nodes = [
        *([] if window is None else [_node("Flatten", ["input"], "flat")]),
        _node("Gemm", [read, "weights", "bias"], "logits"),
        _node("Softmax", ["logits"], "probabilities"),
    ]
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, b"sample")
    graph += _field(5, _tensor("weights", weights)) + _field(5, _tensor("bias", bias))
    sizes = weights.shape[:1] if window is None else window
    graph += _field(11, _value("input", *sizes)) + _field(12, _value("probabilities", 3))
    return _number(1, _IR_VERSION) + _field(7, graph) + _field(8, _number(2, _OPSET))


def golden_windows(raw: bytes, shape: tuple[int, int], n_rows: int = 16) -> tuple[Array, Array]:
    """Return windows ``(n_rows, *shape)`` and what ONNX Runtime makes of each alone."""
    windows = np.random.default_rng(9).normal(size=(n_rows, *shape)).astype(np.float32)
    session = onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"])
    rows = [session.run(None, {"input": windows[i : i + 1]})[0][0] for i in range(n_rows)]
    return windows, np.stack(rows)


def golden(raw: bytes, n_rows: int = 16, n_features: int = 4) -> tuple[Array, Array]:
    """Return inputs ``(n_rows, n_features)`` and what ONNX Runtime makes of each row alone."""
    random = np.random.default_rng(7)
    inputs = random.normal(size=(n_rows, n_features)).astype(np.float32)
    session = onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"])
    rows = [session.run(None, {"input": inputs[i : i + 1]})[0][0] for i in range(n_rows)]
    return inputs, np.stack(rows)


def write_bundle(
    folder: Path, manifest: Manifest | None = None, *, names: tuple[str, ...] = ("linear",)
) -> Manifest:
    """Write a bundle of linear members into `folder` and return its manifest."""
    folder.mkdir(parents=True)
    files = {name: linear_onnx(WEIGHTS * np.float32(1 + 0.1 * i)) for i, name in enumerate(names)}
    members = tuple(
        Member(name, "linear", f"{name}.onnx", hashlib.sha256(raw).hexdigest(), 1.0, Calibration())
        for name, raw in files.items()
    )
    written = manifest or make_manifest(members)
    for name, raw in files.items():
        (folder / f"{name}.onnx").write_bytes(raw)
    (folder / MANIFEST_FILE).write_bytes(encode_manifest(written))
    replayed = [golden(raw) for raw in files.values()]
    buffer = BytesIO()
    np.savez(buffer, inputs=replayed[0][0], outputs=np.stack([out for _, out in replayed]))
    (folder / GOLDEN_FILE).write_bytes(buffer.getvalue())
    return written


def write_windowed_bundle(folder: Path) -> Manifest:
    """Write a bundle of a member over the vector and one over `WINDOW`; return its manifest."""
    folder.mkdir(parents=True)
    windowed = np.random.default_rng(3).normal(0.0, 0.01, (6, 3)).astype(np.float32)
    files = {"row": linear_onnx(), "steps": linear_onnx(windowed, BIAS, WINDOW.shape)}
    members = tuple(
        Member(
            *(name, "linear", f"{name}.onnx", hashlib.sha256(raw).hexdigest(), 1.0, Calibration()),
            reads="window" if name == "steps" else "vector",
        )
        for name, raw in files.items()
    )
    written = make_manifest(members, vector=make_windowed_contract())
    for name, raw in files.items():
        (folder / f"{name}.onnx").write_bytes(raw)
    (folder / MANIFEST_FILE).write_bytes(encode_manifest(written))
    inputs, outputs = golden(files["row"])
    windows, stepped = golden_windows(files["steps"], WINDOW.shape)
    buffer = BytesIO()
    np.savez(buffer, inputs=inputs, windows=windows, outputs=np.stack([outputs, stepped]))
    (folder / GOLDEN_FILE).write_bytes(buffer.getvalue())
    return written


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _field(tag: int, body: bytes) -> bytes:
    return _varint(tag << 3 | 2) + _varint(len(body)) + body


def _number(tag: int, number: int) -> bytes:
    return _varint(tag << 3) + _varint(number)


def _node(kind: str, inputs: list[str], output: str) -> bytes:
    named = b"".join(_field(1, name.encode()) for name in inputs)
    return named + _field(2, output.encode()) + _field(4, kind.encode())


def _tensor(name: str, array: Array) -> bytes:
    dims = b"".join(_number(1, size) for size in array.shape)
    return dims + _number(2, _FLOAT) + _field(8, name.encode()) + _field(9, array.tobytes())


def _value(name: str, *sizes: int) -> bytes:
    shape = _field(1, _field(2, b"n")) + b"".join(_field(1, _number(1, size)) for size in sizes)
    return _field(1, name.encode()) + _field(2, _field(1, _number(1, _FLOAT) + _field(2, shape)))
