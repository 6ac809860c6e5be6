"""Temporal CNN: causal convolutions whose reach doubles with each layer until it spans the window.

Source: Bai, Kolter and Koltun, An Empirical Evaluation of Generic Convolutional and Recurrent
Networks for Sequence Modeling, 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2
from typing import TYPE_CHECKING, Literal

from models.families.sequence import SequenceConfig, SequenceFamily
from models.labels import Outcome

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


@dataclass(frozen=True, slots=True)
class TcnConfig(SequenceConfig):
    """Settings of the family, beside those of `SequenceConfig`.

    Parameters
    ----------
    kernel
        Vectors that a convolution sees (> 1).
    """

    kind: Literal["tcn"] = "tcn"
    kernel: int = 3


@dataclass(frozen=True, slots=True)
class TcnFamily(SequenceFamily):
    """Fits a small convolutional network."""

    config: TcnConfig

    @property
    def name(self) -> str:
        """The configuration's kind."""
        return self.config.kind

    def network(self, n_features: int, length: int) -> Module:
        """Return a fresh network."""
        from torch import nn, relu  # noqa: PLC0415 - PyTorch loads slowly

        config = self.config
        reach = config.kernel - 1
        n_layers = max(1, ceil(log2((length - 1) / reach + 1.0)))

        class Convolutional(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layers = nn.ModuleList(
                    nn.Conv1d(
                        config.hidden if layer else n_features,
                        config.hidden,
                        config.kernel,
                        dilation=2**layer,
                    )
                    for layer in range(n_layers)
                )
                self.dropout = nn.Dropout(config.dropout)
                self.head = nn.Linear(config.hidden, len(Outcome))

            def forward(self, windows: Tensor) -> Tensor:
                state = windows.transpose(1, 2)
                for number, layer in enumerate(self.layers):
                    padded = nn.functional.pad(state, (reach * 2**number, 0))
                    found = self.dropout(relu(layer(padded)))
                    state = state + found if number else found
                scores: Tensor = self.head(state[:, :, -1])
                return scores

        return Convolutional()
