"""The order of the files: every name in it is a file's, and tests of one file stay together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from tests.conftest import REPOSITORY
from tests.longest_first import LONGEST, order


@dataclass(frozen=True)
class Named:
    nodeid: str


def test_every_file_that_is_named_exists_once() -> None:
    assert [name for name in LONGEST if not (REPOSITORY / name).is_file()] == []
    assert len(set(LONGEST)) == len(LONGEST)


def test_the_longest_come_first_and_the_others_stay_as_they_are() -> None:
    names = ["tests/z.py::a", f"{LONGEST[1]}::b", "tests/a.py::c", f"{LONGEST[0]}::d[::]"]
    items = [Named(name) for name in (*names, f"{LONGEST[1]}::e")]
    order(cast("list[pytest.Item]", items))
    assert [item.nodeid[-1] for item in items] == ["]", "b", "e", "a", "c"]
