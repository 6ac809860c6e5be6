"""A crew on Dask: the trials of a search judged by the workers of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from models.tuning import Answer, Question, answer
from online.domain.errors import InvalidInput, Unavailable

_PATIENCE_SECONDS = 30


class DaskCrew:
    """Judges a batch of trials on a cluster.

    Parameters
    ----------
    client
        Connected to the scheduler.
    size
        Trials judged at once (> 0); part of the search, as its seed is.
    """

    def __init__(self, client: Any, size: int) -> None:  # noqa: ANN401 - distributed has no types
        self._client = client
        self.size = size

    def judge(self, questions: Sequence[Question]) -> list[tuple[Answer, ...]]:
        """Return the answer to each trial, in order.

        Raises
        ------
        Unavailable
            If the cluster is gone; what was told before stays in the search's file.
        """
        try:
            asked = [self._client.submit(answer, question, pure=False) for question in questions]
            return list(self._client.gather(asked))
        except OSError as error:
            raise Unavailable(f"the Dask cluster does not answer: {error}") from error


@contextmanager
def open_crew(scheduler: str | None, size: int) -> Iterator[DaskCrew | None]:
    """Connect to a scheduler for as long as the block lasts; without an address there is no crew.

    Raises
    ------
    Unavailable
        If nobody listens there.
    InvalidInput
        If the size is not above 0.
    """
    if scheduler is None:
        yield None
        return
    if size < 1:
        raise InvalidInput(f"a crew judges at least one trial at once, got {size}")
    from distributed import Client  # noqa: PLC0415 - seconds to import, and only a crew needs it

    try:
        client = Client(  # type: ignore[no-untyped-call] # no types published
            scheduler, timeout=_PATIENCE_SECONDS, set_as_default=False
        )
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"no Dask scheduler answers at {scheduler}: {error}",
            remedy="Start one with `dask scheduler`, or leave the address out.",
        ) from error
    with client:
        yield DaskCrew(client, size)
