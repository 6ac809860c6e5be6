"""Validators and the ensemble at work: what refuses a signal, by which name."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online.domain.conformal import ConformalRule, plausible
from online.domain.ensemble import speak
from online.domain.errors import InvalidManifest
from online.domain.manifest import Member, decode_manifest, encode_manifest
from online.domain.meta_label import AGREEMENT, CONFIDENCE, NEITHER, MetaRule, chance_to_earn
from online.domain.novelty import CUT, NoveltyRule, novelty
from online.domain.reasons import Reason
from online.domain.rules import RULE_FEATURES, candidate
from online.domain.signal import Calibration, Checks, MemberOutput, Probabilities, Signal
from online.domain.validators import Validators, measure, refusals
from online.domain.vector import VectorContract, ViewContract
from tests.fakes import LONG, SHORT, make_manifest

pytestmark = pytest.mark.lean
NOVELTY = NoveltyRule((50.0, 0.0, 0.001, 0.0), (10.0, 0.001, 0.0005, 0.5), 2.0)
USUAL, ODD = (55.0, 0.0005, 0.00125, 0.5), (500.0, 0.05, 0.00125, 0.5)
CONFORMAL = ConformalRule(0.2, 0.5)
RULED = VectorContract((ViewContract("all", 1, RULE_FEATURES, 60),))
META = MetaRule((CONFIDENCE,), (0.5,), (0.1,), (1.0,), 0.0, 0.5)
CONTRACT = make_manifest().vector


def judged(
    said: Probabilities, validators: Validators, values: tuple[float, ...] = USUAL
) -> set[Reason]:
    signal = Signal((), said)
    checks = measure(signal, values, CONTRACT, validators)
    checked = msgspec.structs.replace(signal, checks=checks)
    return {veto.reason for veto in refusals(checked, 0.1, validators)}


def test_a_vector_unlike_the_training_is_refused_whatever_the_signal_says() -> None:
    assert novelty(USUAL, NOVELTY) == pytest.approx(math.sqrt((0.25 + 0.25 + 0.25 + 1.0) / 4))
    rules = Validators(novelty=NOVELTY)
    assert judged(LONG, rules) == set()
    assert judged(LONG, rules, ODD) == {Reason.OUT_OF_DISTRIBUTION}
    assert judged((0.4, 0.2, 0.4), rules, ODD) == {Reason.OUT_OF_DISTRIBUTION}


def test_one_feature_alone_counts_no_further_than_the_cut() -> None:
    far = (1e9, 0.0, 0.001, 0.0)
    assert novelty(far, NOVELTY) == pytest.approx(CUT / 2)


def test_a_direction_that_is_not_the_only_plausible_outcome_abstains() -> None:
    rules = Validators(conformal=CONFORMAL)
    assert plausible(LONG, CONFORMAL) == (2,)
    assert judged(LONG, rules) == set()
    assert judged(SHORT, rules) == set()
    for said in ((0.2, 0.55, 0.25), (0.15, 0.5, 0.35), (0.5, 0.0, 0.5), (0.3, 0.25, 0.45)):
        wanted = set() if candidate(said[2] - said[0], 0.1) is None else {Reason.CONFORMAL_ABSTAINS}
        assert judged(said, rules) == wanted


def test_the_meta_label_refuses_what_is_not_likely_to_earn() -> None:
    rules = Validators(meta=META)
    assert judged((0.1, 0.2, 0.7), rules) == set()
    assert judged((0.3, 0.2, 0.5), rules) == {Reason.META_LABEL_REJECTS}
    assert judged((0.4, 0.2, 0.4), rules) == set()  # nothing would be traded


def test_a_feature_counts_as_leaning_with_the_trade_or_against_it() -> None:
    rule = MetaRule(("return_1",), (0.0,), (0.001,), (1.0,), 0.0, 0.5)
    up = (55.0, 0.001, 0.00125, 0.5)
    assert chance_to_earn(LONG, up, CONTRACT, rule) == pytest.approx(1 / (1 + math.exp(-1)))
    assert chance_to_earn(SHORT, up, CONTRACT, rule) == pytest.approx(1 / (1 + math.exp(1)))


def test_the_rules_agreement_is_turned_in_the_trades_direction() -> None:
    rule = MetaRule((AGREEMENT, NEITHER), (0.0, 0.2), (0.1, 1.0), (1.0, 0.0), 0.0, 0.5)
    rising = (0.5, 0.5, 60.0)
    with_it = chance_to_earn(LONG, rising, RULED, rule)
    assert with_it == pytest.approx(1.0 / (1.0 + math.exp(-2.0)))
    assert chance_to_earn(SHORT, rising, RULED, rule) == pytest.approx(1.0 - with_it)


@given(st.floats(-800, 800))
def test_a_chance_is_a_probability_however_great_the_odds(odds: float) -> None:
    rule = MetaRule((CONFIDENCE,), (0.0,), (1.0,), (0.0,), odds, 0.5)
    assert 0.0 <= chance_to_earn(LONG, USUAL, CONTRACT, rule) <= 1.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: NoveltyRule((1.0,), (0.0,), 1.0),
        lambda: NoveltyRule((1.0,), (1.0, 2.0), 1.0),
        lambda: NoveltyRule((math.nan,), (1.0,), 1.0),
        lambda: ConformalRule(0.0, 0.5),
        lambda: ConformalRule(0.1, math.nan),
        lambda: MetaRule((), (), (), (), 0.0, 0.5),
        lambda: MetaRule((CONFIDENCE,), (0.0,), (0.0,), (1.0,), 0.0, 0.5),
        lambda: MetaRule((CONFIDENCE,), (0.0,), (1.0,), (math.inf,), 0.0, 0.5),
        lambda: make_manifest(validators=Validators(novelty=NoveltyRule((1.0,), (1.0,), 1.0))),
        lambda: make_manifest(
            validators=Validators(meta=MetaRule((AGREEMENT,), (0.0,), (1.0,), (1.0,), 0.0, 0.5))
        ),
        lambda: make_manifest(
            validators=Validators(meta=MetaRule(("oracle",), (0.0,), (1.0,), (1.0,), 0.0, 0.5))
        ),
    ],
)
def test_parameters_that_cannot_be_are_refused(make: object) -> None:
    with pytest.raises(InvalidManifest):
        make()  # type: ignore[operator] # a lambda of the list above


def test_validators_travel_in_the_manifest_and_an_old_manifest_has_none() -> None:
    manifest = make_manifest(validators=Validators(NOVELTY, CONFORMAL, META), degrades=True)
    assert decode_manifest(encode_manifest(manifest)) == manifest
    plain = encode_manifest(make_manifest())
    assert b"validators" not in plain
    assert decode_manifest(plain).validators is None


def test_a_signal_without_validators_has_the_bytes_it_always_had() -> None:
    assert msgspec.json.encode(Signal((), LONG)) == b'{"members":[],"probabilities":[0.1,0.2,0.7]}'
    checked = Signal((), LONG, (), Checks(novelty=1.5, plausible=(2,)))
    assert msgspec.json.decode(msgspec.json.encode(checked), type=Signal) == checked


def make_member(name: str, weight: float) -> Member:
    return Member(name, "fake", f"{name}.onnx", "0" * 64, weight, Calibration())


MEMBERS = (make_member("a", 1.0), make_member("b", 3.0))
A, B = MemberOutput("a", LONG), MemberOutput("b", SHORT)
BROKEN = MemberOutput("b", (math.nan, 0.5, 0.5))


def test_a_whole_ensemble_speaks_by_its_weights() -> None:
    signal, vetoes = speak((A, B), make_manifest(MEMBERS))
    assert signal is not None
    assert signal.missing == ()
    assert vetoes == ()
    assert signal.probabilities == pytest.approx((0.55, 0.2, 0.25))


@pytest.mark.parametrize(
    ("said", "reason"),
    [((A,), Reason.MEMBER_MISSING), ((A, BROKEN), Reason.NON_FINITE_SCORE)],
)
def test_a_member_that_fails_refuses_or_is_named(
    said: tuple[MemberOutput, ...], reason: Reason
) -> None:
    signal, vetoes = speak(said, make_manifest(MEMBERS))
    assert signal is None
    assert [veto.reason for veto in vetoes] == [reason]
    assert "b" in vetoes[0].detail
    signal, vetoes = speak(said, make_manifest(MEMBERS, degrades=True))
    assert signal is not None
    assert vetoes == ()
    assert signal.missing == ("b",)
    assert signal.probabilities == pytest.approx(LONG)
    assert signal.members == (A,)


def test_an_ensemble_of_which_nothing_is_left_says_nothing() -> None:
    signal, vetoes = speak((BROKEN,), make_manifest(MEMBERS, degrades=True))
    assert signal is None
    assert [veto.reason for veto in vetoes] == [Reason.MEMBER_MISSING, Reason.NON_FINITE_SCORE]
