"""The server's clock: wall time with daylight saving, told as if it were an epoch."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from online.domain.daylight import DaylightSaving, is_summer, summer_of, year_of
from online.domain.market import NANOSECONDS_PER_SECOND

HOUR_NS = 3_600 * NANOSECONDS_PER_SECOND
DAY_NS = 24 * HOUR_NS


class ServerTime(msgspec.Struct, frozen=True):
    """Offset of a trade server's clock from UTC.

    Parameters
    ----------
    offset_hours
        In winter.
    daylight_saving
        Adds an hour in summer: from the last Sunday of March to the last of October, 01:00 UTC
        (Europe); from the second of March, 07:00 UTC, to the first of November, 06:00 UTC
        (America: the switch of New York, whose close most brokers keep at midnight).

    Examples
    --------
    >>> ServerTime(2, DaylightSaving.AMERICA).offset_ns(1_751_328_000_000_000_000) // HOUR_NS
    3
    """

    offset_hours: int = 0
    daylight_saving: DaylightSaving = DaylightSaving.NONE

    def offset_ns(self, utc_ns: int) -> int:
        """Return what the server's clock is ahead of UTC, nanoseconds."""
        return (self.offset_hours + is_summer(utc_ns, self.daylight_saving)) * HOUR_NS

    def offsets_ns(self, utc_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return `offset_ns` of each instant, shape ``(n,)``."""
        offsets = np.full(len(utc_ns), self.offset_hours * HOUR_NS, np.int64)
        if self.daylight_saving is DaylightSaving.NONE or not len(utc_ns):
            return offsets
        for year in range(year_of(int(utc_ns.min())), year_of(int(utc_ns.max())) + 1):
            starts_ns, ends_ns = summer_of(year, self.daylight_saving)
            offsets[(starts_ns <= utc_ns) & (utc_ns < ends_ns)] += HOUR_NS
        return offsets

    def to_server_ns(self, utc_ns: int) -> int:
        """Return what the server's clock shows at an instant."""
        return utc_ns + self.offset_ns(utc_ns)

    def to_utc_ns(self, server_ns: int) -> int:
        """Return the first instant at which the server's clock shows `server_ns`, or later.

        The hour that the clock shows twice in autumn is taken as the first; the one that it
        skips in spring as the hour after.
        """
        winter_ns = self.offset_hours * HOUR_NS
        early_ns = server_ns - winter_ns - HOUR_NS
        late_ns = server_ns - winter_ns
        return early_ns if self.to_server_ns(early_ns) >= server_ns else late_ns

    def next_midnight_ns(self, utc_ns: int) -> int:
        """Return the instant after `utc_ns` at which the server's next day begins."""
        day = self.to_server_ns(utc_ns) // DAY_NS + 1
        return self.to_utc_ns(day * DAY_NS)


UTC = ServerTime()
NEW_YORK_CLOSE = ServerTime(2, DaylightSaving.AMERICA)
"""Its midnight is 17:00 in New York, when the currency market's day ends."""


def day_of_week(server_ns: int) -> int:
    """Return 0 for Sunday to 6 for Saturday, as MetaTrader counts."""
    return (server_ns // DAY_NS + 4) % 7  # 1970-01-01 was a Thursday
