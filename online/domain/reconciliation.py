"""Reconciliation: the journal's word and the broker's, compared; pure.

A finding names one thing on which they differ. Whose trade it is, is told by its magic number and,
where the server lost that, by its position: both are the journal's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from enum import StrEnum

import msgspec

from online.domain.account import Account, Deal, Position, RestingOrder
from online.domain.holdings import SAME_VOLUME, Holdings
from online.domain.market import NANOSECONDS_PER_SECOND
from online.domain.order import Intent

BALANCE_TOLERANCE = 0.01
"""Account currency; what rounding of deals may add up to."""
_BY_HAND = "client"
_DISORDER_NS = 86_400 * NANOSECONDS_PER_SECOND
"""How much older than those before it a journaled deal may be: they lag."""


class Statement(msgspec.Struct, frozen=True, gc=False):
    """Everything the broker tells of the account at one instant.

    Parameters
    ----------
    deals
        Fills since the instant asked for, by ticket.
    money_total
        Sum of profit, swap, commission and fee over all deals of the account's history, deposits
        and withdrawals included; the balance by its own account.
    """

    account: Account
    positions: tuple[Position, ...]
    orders: tuple[RestingOrder, ...]
    deals: tuple[Deal, ...]
    money_total: float


class FindingKind(StrEnum):
    """On what journal and broker differ."""

    FOREIGN_POSITION = "FOREIGN_POSITION"
    FOREIGN_ORDER = "FOREIGN_ORDER"
    FOREIGN_DEAL = "FOREIGN_DEAL"
    MISSING_POSITION = "MISSING_POSITION"
    MISSING_ORDER = "MISSING_ORDER"
    VOLUME_DIFFERS = "VOLUME_DIFFERS"
    SIDE_DIFFERS = "SIDE_DIFFERS"
    FATE_DIFFERS = "FATE_DIFFERS"
    MISSING_DEAL = "MISSING_DEAL"
    DEAL_DIFFERS = "DEAL_DIFFERS"
    BALANCE_DIFFERS = "BALANCE_DIFFERS"
    UNRESOLVED_ORDER = "UNRESOLVED_ORDER"
    OVERDUE = "OVERDUE"


MEANING: dict[FindingKind, str] = {
    FindingKind.FOREIGN_POSITION: "The account holds a position that this journal did not open.",
    FindingKind.FOREIGN_ORDER: "An order rests at the broker that this journal did not place.",
    FindingKind.FOREIGN_DEAL: "A person or another program traded on the account.",
    FindingKind.MISSING_POSITION: "A position of the journal is not at the broker.",
    FindingKind.MISSING_ORDER: "A resting order of the journal is not at the broker, nor its end.",
    FindingKind.VOLUME_DIFFERS: "A position has another volume than its journaled deals give.",
    FindingKind.SIDE_DIFFERS: "A position is on the other side than its journaled deals give.",
    FindingKind.FATE_DIFFERS: "An order that opened nothing, by its reply, holds a position.",
    FindingKind.MISSING_DEAL: "A journaled deal is not in the broker's history.",
    FindingKind.DEAL_DIFFERS: "A journaled deal is another one in the broker's history.",
    FindingKind.BALANCE_DIFFERS: "The balance is not the sum of the account's deals.",
    FindingKind.UNRESOLVED_ORDER: "The fate of an order is unknown; its symbol is blocked.",
    FindingKind.OVERDUE: "The account could not be compared for too long.",
}
FOREIGN = frozenset(
    {FindingKind.FOREIGN_POSITION, FindingKind.FOREIGN_ORDER, FindingKind.FOREIGN_DEAL}
)
"""Somebody else trades: no lag of the broker's explains it."""
POSITION_KINDS = frozenset(
    {
        FindingKind.FOREIGN_POSITION,
        FindingKind.FOREIGN_ORDER,
        FindingKind.MISSING_POSITION,
        FindingKind.MISSING_ORDER,
        FindingKind.VOLUME_DIFFERS,
        FindingKind.SIDE_DIFFERS,
        FindingKind.FATE_DIFFERS,
    }
)
"""What a look at open positions and resting orders can find."""
PASSING = frozenset(
    {FindingKind.BALANCE_DIFFERS, FindingKind.UNRESOLVED_ORDER, FindingKind.OVERDUE}
)
"""Ends by itself; it never halts trading for good."""


class Finding(msgspec.Struct, frozen=True, gc=False):
    """One difference; the same difference gives the same finding.

    Parameters
    ----------
    subject
        Ticket or intent id it is about.
    detail
        Both sides' words.
    """

    kind: FindingKind
    subject: str
    detail: str

    @property
    def blocks(self) -> bool:
        """True if nothing may be entered while it stands."""
        return self.kind is not FindingKind.UNRESOLVED_ORDER

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.kind} {self.subject}: {self.detail}"


class Known(msgspec.Struct, frozen=True):
    """What the journal knows, for one comparison.

    Parameters
    ----------
    holdings
        Deals and open volumes.
    magics
        Of every entry this journal sent.
    pending
        Orders whose fate is not known.
    began_at_ns
        When the journal began; what was traded before is not its business.
    resting
        The broker's tickets of orders that wait for their price.
    """

    holdings: Holdings
    magics: AbstractSet[int]
    pending: tuple[Intent, ...]
    began_at_ns: int
    resting: tuple[int, ...] = ()


