"""Heartbeat: a run says from time to time that its process lives, for those on other hosts."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

logger = logging.getLogger(__name__)
ALIVE_TAG = "alive_at"
"""When its process was last known to live, seconds since 1970-01-01 UTC by its own clock."""
BEAT_SECONDS = 60.0
LOST_AFTER_SECONDS = 3600.0
"""How long a run is silent before it counts as given up: clocks differ, and outages end."""


def alive_now() -> dict[str, str]:
    """Return the tag that says that a process lives."""
    return {ALIVE_TAG: str(int(time.time()))}


def is_silent(tags: Mapping[str, str], now_s: float) -> bool:
    """Tell whether nothing was heard of a run for too long; one that never beat is never silent."""
    told = tags.get(ALIVE_TAG, "")
    return told.isdigit() and now_s - int(told) > LOST_AFTER_SECONDS


@contextmanager
def beating(tell: Callable[[], None], seconds: float = BEAT_SECONDS) -> Iterator[None]:
    """Call `tell` every so often, in a thread of its own; what it cannot tell is told later."""
    stopped = threading.Event()

    def beat() -> None:
        while not stopped.wait(seconds):
            try:
                tell()
            except Exception as error:  # noqa: BLE001 - an outage must not end the beating
                logger.info("that a run lives could not be told: %s", error)

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()
    try:
        yield
    finally:
        stopped.set()
