from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from online.gateway.frames import FrameFault, FrameReader, FrameWriter
from online.gateway.messages import Beat, Find, Hello, Role, ToGateway
from tests.gateway_world import entry

pytestmark = pytest.mark.lean

LIMIT_BYTES = 4_096


def reader() -> FrameReader[ToGateway]:
    return FrameReader(ToGateway, LIMIT_BYTES)


@given(st.lists(st.integers(1, 40), max_size=40))
def test_messages_come_out_whole_however_the_bytes_are_cut(cuts: list[int]) -> None:
    said = [Hello(1, Role.SCORER), Find(1, entry(1)), Beat(), Find(2, entry(2))]
    writer, taker = FrameWriter(), reader()
    stream = b"".join(writer.pack(message) for message in said)
    heard: list[ToGateway] = []
    for cut in cuts:
        heard += taker.feed(stream[:cut])
        stream = stream[cut:]
    heard += taker.feed(stream)
    assert heard == said


def test_frame_that_comes_twice_is_named() -> None:
    frame = FrameWriter().pack(Beat())
    with pytest.raises(FrameFault) as fault:
        list(reader().feed(frame + frame))
    assert fault.value.code == "REPLAYED_FRAME"


def test_frame_that_is_missing_is_named() -> None:
    writer = FrameWriter()
    writer.pack(Beat())
    with pytest.raises(FrameFault) as fault:
        list(reader().feed(writer.pack(Beat())))
    assert fault.value.code == "MISSING_FRAME"


def test_oversized_frame_is_refused_before_its_bytes_come() -> None:
    with pytest.raises(FrameFault) as fault:
        list(reader().feed((LIMIT_BYTES + 1).to_bytes(4, "big")))
    assert fault.value.code == "OVERSIZED_FRAME"


@given(st.binary(min_size=1, max_size=200))
def test_noise_is_a_named_fault_or_a_wait_for_more(noise: bytes) -> None:
    body = len(noise).to_bytes(4, "big") + noise
    with pytest.raises(FrameFault) as fault:
        list(reader().feed(body))
    assert fault.value.code in {"MALFORMED_FRAME", "REPLAYED_FRAME", "MISSING_FRAME"}


def test_unknown_field_is_refused() -> None:
    with pytest.raises(FrameFault, match="unknown field"):
        list(reader().feed(FrameWriter().pack({"type": "beat", "urgent": True})))
