"""What `sextant follow` tells of a decision."""

from __future__ import annotations

from pipelines.commands.following import tell_decision


def test_a_decision_is_told_with_its_id_and_what_spoke_against_it_once_each() -> None:
    closed = {"reason": "SESSION_CLOSED", "detail": ""}
    wide = {"reason": "SPREAD_TOO_WIDE", "detail": ""}
    held = {"action": "hold", "decision_id": "EURUSD-M1-1", "reasons": [closed], "vetoes": []}
    assert tell_decision(held) == "hold (SESSION_CLOSED): EURUSD-M1-1"
    refused = {**held, "reasons": [closed], "vetoes": [wide, closed]}
    assert tell_decision(refused) == "hold (SESSION_CLOSED, SPREAD_TOO_WIDE): EURUSD-M1-1"
    entered = {"action": "buy", "decision_id": "EURUSD-M1-2", "reasons": [], "vetoes": []}
    assert tell_decision(entered) == "buy: EURUSD-M1-2"


def test_an_answer_without_an_id_is_told_all_the_same() -> None:
    assert tell_decision({}) == "decided: no id"
