"""The training loop of the sequence families, in PyTorch, the same bits every time.

Standardisation, fitted on the training rows alone, is part of the network and thereby of its ONNX
graph: what serves takes windows as the store holds them.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.bars import Floats
from models.dataset import Features
from models.families.family import TrainingSet
from models.families.graph import INPUT, OUTPUT, finish_graph
from models.families.sequence import SequenceConfig
from models.labels import Outcome, Rows
from models.reliability import log_loss
from models.windows import Windows
from online.domain.errors import InvalidInput

OPSET = 17
_FAR = 8.0
"""Standard deviations at which a value is cut off."""
_SCORED_AT_ONCE = 1024
_GRADIENT_NORM = 1.0
MakeNetwork = Callable[[int, int], nn.Module]


class Standardised(nn.Module):
    """A network behind the standardisation of its inputs.

    Parameters
    ----------
    body
        Turns standardised windows into scores; its last layer is ``head``.
    mean, scale
        ``(x - mean) * scale`` is standardised, shape ``(n_features,)``.
    """

    def __init__(self, body: nn.Module, mean: Floats, scale: Floats) -> None:
        super().__init__()
        self.body = body
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))

    def scores(self, windows: Tensor) -> Tensor:
        """Return the scores of the outcomes, ``(n, 3)``."""
        standard = torch.clamp((windows - self.mean) * self.scale, -_FAR, _FAR)
        found: Tensor = self.body(standard)
        return found

    def forward(self, windows: Tensor) -> Tensor:
        """Return the probabilities of the outcomes, ``(n, 3)``."""
        return torch.softmax(self.scores(windows), dim=1)


@dataclass(frozen=True, slots=True)
class SequenceModel:
    """A fitted network.

    Parameters
    ----------
    network
        On the processor, in float32.
    shape
        Of a window, ``(length, n_features)``.
    """

    network: Standardised
    shape: tuple[int, int]

    def predict(self, features: Features) -> Floats:
        """Return PyTorch's probabilities, shape ``(n_rows, 3)``."""
        return _predict(self.network.eval(), torch.from_numpy(np.ascontiguousarray(features)))

    def gains(self) -> None:
        """Return None: a network does not share its gain out."""

    def to_onnx(self) -> bytes:
        """Return the network with its standardisation as one ONNX graph."""
        from onnx import load_from_string  # noqa: PLC0415 - only an export needs it

        buffer = BytesIO()
        axes = {INPUT: {0: "n"}, OUTPUT: {0: "n"}}
        with warnings.catch_warnings():
            # The exporter that traces is called old and warns of batches that vary in an LSTM's
            # state; it needs no further package and its files are compared on many rows.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                self.network.eval(),
                (torch.zeros(1, *self.shape),),
                buffer,  # type: ignore[arg-type] # the tracing exporter takes any stream
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=OPSET,
                dynamic_axes=axes,
                dynamo=False,
            )
        return finish_graph(load_from_string(buffer.getvalue()))


def fit_network(
    make: MakeNetwork, config: SequenceConfig, training: TrainingSet, windows: Windows, seed: int
) -> SequenceModel:
    """Choose the number of epochs on the inner fold, then fit all rows with it.

    Parameters
    ----------
    make
        Returns a fresh network of so many features and vectors.
    config
        How it is fitted.
    training, windows
        Rows, and their windows.
    seed
        Of every random choice.

    Raises
    ------
    InvalidInput
        With code ``NO_CUDA`` if a graphics card is asked for and there is none.
    """
    with _reproducible(config):
        epochs = _choose_epochs(make, config, training, windows, seed)
        everything = np.arange(len(training.classes), dtype=np.int64)
        fit = _Fit(make, config, training, windows, everything, seed)
        for _ in range(epochs):
            fit.run_epoch()
        return SequenceModel(fit.network.cpu(), (windows.length, len(windows.names)))


