"""Whatever a terminal says of an order can be written down, read back, and is bounded."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online.domain.order import OrderReply, OrderStatus
from online.domain.record import ResultRecord, decode_record, encode_record
from online.domain.terminal_call import (
    FIELDS_LIMIT,
    TEXT_LIMIT,
    ServerStamp,
    TerminalCall,
    cut,
    keep_fields,
    without_answer,
)

pytestmark = pytest.mark.lean
REPLY = OrderReply(OrderStatus.UNKNOWN, 0, 0, 0, 0, 0.0, 0.0, "")
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=3 * TEXT_LIMIT)
ANYTHING = st.one_of(
    st.integers(),
    st.floats(),
    ANY_TEXT,
    st.none(),
    st.booleans(),
    st.binary(max_size=200),
    st.lists(st.integers(), max_size=40),
)
STAMPS = st.integers(0, 1 << 62)
FIELDS = st.dictionaries(ANY_TEXT, ANYTHING, max_size=FIELDS_LIMIT + 5)
CALLS = st.builds(
    TerminalCall,
    function=st.just("order_send"),
    request=FIELDS.map(keep_fields),
    called_at_ns=STAMPS,
    returned_at_ns=st.none() | STAMPS,
    result=st.none() | FIELDS.map(keep_fields),
    echo=st.none() | FIELDS.map(keep_fields),
    last_error=st.none() | st.tuples(st.integers(-10_100, 1), st.text(max_size=40)),
    server_before=st.none() | st.builds(ServerStamp, STAMPS, STAMPS),
    server_after=st.none() | st.builds(ServerStamp, STAMPS, STAMPS),
    trouble=st.text(max_size=40),
)


@given(FIELDS)
def test_what_a_terminal_says_is_kept_whole_or_told_in_words_of_a_bounded_length(
    given_fields: dict[str, object],
) -> None:
    kept = keep_fields(given_fields)
    assert len(kept) <= FIELDS_LIMIT + 1
    for name, value in kept.items():
        assert len(name) <= TEXT_LIMIT
        assert not isinstance(value, str) or len(value) <= TEXT_LIMIT
        before = given_fields.get(name, value)
        if type(before) is type(value) and not isinstance(value, str):
            assert before == value


@given(st.lists(CALLS, max_size=3).map(tuple))
def test_calls_come_back_from_journal_and_wire_as_they_went(
    calls: tuple[TerminalCall, ...],
) -> None:
    record = ResultRecord("d", "i", 1, REPLY, calls)
    raw = encode_record(record)
    assert decode_record(raw) == record
    assert encode_record(decode_record(raw)) == raw
    packed = msgspec.msgpack.encode(calls)
    assert msgspec.msgpack.decode(packed, type=tuple[TerminalCall, ...]) == calls


@given(ANY_TEXT, st.integers(1, TEXT_LIMIT))
def test_a_text_that_is_cut_says_so_and_can_be_encoded(text: str, limit: int) -> None:
    told = cut(text, limit)
    told.encode()
    assert len(told) <= limit
    assert told == text or told.endswith("…") or not text.isascii()


def test_an_answer_is_never_taken_from_a_call_that_returned() -> None:
    returned = TerminalCall("order_send", {}, 1, 2, {"retcode": 10009})
    open_call = TerminalCall("order_send", {}, 1)
    assert without_answer(returned, "killed") is returned
    told = without_answer(open_call, "killed")
    assert (told.trouble, told.result, told.returned_at_ns) == ("killed", None, None)
    assert without_answer(told, "another word") is told
