"""Panel: everything one symbol's features are computed from, its own bars and its peers'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from feature_repo.bars import BarArrays
from feature_repo.peers import Peers, peers_of
from online.domain.errors import InvalidInput
from online.domain.market import Timeframe


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Bars of one symbol and, where it is seen beside others, of every one of its peers.

    Parameters
    ----------
    symbol, timeframe
        Whose features.
    own
        Its bars.
    others
        Its peers' bars of the same timeframe, all of them; empty where it has no features across
        symbols.

    Raises
    ------
    InvalidInput
        With code ``PEERS_MISSING`` if there are others, but not those of ``peers.toml``.
    """

    symbol: str
    timeframe: Timeframe
    own: BarArrays
    others: Mapping[str, BarArrays] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wanted = () if self.peers is None else self.peers.others
        if self.others and set(self.others) != set(wanted):
            raise InvalidInput(
                f"{self.symbol} is seen beside {', '.join(wanted) or 'none'}, got bars of "
                f"{', '.join(sorted(self.others))}",
                code="PEERS_MISSING",
            )

    @property
    def peers(self) -> Peers | None:
        """Whom the symbol is seen beside."""
        return peers_of(self.symbol)

    @property
    def bars(self) -> dict[str, BarArrays]:
        """All bars by symbol."""
        return {self.symbol: self.own, **self.others}

    def part(self, start: int, end: int) -> Panel:
        """Return own bars `start` to `end` (exclusive) and the others' up to the last of them."""
        own = self.own.part(start, end)
        last_ns = int(own.closed_at_ns[-1]) if len(own) else -1
        others = {
            symbol: bars.part(0, int(np.searchsorted(bars.closed_at_ns, last_ns, "right")))
            for symbol, bars in self.others.items()
        }
        return Panel(self.symbol, self.timeframe, own, others)
