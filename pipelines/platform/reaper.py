"""The reaper: ends every process of a run when its supervisor is gone, even by SIGKILL.

Run as ``python -m pipelines.platform.reaper RUN_ID STATE_FILE``; its standard input is a pipe whose
other end only the supervisor holds, so end of file means that the supervisor has ended.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from pipelines.platform.processes import end, left_of
from pipelines.platform.state import read_state

PATIENCE_S = 5.0


def main(run_id: str, state_file: Path) -> None:
    """Wait for end of file on standard input, then end the run's processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdin.buffer.read()
    state = read_state(state_file)
    parts = state.parts if state is not None and state.run_id == run_id else ()
    while left := left_of(run_id, parts):
        end(left, PATIENCE_S)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
