"""The demonstration's verdict, equal and enough of it, and the times it reports."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from online.domain.errors import SextantError
from pipelines.demo import LEAST_ORDERS, check_parity
from pipelines.demo_report import _PARTS, _percentiles
from pipelines.parity import Parity
from pipelines.replay import Step


def result_of(orders: int, vetoed: int, live: str = "same") -> Any:  # noqa: ANN401 - two of many fields
    parity = Parity()
    for number in range(orders):
        parity.add("order", f"order {number}", live, "same")
    return SimpleNamespace(parity=parity, live=SimpleNamespace(vetoed=vetoed))


def test_enough_equal_orders_and_a_veto_pass() -> None:
    check_parity(result_of(LEAST_ORDERS, 1))


@pytest.mark.parametrize(
    ("orders", "vetoed", "live", "code"),
    [
        (LEAST_ORDERS, 1, "other", "PARITY_BROKEN"),
        (LEAST_ORDERS - 1, 1, "same", "PARITY_UNPROVEN"),
        (LEAST_ORDERS, 0, "same", "PARITY_UNPROVEN"),
        (0, 0, "same", "PARITY_UNPROVEN"),
    ],
)
def test_a_difference_or_too_little_evidence_fails(
    orders: int, vetoed: int, live: str, code: str
) -> None:
    with pytest.raises(SextantError) as refusal:
        check_parity(result_of(orders, vetoed, live))
    assert refusal.value.code == code


def test_every_part_of_a_replayed_bar_is_timed_by_itself() -> None:
    told: Any = SimpleNamespace(steps=[Step(n, {}, 0.001, 0.002, 0.003, 0.004) for n in range(3)])
    times = {part: _percentiles(told, part)["p50"] for part in _PARTS}
    assert times == {"features": 1.0, "push": 2.0, "market": 3.0, "trade": 4.0}
