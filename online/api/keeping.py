"""Work that goes on as long as the scorer lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

AGAIN_SECONDS = 1.0
"""Between a fault of such work and its next beginning."""
logger = logging.getLogger(__name__)


async def keep_up(name: str, work: Callable[[], Awaitable[object]]) -> None:
    """Do what never ends, and begin it again after a fault that nobody foresaw.

    Parameters
    ----------
    name
        Of the work, for the log.
    work
        Ends by itself only where there is nothing to do.
    """
    while True:
        try:
            await work()
        except Exception:  # the edge of a task nobody awaits: it must not end unheard
            logger.exception("%s failed and begins again", name)
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            return
