"""What the families that read windows share: settings, and fitting by PyTorch.

A family adds one file: its settings and the network that turns standardised windows into the
scores of the three outcomes. `models.families.loop` does the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from models.families.family import Exportable, TrainingSet
from online.domain.errors import InvalidInput
from online.domain.manifest import Reads

if TYPE_CHECKING:
    from torch.nn import Module

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class SequenceConfig:
    """Settings that every family of sequences has.

    Parameters
    ----------
    hidden
        Width of the network (> 0).
    dropout
        Share of what is left out at random in each step of the fit, in [0, 1).
    learning_rate, weight_decay
        Of AdamW.
    batch_rows
        Rows of one step (> 0).
    max_epochs
        Most passes over the rows; the inner fold chooses among them.
    patience
        Epochs without improvement after which the inner fit stops (> 0).
    n_threads
        Of the fit; more than one may change the order of sums and with it the bits.
    device
        ``cpu``, or ``cuda`` for a graphics card; the same settings give other bits on another.
    """

    hidden: int = 24
    dropout: float = 0.2
    learning_rate: float = 0.002
    weight_decay: float = 0.02
    batch_rows: int = 256
    max_epochs: int = 10
    patience: int = 2
    n_threads: int = 1
    device: Device = "cpu"


@dataclass(frozen=True, slots=True)
class SequenceFamily(ABC):
    """Fits a network on windows."""

    config: SequenceConfig
    reads: ClassVar[Reads] = "window"

    @property
    @abstractmethod
    def name(self) -> str:
        """The configuration's kind."""

    @abstractmethod
    def network(self, n_features: int, length: int) -> Module:
        """Return a fresh network.

        It turns standardised windows, float32 ``(n, length, n_features)``, into scores ``(n, 3)``
        of short, neither, long; its last layer is called ``head``.
        """

    def fit(self, training: TrainingSet, seed: int) -> Exportable:
        """Choose the number of epochs on the inner fold, then fit all rows with it.

        Raises
        ------
        InvalidInput
            With code ``NO_WINDOWS`` if the rows have none, ``NO_CUDA`` if that is asked for and
            not there.
        """
        from models.families.loop import fit_network  # noqa: PLC0415 - PyTorch loads slowly

        if training.windows is None:
            raise InvalidInput(
                f"{self.name} reads windows, the rows have none",
                code="NO_WINDOWS",
                remedy="Name a window in the recipe and store it with `sextant features`.",
            )
        return fit_network(self.network, self.config, training, training.windows, seed)
