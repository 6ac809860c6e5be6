"""Trading sessions: the hours of the week in which orders are taken."""

from __future__ import annotations

import msgspec

from online.domain.errors import InvalidSettings
from online.domain.market import NANOSECONDS_PER_SECOND
from online.simulator.server_time import DAY_NS, day_of_week

_DAY_SECONDS = 86_400
_DAYS = 7


class Sessions(msgspec.Struct, frozen=True):
    """Opening hours by day of the server's week.

    Parameters
    ----------
    days
        Seven entries, Sunday first; each holds pairs of seconds after midnight, start included
        and end not.

    Examples
    --------
    >>> WEEKDAYS.open_at(0)  # 1970-01-01 was a Thursday
    True
    """

    days: tuple[tuple[tuple[int, int], ...], ...]

    def __post_init__(self) -> None:
        if len(self.days) != _DAYS:
            raise InvalidSettings(f"sessions need 7 days, Sunday first, got {len(self.days)}")
        for start, end in (span for day in self.days for span in day):
            if not 0 <= start < end <= _DAY_SECONDS:
                raise InvalidSettings(f"a session needs 0 <= start < end <= 86400: {start}, {end}")

    def open_at(self, server_ns: int) -> bool:
        """Tell whether orders are taken when the server's clock shows `server_ns`."""
        second = server_ns % DAY_NS // NANOSECONDS_PER_SECOND
        return any(start <= second < end for start, end in self.days[day_of_week(server_ns)])


WEEKDAYS = Sessions(((), *(((0, _DAY_SECONDS),),) * 5, ()))
"""Monday to Friday around the clock: currencies on a server whose midnight is New York's close."""
