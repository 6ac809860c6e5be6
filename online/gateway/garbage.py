"""Garbage in the gateway's processes: looked for rarely, and never in what stays until the end."""

from __future__ import annotations

import gc

_THRESHOLDS = (50_000, 20, 100)
"""Messages hold no cycles, so there is little to look for."""


def collect_rarely() -> None:
    """Collect now, and from here on so seldom that no order waits for a full pass."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
