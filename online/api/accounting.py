"""Whose account is traded, and of what money: asked before anything is sent."""

from __future__ import annotations

from online.domain.account import AccountIdentity
from online.domain.book import Book
from online.domain.errors import Unavailable
from online.domain.record import AccountRecord


class OtherAccount(Unavailable):
    """The broker trades another account than the journal is of."""

    code = "OTHER_ACCOUNT"
    remedy = "Connect the account that the message names, or set journal.path to a new file."


class RealAccount(OtherAccount):
    """Orders would spend real money, and only mode live may."""

    code = "REAL_ACCOUNT"
    remedy = "Log the terminal in to a demo account, or start the scorer in mode live."


def check_money(identity: AccountIdentity, mode: str) -> None:
    """Refuse an account of real money to every mode but live; live may rehearse on a demo.

    Raises
    ------
    RealAccount
        If the money is real and the mode is not live.
    """
    if identity.real and mode != "live":
        raise RealAccount(f"account {identity.name} holds real money and the mode is {mode!r}")


def judge_account(identity: AccountIdentity, book: Book, at_ns: int) -> AccountRecord | None:
    """Return what is to be journaled about the account; None where that was done before.

    A simulated account ends with its process. One that is begun on an old journal replaces the
    former: what was open there is closed in the book, so that no order waits for evidence for
    ever and no deal is taken for an old one.

    Raises
    ------
    OtherAccount
        If the journal is of an account that lives on, and it is another.
    """
    known, name = book.account, identity.name
    if identity.lasting:
        if known not in {"", name}:
            raise OtherAccount(f"the journal is of account {known}, the broker trades {name}")
        return None if known else AccountRecord(at_ns, name)
    if known not in {"", name}:
        raise OtherAccount(f"the journal is of account {known}, this one is {name}")
    used = len(book.orders) > 0 or book.last_deal > 0
    return AccountRecord(at_ns, name, new=used) if used or not known else None
