"""The rule baseline: `online.domain.rules` as a family, and as the model all others are beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from models.bars import Floats
from models.dataset import Features
from models.families.family import TrainingSet
from models.families.graph import INPUT, OUTPUT, finish_graph
from models.labels import Outcome
from online.domain.errors import InvalidInput
from online.domain.manifest import Reads
from online.domain.rules import (
    OVERBOUGHT,
    OVERSOLD,
    RULE_FEATURES,
    SAY_LONG,
    SAY_NOTHING,
    SAY_SHORT,
    vote,
)
from online.domain.vector import VectorContract, ViewContract

OPSET = 17
_IR_VERSION = 9
_READ = VectorContract((ViewContract("rules", 1, RULE_FEATURES, 1),))
"""The vector of what the rules read and nothing else; its age is never asked for."""
_COLUMNS = ("trend", "momentum", "strength")
"""What the graph calls `RULE_FEATURES`."""


@dataclass(frozen=True, slots=True)
class RulesConfig:
    """Settings of the family: the rules have none."""

    kind: Literal["rules"] = "rules"


@dataclass(frozen=True, slots=True)
class RulesFamily:
    """Learns nothing."""

    config: RulesConfig
    reads: ClassVar[Reads] = "vector"

    @property
    def name(self) -> str:
        """The configuration's kind."""
        return self.config.kind

    def fit(self, training: TrainingSet, seed: int) -> RulesModel:  # noqa: ARG002 - no chance in it
        """Return the rules on the training set's columns; see `RulesModel.over` for errors."""
        return RulesModel.over(training.names)


@dataclass(frozen=True, slots=True)
class RulesModel:
    """The rules over the columns of one table.

    Parameters
    ----------
    places
        Columns of `RULE_FEATURES`, in their order.
    n_features
        Columns of the table.
    """

    places: tuple[int, ...]
    n_features: int

    @classmethod
    def over(cls, names: Sequence[str]) -> RulesModel:
        """Return the rules over columns of these names.

        Raises
        ------
        InvalidInput
            With code ``RULES_LACK_FEATURES`` if one that the rules read is not among them.
        """
        absent = [name for name in RULE_FEATURES if name not in names]
        if absent:
            raise InvalidInput(
                f"the rules read {', '.join(RULE_FEATURES)}; the vector lacks {', '.join(absent)}",
                code="RULES_LACK_FEATURES",
                remedy="Add these features to those that the model reads.",
            )
        return cls(tuple(names.index(name) for name in RULE_FEATURES), len(names))

    def predict(self, features: Features) -> Floats:
        """Return the votes, shape ``(n_rows, 3)``."""
        read = features[:, list(self.places)].astype(np.float64)
        votes = [vote(row, _READ) for row in read.tolist()]
        return np.array(votes, dtype=np.float64).reshape(-1, len(Outcome))

    def gains(self) -> None:
        """Return None: nothing was fitted."""
        return

    def to_onnx(self) -> bytes:
        """Return the rules as comparisons and choices of ONNX; its votes are float32."""
        from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - a heavy library

        places = {
            f"{name}_at": np.array([place], dtype=np.int64)
            for name, place in zip(_COLUMNS, self.places, strict=True)
        }
        numbers = {
            "zero": [0.0],
            "overbought": [OVERBOUGHT],
            "oversold": [OVERSOLD],
            "say_long": [SAY_LONG],
            "say_short": [SAY_SHORT],
            "say_nothing": [SAY_NOTHING],
        }
        constants = places | {k: np.array(v, dtype=np.float32) for k, v in numbers.items()}
        node = helper.make_node
        nodes = [
            *(node("Gather", [INPUT, f"{x}_at"], [x], axis=1) for x in _COLUMNS),
            node("Greater", ["trend", "zero"], ["rises"]),
            node("Greater", ["momentum", "zero"], ["pulls"]),
            node("LessOrEqual", ["strength", "overbought"], ["early_long"]),
            node("And", ["rises", "pulls"], ["up"]),
            node("And", ["up", "early_long"], ["is_long"]),
            node("Less", ["trend", "zero"], ["falls"]),
            node("Less", ["momentum", "zero"], ["pushes"]),
            node("GreaterOrEqual", ["strength", "oversold"], ["early_short"]),
            node("And", ["falls", "pushes"], ["down"]),
            node("And", ["down", "early_short"], ["is_short"]),
            node("Where", ["is_short", "say_short", "say_nothing"], ["short_or_nothing"]),
            node("Where", ["is_long", "say_long", "short_or_nothing"], [OUTPUT]),
        ]
        graph = helper.make_graph(
            nodes,
            "rules",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, self.n_features])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, len(Outcome)])],
            [numpy_helper.from_array(values, name) for name, values in constants.items()],
        )
        return finish_graph(
            helper.make_model(
                graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR_VERSION
            )
        )
