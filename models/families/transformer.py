"""Transformer: one layer in which the bar's vector attends to the window; positions are learnt.

Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017, normalised before each block
(Xiong et al., On Layer Normalization in the Transformer Architecture, ICML 2020).
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
class TransformerConfig(SequenceConfig):
    """Settings of the family, beside those of `SequenceConfig`.

    Parameters
    ----------
    heads
        Of the attention; `hidden` is a multiple of them.
    """

    kind: Literal["transformer"] = "transformer"
    heads: int = 2


@dataclass(frozen=True, slots=True)
class TransformerFamily(SequenceFamily):
    """Fits a small attention network."""

    config: TransformerConfig

    @property
    def name(self) -> str:
        """The configuration's kind."""
        return self.config.kind

    def network(self, n_features: int, length: int) -> Module:
        """Return a fresh network."""
        import torch  # noqa: PLC0415 - PyTorch loads slowly
        from torch import nn  # noqa: PLC0415 - as above

        config, width = self.config, self.config.hidden

        class Attentive(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.embed = nn.Linear(n_features, width)
                self.places = nn.Parameter(0.02 * torch.randn(length, width))
                self.before = nn.LayerNorm(width)
                self.attend = nn.MultiheadAttention(
                    width, config.heads, config.dropout, batch_first=True
                )
                self.between = nn.LayerNorm(width)
                self.think = nn.Sequential(
                    nn.Linear(width, 2 * width),
                    nn.GELU(),
                    nn.Dropout(config.dropout),
                    nn.Linear(2 * width, width),
                )
                self.after = nn.LayerNorm(width)
                self.head = nn.Linear(width, len(Outcome))

            def forward(self, windows: Tensor) -> Tensor:
                state = self.embed(windows) + self.places
                known = self.before(state)
                seen, _ = self.attend(known[:, -1:], known, known, need_weights=False)
                last = state[:, -1] + seen[:, 0]
                last = last + self.think(self.between(last))
                scores: Tensor = self.head(self.after(last))
                return scores

        return Attentive()
