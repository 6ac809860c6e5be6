"""The last touch on every converted graph: one input, one output, no trace of when it was made."""

from __future__ import annotations

from typing import Any

from online.domain.errors import ModelRefused

INPUT, OUTPUT = "input", "probabilities"
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
