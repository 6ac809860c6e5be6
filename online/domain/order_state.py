"""The life of an order: its states, and the only ways from one to the next.

::

    INTENT → CHECKED → LOGGED → HANDED_OFF → SENDING ─┬→ ACCEPTED ⇄ FILLING ─┐
                          │          │          │     │     (it rests)       │
                          └──────────┴──────────┤     ├→ FILLED, PARTIAL, DONE, REJECTED,
                                                │     │  EXPIRED, CANCELLED  ←┘
                                     NOT_SENT ←─┘     └→ UNKNOWN → any of these, by proof

Each state is a class whose methods are its legal transitions and return the next state: one that
is not legal is no method, and the type checker refuses it. UNKNOWN is entered from SENDING alone
and left only by `Proof`. `online.domain.order_path` goes these ways at run time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Stage(StrEnum):
    """Name of a state."""

    INTENT = "intent"
    CHECKED = "checked"
    LOGGED = "logged"
    HANDED_OFF = "handed_off"
    SENDING = "sending"
    ACCEPTED = "accepted"
    FILLING = "filling"
    FILLED = "filled"
    PARTIAL = "partial"
    DONE = "done"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


class Proof(StrEnum):
    """What ends an unknown fate."""

    EVIDENCE = "evidence"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Filled:
    """Traded whole."""

    stage: ClassVar = Stage.FILLED


@dataclass(frozen=True, slots=True)
class Partial:
    """Traded in part; the rest is gone."""

    stage: ClassVar = Stage.PARTIAL


@dataclass(frozen=True, slots=True)
class Done:
    """Carried out without a trade: exits were changed, or a resting order was cancelled."""

    stage: ClassVar = Stage.DONE


@dataclass(frozen=True, slots=True)
class Rejected:
    """The trade server refused it."""

    stage: ClassVar = Stage.REJECTED


@dataclass(frozen=True, slots=True)
class Expired:
    """It rested until its time was out; nothing was traded."""

    stage: ClassVar = Stage.EXPIRED


@dataclass(frozen=True, slots=True)
class Cancelled:
    """It rested until it was taken back; nothing was traded."""

    stage: ClassVar = Stage.CANCELLED


@dataclass(frozen=True, slots=True)
class NotSent:
    """It never reached the trade server."""

    stage: ClassVar = Stage.NOT_SENT


@dataclass(frozen=True, slots=True)
class Filling:
    """It rests at the broker, filled in part."""

    stage: ClassVar = Stage.FILLING

    def fill(self) -> Filled:
        """Trade the rest."""
        return Filled()

    def end_in_part(self) -> Partial:
        """Lose the rest: it expired or was cancelled."""
        return Partial()


@dataclass(frozen=True, slots=True)
class Accepted:
    """It rests at the broker, nothing is filled."""

    stage: ClassVar = Stage.ACCEPTED

    def fill_some(self) -> Filling:
        """Trade a part and rest on."""
        return Filling()

    def fill(self) -> Filled:
        """Trade all of it."""
        return Filled()

    def end_in_part(self) -> Partial:
        """Trade a part and end."""
        return Partial()

    def cancel(self) -> Cancelled:
        """Be taken back."""
        return Cancelled()

    def expire(self) -> Expired:
        """Reach the end of its time."""
        return Expired()

    def reject(self) -> Rejected:
        """Be refused when its price was reached."""
        return Rejected()


@dataclass(frozen=True, slots=True)
class Proven:
    """What an unknown fate turned out to be is about to be told; no state by itself."""

    proof: Proof

    def accept(self) -> Accepted:
        """Be seen among the resting orders."""
        return Accepted()

    def fill_some(self) -> Filling:
        """Be seen among the resting orders, with deals."""
        return Filling()

    def fill(self) -> Filled:
        """Have its deals found."""
        return Filled()

    def end_in_part(self) -> Partial:
        """Have some deals found and nothing that rests."""
        return Partial()

    def finish(self) -> Done:
        """Be seen carried out."""
        return Done()

    def reject(self) -> Rejected:
        """Be found refused."""
        return Rejected()

    def expire(self) -> Expired:
        """Be found expired."""
        return Expired()

    def cancel(self) -> Cancelled:
        """Be found cancelled."""
        return Cancelled()

    def withdraw(self) -> NotSent:
        """Never have reached the trade server."""
        return NotSent()


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may live at the broker; only proof ends this."""

    stage: ClassVar = Stage.UNKNOWN

    def settle(self, proof: Proof) -> Proven:
        """Take the proof of what became of it."""
        return Proven(proof)


@dataclass(frozen=True, slots=True)
class Sending:
    """The terminal may have heard of it."""

    stage: ClassVar = Stage.SENDING

    def accept(self) -> Accepted:
        """Rest at the broker."""
        return Accepted()

    def fill_some(self) -> Filling:
        """Trade a part at once and rest on."""
        return Filling()

    def fill(self) -> Filled:
        """Trade all of it."""
        return Filled()

    def end_in_part(self) -> Partial:
        """Trade a part; the rest is gone."""
        return Partial()

    def finish(self) -> Done:
        """Be carried out without a trade."""
        return Done()

    def reject(self) -> Rejected:
        """Be refused by the trade server."""
        return Rejected()

    def withdraw(self) -> NotSent:
        """Be known not to have left the terminal."""
        return NotSent()

    def lose(self) -> Unknown:
        """Get no answer that says what became of it."""
        return Unknown()


@dataclass(frozen=True, slots=True)
class HandedOff:
    """It left the scorer."""

    stage: ClassVar = Stage.HANDED_OFF

    def begin_sending(self) -> Sending:
        """Be written down at the gateway, right before the terminal hears of it."""
        return Sending()

    def withdraw(self) -> NotSent:
        """Be refused by the gateway."""
        return NotSent()


@dataclass(frozen=True, slots=True)
class Logged:
    """It is durable in the journal."""

    stage: ClassVar = Stage.LOGGED

    def hand_off(self) -> HandedOff:
        """Leave the scorer."""
        return HandedOff()

    def withdraw(self) -> NotSent:
        """Stay here: there was no way to the gateway."""
        return NotSent()


@dataclass(frozen=True, slots=True)
class Checked:
    """No rule refused it."""

    stage: ClassVar = Stage.CHECKED

    def log(self) -> Logged:
        """Be made durable."""
        return Logged()


@dataclass(frozen=True, slots=True)
class Intended:
    """It is wanted."""

    stage: ClassVar = Stage.INTENT

    def check(self) -> Checked:
        """Pass the rules."""
        return Checked()


EndState = Filled | Partial | Done | Rejected | Expired | Cancelled | NotSent
State = Intended | Checked | Logged | HandedOff | Sending | Accepted | Filling | Unknown | EndState

ENDED = frozenset({s.stage for s in EndState.__args__})
"""Stages that nothing leaves."""
RESTING = frozenset({Stage.ACCEPTED, Stage.FILLING})
"""Stages of an order that waits at the broker."""