class _Fit:
    """A fit under way, an epoch at a time."""

    def __init__(
        self,
        make: MakeNetwork,
        config: SequenceConfig,
        training: TrainingSet,
        windows: Windows,
        rows: Rows,
        seed: int,
    ) -> None:
        torch.manual_seed(seed)
        self._random = np.random.default_rng(seed)
        self._config, self._rows = config, rows
        self._vectors = torch.from_numpy(windows.vectors).to(config.device)
        self._places = torch.from_numpy(windows.places(np.arange(len(windows)))).to(config.device)
        self._classes = torch.from_numpy(training.classes).to(config.device)
        weights = training.weights / training.weights[rows].mean()
        self._weights = torch.from_numpy(weights.astype(np.float32)).to(config.device)
        body = make(len(windows.names), windows.length)
        _start_at_shares(body, training, rows)
        mean, scale = _standard(windows.take(rows).last())
        self.network = Standardised(body, mean, scale).to(config.device)
        self._steps = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )

    def run_epoch(self) -> None:
        """Pass once over the rows, in a new order."""
        self.network.train()
        order = self._random.permutation(self._rows)
        for start in range(0, len(order), self._config.batch_rows):
            batch = torch.from_numpy(order[start : start + self._config.batch_rows])
            self._step(batch.to(self._config.device))

    def _step(self, batch: Tensor) -> None:
        scores = self.network.scores(self._vectors[self._places[batch]])
        losses = nn.functional.cross_entropy(scores, self._classes[batch], reduction="none")
        weights = self._weights[batch]
        loss = (losses * weights).sum() / weights.sum()
        self._steps.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call] # PyTorch's
        nn.utils.clip_grad_norm_(self.network.parameters(), _GRADIENT_NORM)
        self._steps.step()

    def predict(self, rows: Rows) -> Floats:
        """Return the probabilities of `rows`."""
        places = self._places[torch.from_numpy(rows).to(self._config.device)]
        found = [
            _predict(self.network.eval(), self._vectors[part])
            for part in torch.split(places, _SCORED_AT_ONCE)
        ]
        return np.concatenate(found)


def _choose_epochs(
    make: MakeNetwork, config: SequenceConfig, training: TrainingSet, windows: Windows, seed: int
) -> int:
    """Return the number of epochs after which the inner fold is told best, at least one."""
    fit = _Fit(make, config, training, windows, training.inner_fit, seed)
    valid, best, chosen = training.inner_valid, np.inf, 1
    for epoch in range(1, config.max_epochs + 1):
        fit.run_epoch()
        found = log_loss(fit.predict(valid), training.classes[valid])
        if found < best:
            best, chosen = found, epoch
        elif epoch - chosen >= config.patience:
            break
    return chosen


def _start_at_shares(body: nn.Module, training: TrainingSet, rows: Rows) -> None:
    """Let the network begin with what the rows' weighted class shares say."""
    counts = (
        np.bincount(training.classes[rows], training.weights[rows], minlength=len(Outcome)) + 1.0
    )
    head = body.get_submodule("head")
    if isinstance(head, nn.Linear):
        with torch.no_grad():
            head.bias.copy_(torch.tensor(np.log(counts / counts.sum()), dtype=torch.float32))


def _standard(values: npt.NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Return mean and inverse deviation of each column; a constant one is only centred."""
    exact = values.astype(np.float64)
    deviation = exact.std(axis=0)
    return exact.mean(axis=0), 1.0 / np.where(deviation > 0.0, deviation, 1.0)


def _predict(network: nn.Module, windows: Tensor) -> Floats:
    with torch.no_grad():
        parts = [network(part) for part in torch.split(windows, _SCORED_AT_ONCE)]
        return np.asarray(torch.cat(parts).double().cpu().numpy(), dtype=np.float64)


@contextmanager
def _reproducible(config: SequenceConfig) -> Iterator[None]:
    """Fix everything that could change a bit, and leave PyTorch as it was found."""
    if config.device == "cuda":
        # cuBLAS reads this when it starts; without it PyTorch refuses to promise the same sums.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        if not torch.cuda.is_available():
            raise InvalidInput(
                "device 'cuda' is asked for; PyTorch finds no graphics card",
                code="NO_CUDA",
                remedy="Install the extra `gpu` by infra/constraints-gpu.txt, or fit on the cpu.",
            )
    threads = torch.get_num_threads()
    strictness = torch.get_deterministic_debug_mode()
    with torch.random.fork_rng():
        torch.set_num_threads(config.n_threads)
        torch.set_deterministic_debug_mode("error")  # its sibling imports a compiler
        try:
            yield
        finally:
            torch.set_deterministic_debug_mode(strictness)
            torch.set_num_threads(threads)