def compare_positions(
    known: Known, positions: Iterable[Position], orders: Iterable[RestingOrder] = ()
) -> tuple[Finding, ...]:
    """Return where open positions and resting orders differ from what the journal tells."""
    holdings = known.holdings
    told = {position.number: position for position in positions}
    doubtful = {intent.magic for intent in known.pending} if known.pending else set()
    busy = {intent.symbol for intent in known.pending} if known.pending else set()
    waiting = tuple(orders)
    findings = [_foreign_order(order) for order in waiting if order.magic not in known.magics]
    seen = {order.ticket for order in waiting} if known.resting else set()
    findings += (
        Finding(FindingKind.MISSING_ORDER, str(ticket), "journal: it rests; broker: nothing")
        for ticket in known.resting
        if ticket not in seen
    )
    for number, position in told.items():
        if position.magic not in known.magics:
            if position.magic or position.symbol not in busy:  # else its magic may be lost
                findings.append(_foreign_position(position))
        elif position.magic not in doubtful:
            expected = holdings.lots.get(number)
            if expected is not None:
                findings += _differences(position, expected)
            elif position.magic in holdings.refused:
                detail = f"{_held(position)} is open, its order was answered as not filled"
                findings.append(Finding(FindingKind.FATE_DIFFERS, str(number), detail))
    findings += (
        Finding(
            FindingKind.MISSING_POSITION,
            str(number),
            f"journal {lots:+.8g} lots of {holdings.symbols[number]}, broker nothing",
        )
        for number, lots in holdings.lots.items()
        if number not in told
        and number not in holdings.closing
        and holdings.symbols[number] not in busy
    )
    return tuple(findings)


def compare_statement(known: Known, statement: Statement, since_ns: int) -> tuple[Finding, ...]:
    """Return every difference between the journal and a broker's whole statement.

    Parameters
    ----------
    since_ns
        The instant that the statement's deals were asked from; older ones are not missed.
    """
    findings = list(compare_positions(known, statement.positions, statement.orders))
    findings += _compare_deals(known, statement.deals, since_ns)
    balance, total = statement.account.balance, statement.money_total
    if not abs(balance - total) <= BALANCE_TOLERANCE:
        detail = f"balance {balance:.2f}, sum of deals {total:.2f}"
        findings.append(Finding(FindingKind.BALANCE_DIFFERS, "balance", detail))
    findings += (
        Finding(FindingKind.UNRESOLVED_ORDER, intent.intent_id, "no evidence of its fate yet")
        for intent in known.pending
    )
    return tuple(findings)


def unjournaled(known: Known, deals: Iterable[Deal]) -> tuple[Deal, ...]:
    """Return our own fills that the journal does not hold: they came later than newer ones."""
    held = known.holdings.deals
    return tuple(deal for deal in deals if deal.ticket not in held and is_ours(known, deal))


def is_ours(known: Known, deal: Deal) -> bool:
    """Tell whether a fill is of an order of the journal's, or ends one of its positions."""
    return deal.magic in known.magics and deal.reason != _BY_HAND


def _compare_deals(known: Known, deals: tuple[Deal, ...], since_ns: int) -> Iterator[Finding]:
    held, magics = known.holdings.deals, known.magics
    told = set()
    for deal in deals:
        told.add(deal.ticket)
        ours = held.get(deal.ticket)
        if deal.magic in magics and deal.reason != _BY_HAND:
            if ours is not None and _is_another(ours, deal):
                detail = f"journal {_words(ours)}, broker {_words(deal)}"
                yield Finding(FindingKind.DEAL_DIFFERS, str(deal.ticket), detail)
        elif deal.at_ns >= known.began_at_ns:
            detail = f"{_words(deal)}, magic {deal.magic}, reason {deal.reason}"
            yield Finding(FindingKind.FOREIGN_DEAL, str(deal.ticket), detail)
    for ticket, deal in reversed(held.items()):
        if deal.at_ns < since_ns - _DISORDER_NS:
            break
        if ticket not in told and deal.at_ns >= since_ns:
            detail = f"journal {_words(deal)}, broker nothing"
            yield Finding(FindingKind.MISSING_DEAL, str(ticket), detail)
    for ticket, at_ns in known.holdings.replied_at_ns.items():
        if ticket not in told and at_ns >= since_ns:
            detail = "a reply names it, broker nothing"
            yield Finding(FindingKind.MISSING_DEAL, str(ticket), detail)


def _differences(position: Position, expected: float) -> Iterator[Finding]:
    signed = position.side.sign * position.volume_lots
    if abs(signed - expected) < SAME_VOLUME:
        return
    turned = signed * expected < 0.0
    kind = FindingKind.SIDE_DIFFERS if turned else FindingKind.VOLUME_DIFFERS
    detail = f"journal {expected:+.8g} lots of {position.symbol}, broker {signed:+.8g}"
    yield Finding(kind, str(position.number), detail)


def _foreign_position(position: Position) -> Finding:
    detail = f"{_held(position)}, magic {position.magic}"
    return Finding(FindingKind.FOREIGN_POSITION, str(position.number), detail)


def _foreign_order(order: RestingOrder) -> Finding:
    what = f"{order.side} {order.volume_lots} {order.symbol} at {order.price}"
    return Finding(FindingKind.FOREIGN_ORDER, str(order.ticket), f"{what}, magic {order.magic}")


def _is_another(one: Deal, other: Deal) -> bool:
    return (
        one.position != other.position
        or one.side is not other.side
        or one.symbol != other.symbol
        or abs(one.volume_lots - other.volume_lots) >= SAME_VOLUME
        or one.price != other.price
    )


def _held(position: Position) -> str:
    return f"{position.side} {position.volume_lots} {position.symbol}"


def _words(deal: Deal) -> str:
    return f"{deal.side} {deal.volume_lots} {deal.symbol} at {deal.price}"
