"""A reply carries the terminal's calls to the journal, and is the same reply without them."""

from __future__ import annotations

import pytest

from online.domain.called_reply import CalledReply, apart, with_calls
from online.domain.order import OrderReply, OrderStatus
from online.domain.record import ResultRecord, decode_record, encode_record
from tests.terminal_calls import make_call, unanswered

pytestmark = pytest.mark.lean
REPLY = OrderReply(OrderStatus.FILLED, 10009, 4, 5, 4, 1.1, 0.1, "done")
FORMER = (
    b'{"type":"result","decision_id":"d","intent_id":"i","at_ns":1,"reply":{"status":"filled",'
    b'"retcode":10009,"order":4,"deal":5,"position":4,"price":1.1,"volume_lots":0.1,'
    b'"comment":"done"}}'
)


def test_calls_are_put_on_and_taken_off_and_leave_the_reply_as_it_was() -> None:
    carried = with_calls(REPLY, (make_call(),))
    assert isinstance(carried, CalledReply)
    assert carried.status is OrderStatus.FILLED
    alone, calls = apart(carried)
    assert (type(alone), alone, calls) == (OrderReply, REPLY, (make_call(),))
    assert apart(with_calls(carried, (unanswered("x"),)))[1] == (unanswered("x"),)
    assert with_calls(REPLY, ()) is REPLY
    assert with_calls(carried, ()) == REPLY
    assert apart(REPLY) == (REPLY, ())


def test_a_result_without_calls_has_the_bytes_that_earlier_versions_sealed() -> None:
    assert encode_record(ResultRecord("d", "i", 1, REPLY)) == FORMER
    read = decode_record(FORMER)
    assert isinstance(read, ResultRecord)
    assert read.calls == ()
    assert encode_record(read) == FORMER


def test_a_result_holds_its_calls_beside_the_reply_and_leaves_out_what_was_not_seen() -> None:
    record = ResultRecord("d", "i", 1, REPLY, (unanswered("the worker ended"),))
    raw = encode_record(record)
    assert raw.startswith(FORMER[:-1])
    assert b'"result":' not in raw
    assert b'"trouble":"the worker ended"' in raw
    assert decode_record(raw) == record
