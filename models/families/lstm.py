"""LSTM: one recurrent layer over the window; the last state decides.

Source: Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9, 1997.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from models.families.sequence import SequenceConfig, SequenceFamily
from models.labels import Outcome

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


@dataclass(frozen=True, slots=True)
class LstmConfig(SequenceConfig):
    """Settings of the family: those of `SequenceConfig`."""

    kind: Literal["lstm"] = "lstm"


@dataclass(frozen=True, slots=True)
class LstmFamily(SequenceFamily):
    """Fits a small recurrent network."""

    config: LstmConfig

    @property
    def name(self) -> str:
        """The configuration's kind."""
        return self.config.kind

    def network(self, n_features: int, length: int) -> Module:  # noqa: ARG002 - any length suits
        """Return a fresh network."""
        from torch import nn  # noqa: PLC0415 - PyTorch loads slowly

        config = self.config

        class Recurrent(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.steps = nn.LSTM(n_features, config.hidden, batch_first=True)
                self.dropout = nn.Dropout(config.dropout)
                self.head = nn.Linear(config.hidden, len(Outcome))

            def forward(self, windows: Tensor) -> Tensor:
                states, _ = self.steps(windows)
                scores: Tensor = self.head(self.dropout(states[:, -1]))
                return scores

        return Recurrent()
