"""Matching: a model reads values only while the store says that they are made as it learnt them."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Protocol

from online.domain.errors import FeaturesChanged, ModelRefused, Unavailable
from online.domain.manifest import Manifest
from online.domain.transform import Disagreement, Held, judge_transforms
from online.domain.vector import VectorContract, VectorReading

logger = logging.getLogger(__name__)
CHECK_EVERY_SECONDS = 10.0
"""Between two looks at how the store's values are made, so that readiness tells of a change."""
_MODELS = 2
"""Models that are known: the one that trades and the one that takes its place."""


class TransformStore(Protocol):
    """The online store, as it tells how its values are made."""

    async def read_told(self, symbol: str, contract: VectorContract) -> tuple[VectorReading, Held]:
        """Return values and, of the same instant, how they are made."""

    async def read_transforms(self, symbol: str, contract: VectorContract) -> Held:
        """Return digests of features by view; None where the store tells nothing."""

    async def ping(self) -> None:
        """Raise `Unavailable` if the store gives no sign of life."""


@dataclass(slots=True)
class _Expectation:
    """What a model was fitted on, and why the store does not hold it; None if it does."""

    manifest: Manifest
    held: Held | None = None
    trouble: Disagreement | None = field(init=False)

    def __post_init__(self) -> None:
        """Know nothing yet."""
        names = tuple(view.name for view in self.manifest.vector.views)
        self.trouble = Disagreement("the store was not asked yet", names)

    def judge(self, held: Held) -> Disagreement | None:
        """Return why the model must not read what a store tells so of; None if it may."""
        if held is not self.held:
            manifest = self.manifest
            self.trouble = judge_transforms(held, manifest.vector, manifest.transform_fingerprint)
            self.held = held
        return self.trouble


class MatchedFeatures:
    """A feature reader that gives a model nothing that is made otherwise than it learnt.

    Every reading is judged by what the store told of it at the same instant.

    Parameters
    ----------
    store
        Holds the values, and tells how they are made.
    """

    def __init__(self, store: TransformStore) -> None:
        self._store = store
        self._expected: list[_Expectation] = []

    async def admit(self, manifest: Manifest) -> None:
        """Ask the store about a model that is about to trade.

        A store that tells nothing yet, or does not answer, lets it in: its reads are refused until
        the store has told.

        Raises
        ------
        ModelRefused
            With code ``FEATURES_CHANGED`` if the store tells that its values are made otherwise.
        """
        asked = _Expectation(manifest)
        try:
            await self._ask(asked)
        except Unavailable as error:
            logger.warning("how features are made is not known yet: %s", error)
        if asked.trouble is not None and not asked.trouble.untold:
            raise ModelRefused(
                f"{manifest.name} cannot be served: {asked.trouble.detail}",
                code=FeaturesChanged.code,
                remedy=FeaturesChanged.remedy,
            )
        self._remember(asked)

    def expect(self, manifest: Manifest) -> None:
        """Take a model whatever the store tells; its reads are refused until they fit it."""
        self._remember(_Expectation(manifest))

    async def read(self, symbol: str, contract: VectorContract) -> VectorReading:
        """Return what the store holds.

        Raises
        ------
        FeaturesChanged
            If the store does not tell that its values are made as the model's were.
        Unavailable
            If it does not answer.
        """
        asked = self._find(contract)
        reading, held = await self._store.read_told(symbol, contract)
        trouble = asked.judge(held)
        if trouble is None:
            return reading
        if not trouble.untold or any(v in trouble.untold for v in _written(reading, contract)):
            raise FeaturesChanged(trouble.detail)
        return reading  # what is untold was never written: the vector is torn, and vetoed for that

    async def ping(self) -> None:
        """Ask the store for a sign of life.

        Raises
        ------
        Unavailable
            If it gives none; `FeaturesChanged` if the model that trades cannot read what it holds.
        """
        await self._store.ping()
        trouble = self._expected[-1].trouble if self._expected else None
        if trouble is not None and not trouble.untold:
            raise FeaturesChanged(trouble.detail)

    async def keep(self, seconds: float = CHECK_EVERY_SECONDS) -> None:
        """Look for ever whether the store's values are still made as the models' were."""
        while True:
            await asyncio.sleep(seconds)
            await self.look()

    async def look(self) -> None:
        """Ask once about every model; a store that does not answer is no other formula."""
        for asked in self._expected:
            known = asked.trouble
            try:
                await self._ask(asked)
            except Unavailable:  # its reads fail too
                continue
            if asked.trouble is not None and asked.trouble != known:
                logger.warning("%s reads nothing: %s", asked.manifest.name, asked.trouble.detail)

    async def _ask(self, asked: _Expectation) -> None:
        manifest = asked.manifest
        asked.judge(await self._store.read_transforms(manifest.symbol, manifest.vector))

    def _find(self, contract: VectorContract) -> _Expectation:
        for asked in reversed(self._expected):
            if asked.manifest.vector is contract:
                return asked
        raise FeaturesChanged("the vector belongs to no model that was loaded")

    def _remember(self, asked: _Expectation) -> None:
        self._expected = [*self._expected, asked][-_MODELS:]


def _written(reading: VectorReading, contract: VectorContract) -> list[str]:
    """Return the views that hold anything."""
    views = [view.name for view in contract.views]
    stamps = [*reading.stamps_ns]
    if contract.window is not None:
        views.append(contract.window.view)
        stamps.append(reading.window_stamp_ns)
    return [view for view, stamp_ns in zip(views, stamps, strict=True) if stamp_ns is not None]
