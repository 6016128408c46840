"""What was asked before the end is answered before the end, however the bytes were cut."""

from __future__ import annotations

import pytest

from hubbub.core.frames import Opcode, encode_frame
from support.hub_pair import HubPair

ENDS = {
    1000: encode_frame(Opcode.CLOSE, b"\x03\xe8", key=bytes(4)),
    1002: encode_frame(Opcode.PING, b"", final=False, key=bytes(4)),
    1007: encode_frame(Opcode.TEXT, b"\xff", key=bytes(4)),
}
"""By close code, what earns it."""


@pytest.mark.parametrize("code", ENDS)
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
def test_requests_before_the_end_are_answered_before_it(cut: bool, code: int) -> None:
    """A request and the end that arrive in two reads of one turn give what one read gives."""
    pair = HubPair()
    peer = pair.named("ann")
    request = b'{"action":"publish","topic":"a","message":1,"id":7}'
    asked = encode_frame(Opcode.TEXT, request, key=bytes(4))
    for data in (asked, ENDS[code]) if cut else (asked + ENDS[code],):
        peer.session.receive_data(data, pair.now)
    pair.settle()
    assert peer.answer(7)["type"] == "published"
    assert peer.code == code


def test_answers_that_cannot_leave_wait_in_front_of_the_close_frame() -> None:
    """Where the peer does not read, its answers leave later, and still before the Close frame."""
    pair = HubPair()
    peer = pair.named("ann")
    peer.stall()
    peer.send(action="ping", id=1)
    peer.session.receive_data(ENDS[1002], pair.now)
    pair.settle()
    pair.advance(1.0)
    peer.read_on()
    assert peer.answer(1)["type"] == "pong"
    assert peer.code == 1002
