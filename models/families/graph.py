"""The last touch on every converted graph: one input, one output, no trace of when it was made."""

from __future__ import annotations

from typing import Any

from online.domain.errors import ModelRefused

INPUT, OUTPUT = "input", "probabilities"
_ALONE = frozenset({"TreeEnsembleClassifier", "Cast", "Identity", "Mul"})
"""Operators that treat each row by itself, in one order of sums however many rows there are."""
_NEWEST_IR = 10


def finish_graph(model: Any) -> bytes:  # noqa: ANN401 - onnx publishes no types
    """Return the bytes of a converted model that has `probabilities` as its only output.

    Converters add a label output and name the graph by chance; both would make two exports of
    one fit differ, or cost the scorer time.

    Parameters
    ----------
    model
        ``onnx.ModelProto`` with an output named ``probabilities``.

    Raises
    ------
    ModelRefused
        If the graph has no such output.
    """
    outputs = {output.name: output for output in model.graph.output}
    if OUTPUT not in outputs or [i.name for i in model.graph.input] != [INPUT]:
        raise ModelRefused(
            f"a converted model needs input {INPUT!r} and output {OUTPUT!r}, got inputs "
            f"{[i.name for i in model.graph.input]} and outputs {sorted(outputs)}"
        )
    kept = outputs[OUTPUT]
    del model.graph.output[:]
    model.graph.output.append(kept)
    model.graph.name = "sextant"
    model.doc_string = ""
    model.ir_version = min(int(model.ir_version), _NEWEST_IR)
    raw: bytes = model.SerializeToString(deterministic=True)
    return raw


def treats_rows_alone(raw: bytes) -> bool:
    """Tell whether a graph gives a row the same bits in a batch as alone, as trees do.

    Matrix products do not: their order of sums may change with the number of rows.
    """
    from onnx import load_model_from_string  # noqa: PLC0415 - the scorers of members alone need it

    return {node.op_type for node in load_model_from_string(raw).graph.node} <= _ALONE
