"""The certificate: what it proves, for which bundle, and that nothing of it can be changed."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online.domain.bundle import bundle_digest
from online.domain.certificate import (
    APPROVAL_FILE,
    CERTIFICATE_FILE,
    GateLine,
    Policy,
    Trust,
    best_policy,
    needed_policy,
    permit,
    seal,
)
from online.domain.errors import ModelRefused
from tests.certificates import APPROVER, BAD, GOOD, NAME, POOR, RICH, Signers, make_certificate

pytestmark = pytest.mark.lean
DIGEST, OTHER = "a" * 64, "b" * 64
SIGNERS = Signers()
TRUST = SIGNERS.trust
APPROVED = SIGNERS.certify(DIGEST, GOOD, RICH, approved=True)


def refusal(files: dict[str, bytes], policy: Policy, trust: Trust = TRUST) -> str:
    with pytest.raises(ModelRefused) as caught:
        permit(files, NAME, DIGEST, policy, trust)
    assert caught.value.remedy
    return caught.value.code


def test_a_certified_bundle_may_serve_on_paper_and_an_approved_one_live() -> None:
    proofs = SIGNERS.certify(DIGEST, GOOD, POOR)
    assert permit(proofs, NAME, DIGEST, Policy.PAPER, TRUST).policy is Policy.PAPER
    approval = permit(APPROVED, NAME, DIGEST, Policy.LIVE, TRUST)
    assert (approval.policy, approval.approver) == (Policy.LIVE, APPROVER)
    assert permit(APPROVED, NAME, DIGEST, Policy.PAPER, TRUST).approver == ""


def test_passing_the_gates_of_live_is_not_enough_without_a_person() -> None:
    assert refusal(SIGNERS.certify(DIGEST, GOOD, RICH), Policy.LIVE) == "NOT_APPROVED"


def test_a_person_cannot_approve_what_fails_a_gate() -> None:
    assert refusal(SIGNERS.certify(DIGEST, GOOD, POOR, approved=True), Policy.LIVE) == (
        "GATES_FAILED"
    )
    assert refusal(SIGNERS.certify(DIGEST, BAD, RICH), Policy.PAPER) == "GATES_FAILED"


def test_a_person_cannot_change_the_gates() -> None:
    files = SIGNERS.certify(DIGEST, GOOD, RICH)
    better = make_certificate(DIGEST, GOOD, RICH, RICH, approver=APPROVER)
    files[APPROVAL_FILE] = seal(better, SIGNERS.person.sign)
    assert refusal(files, Policy.LIVE) == "CERTIFICATE_OF_ANOTHER"


def test_a_certificate_of_another_bundle_or_model_proves_nothing() -> None:
    assert refusal(SIGNERS.certify(OTHER, GOOD), Policy.PAPER) == "CERTIFICATE_OF_ANOTHER"
    other = SIGNERS.certify(DIGEST, GOOD, model="GBPUSD.H1.barrier")
    assert refusal(other, Policy.PAPER) == "CERTIFICATE_OF_ANOTHER"
    mixed = {
        **APPROVED,
        APPROVAL_FILE: SIGNERS.certify(OTHER, GOOD, RICH, approved=True)[APPROVAL_FILE],
    }
    assert refusal(mixed, Policy.LIVE) == "CERTIFICATE_OF_ANOTHER"


def test_a_bundle_without_a_certificate_is_refused() -> None:
    assert refusal({}, Policy.PAPER) == "CERTIFICATE_MISSING"


def test_only_trusted_keys_count_and_each_for_its_own_purpose() -> None:
    stranger = Signers().certify(DIGEST, GOOD, RICH, approved=True)
    assert refusal(stranger, Policy.PAPER) == "CERTIFICATE_INVALID"
    assert refusal({**APPROVED, APPROVAL_FILE: stranger[APPROVAL_FILE]}, Policy.LIVE) == (
        "CERTIFICATE_INVALID"
    )
    nobody = Trust(TRUST.gates, {})
    assert refusal(APPROVED, Policy.LIVE, nobody) == "NOT_APPROVED"
    swapped = Trust((TRUST.approvers[APPROVER],), {APPROVER: TRUST.gates[0]})
    assert refusal(APPROVED, Policy.LIVE, swapped) == "CERTIFICATE_INVALID"
    gates_alone = {CERTIFICATE_FILE: APPROVED[APPROVAL_FILE]}
    assert refusal(gates_alone, Policy.PAPER) == "CERTIFICATE_INVALID"


@given(st.sampled_from(sorted(APPROVED)), st.data())
def test_any_changed_byte_is_refused(file: str, data: st.DataObject) -> None:
    raw = bytearray(APPROVED[file])
    place = data.draw(st.integers(0, len(raw) - 1))
    changed = data.draw(st.integers(0, 255).filter(lambda byte: byte != raw[place]))
    raw[place] = changed
    files = {**APPROVED, file: bytes(raw)}
    try:
        found = permit(files, NAME, DIGEST, Policy.LIVE, TRUST)
    except ModelRefused:
        return
    # Hexadecimal has two spellings of a letter, and JSON many of a blank: the message is the same.
    assert found == permit(APPROVED, NAME, DIGEST, Policy.LIVE, TRUST)


@given(st.integers(0, 400))
def test_a_certificate_that_is_cut_short_is_refused(length: int) -> None:
    cut = APPROVED[CERTIFICATE_FILE][:length]
    assert refusal({**APPROVED, CERTIFICATE_FILE: cut}, Policy.PAPER) == "CERTIFICATE_INVALID"


def test_a_verdict_that_its_figures_do_not_bear_out_does_not_hold() -> None:
    praised = msgspec.structs.replace(BAD, passed=True)
    doubted = msgspec.structs.replace(GOOD, passed=False)
    unknown = GateLine("calibrated", Policy.PAPER, None, "<=", 0.05, passed=True)
    for line in (praised, doubted, unknown):
        assert best_policy((line,)) is None
    assert best_policy(()) is None
    assert best_policy((RICH,)) is None
    assert best_policy((GOOD,)) is Policy.PAPER
    assert best_policy((GOOD, RICH)) is Policy.LIVE


def test_another_layout_is_refused() -> None:
    later = msgspec.structs.replace(make_certificate(DIGEST, GOOD), schema=2)
    files = {CERTIFICATE_FILE: seal(later, SIGNERS.gates.sign)}
    assert refusal(files, Policy.PAPER) == "CERTIFICATE_INVALID"


def test_a_champion_asks_for_live_and_everything_else_for_paper() -> None:
    assert needed_policy("champion") is Policy.LIVE
    assert {needed_policy(alias) for alias in ("paper", "challenger", "x")} == {Policy.PAPER}


def test_certificates_are_no_part_of_the_digest_they_name() -> None:
    own = {"manifest.json": "00"}
    assert bundle_digest({**own, CERTIFICATE_FILE: "11", APPROVAL_FILE: "22"}) == (
        bundle_digest(own)
    )
    assert bundle_digest({**own, "other.json": "11"}) != bundle_digest(own)
