"""A gateway as a process that ends itself at a named step of its next order.

Run as ``python -m tests.gateway_process SETTINGS [STEP]``; it says its port.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from online.domain.order import Intent, OrderReply
from online.gateway.inbox import Inbox, open_inbox
from online.gateway.serving import run_gateway, run_on_loop
from online.gateway.settings import load_gateway_settings

STEPS = ("", "before_sending", "after_sending", "before_result", "after_result")


class CrashingInbox(Inbox):
    """An inbox whose process dies around a write."""

    step = ""

    def accept(self, intents: Sequence[Intent], at_ns: int) -> None:
        """Write, and die before or after."""
        self._die("before_sending")
        super().accept(intents, at_ns)
        self._die("after_sending")

    def record(self, intent_id: str, reply: OrderReply, at_ns: int) -> None:
        """Write, and die before or after."""
        self._die("before_result")
        super().record(intent_id, reply, at_ns)
        self._die("after_result")

    def _die(self, step: str) -> None:
        if step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Serve until ended."""
    logging.basicConfig(level=logging.INFO)
    settings = load_gateway_settings(Path(sys.argv[1]))
    opened = open_inbox(settings.state / "inbox.db", settings.log_bytes)
    inbox = CrashingInbox(opened._connection)
    inbox.step = sys.argv[2] if len(sys.argv) > 2 else ""

    def listening(port: int) -> None:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()

    run_on_loop(run_gateway(settings, inbox, listening))


if __name__ == "__main__":
    main()
