"""Odd requests and odd offers of extensions: what we make of them, and plain wsproto does not."""

from __future__ import annotations

from collections.abc import Sequence

import h11
import pytest
import wsproto
from wsproto.events import AcceptConnection
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.utilities import ProtocolError as WsprotoError

from hubbub.core import Deflate, End, Refused, Requested, ServerOptions
from support.corpus import OFFERS, REQUESTS, OddOffer, OddRequest, offer_request
from support.machines import assert_ends, events, output, read_answer, server
from support.wire import pieces

WRONG_REQUESTS = [case for case in REQUESTS if case.plain is not None]
WRONG_OFFERS = [case for case in OFFERS if case.plain is not None]


def plain_verdict(data: bytes, extensions: Sequence[Extension] = ()) -> str:
    """What plain wsproto does: accepts, refuses, or raises something that is no error of its own."""
    machine = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
    try:
        machine.receive_data(data)
        if not list(machine.events()):
            return "refuses"
        machine.send(AcceptConnection(extensions=list(extensions)))
    except (WsprotoError, h11.ProtocolError):
        return "refuses"
    except Exception:  # noqa: BLE001 - which one it is does not matter: none is documented
        return "raises"
    return "accepts"


def test_the_corpus_is_large() -> None:
    """There are at least 51 requests and 18 offers, all of different names."""
    assert len({case.name for case in REQUESTS}) == len(REQUESTS) >= 51
    assert len({case.name for case in OFFERS}) == len(OFFERS) >= 18


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.name)
def test_an_odd_request_gets_one_answer(case: OddRequest) -> None:
    """Each request is answered once, with the right status, and a refused connection ends."""
    ws = server()
    ws.receive_data(case.data, 0.0)
    (event,) = events(ws)
    if case.status == 101:
        assert isinstance(event, Requested)
        ws.accept(0.0)
        assert read_answer(output(ws)).status == 101
        assert ws.end is None
        return
    assert isinstance(event, Refused)
    method = case.data[:4].decode("latin-1").strip()
    answer = read_answer(output(ws), "HEAD" if method == "HEAD" else "GET")
    assert answer.status == event.response.status == case.status
    assert answer.headers["connection"] == "close"
    assert answer.rest == b""
    if len(case.data) > 100_000:
        assert ws.end is End.CLOSE  # more came than would be read on
    else:
        assert_ends(ws)


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.name)
def test_an_odd_request_ends_with_the_stream(case: OddRequest) -> None:
    """After the answer to a refused request the end of the stream closes the socket."""
    if case.status == 101:
        return
    ws = server()
    ws.receive_data(case.data, 0.0)
    output(ws)
    assert ws.end is (End.HALF_CLOSE if len(case.data) < 100_000 else End.CLOSE)
    ws.receive_eof(1.0)
    assert ws.end is End.CLOSE
    assert ws.next_timeout() is None


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.name)
def test_the_cut_of_an_odd_request_does_not_matter(case: OddRequest) -> None:
    """In pieces of one byte, or of a few sizes, a request gives the same events and bytes."""
    whole = server()
    whole.receive_data(case.data, 0.0)
    expected = events(whole), output(whole), whole.state
    for sizes in ((1,), (7, 1, 100), (4096,)):
        if len(case.data) > 100_000 and sizes != (4096,):
            continue  # a million calls show nothing more
        ws = server()
        for piece in pieces(case.data, *sizes):
            ws.receive_data(piece, 0.0)
        assert (events(ws), output(ws), ws.state) == expected


@pytest.mark.parametrize("case", WRONG_REQUESTS, ids=lambda case: case.name)
def test_plain_wsproto_gets_the_request_wrong(case: OddRequest) -> None:
    """Without our checks wsproto lets the request in, raises, or keeps a legal one out."""
    assert plain_verdict(case.data) == case.plain


@pytest.mark.parametrize("case", OFFERS, ids=lambda case: case.name)
def test_an_odd_offer_is_accepted_or_declined(case: OddOffer) -> None:
    """What is accepted of an offer is exactly what stands in the table."""
    ws = server(ServerOptions(deflate=Deflate()))
    ws.receive_data(offer_request(case), 0.0)
    if case.status == 101:
        ws.accept(0.0)
    answer = read_answer(output(ws))
    assert answer.status == case.status
    assert answer.headers.get("sec-websocket-extensions") == case.accepted
    assert ws.compressed is (case.accepted is not None)


@pytest.mark.parametrize("case", OFFERS, ids=lambda case: case.name)
def test_an_odd_offer_without_deflate(case: OddOffer) -> None:
    """With compression off no offer is accepted, and only a malformed one is refused."""
    ws = server()
    ws.receive_data(offer_request(case), 0.0)
    if case.status == 101:
        ws.accept(0.0)
    answer = read_answer(output(ws))
    assert answer.status == case.status
    assert "sec-websocket-extensions" not in answer.headers


@pytest.mark.parametrize("case", WRONG_OFFERS, ids=lambda case: case.name)
def test_plain_wsproto_gets_the_offer_wrong(case: OddOffer) -> None:
    """Without our negotiation wsproto raises in the accept path, or accepts what it must decline."""
    machine = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
    machine.receive_data(offer_request(case))
    list(machine.events())
    accept = AcceptConnection(extensions=[PerMessageDeflate()])
    if case.plain == "raises":
        with pytest.raises(ValueError):
            machine.send(accept)
    else:
        assert b"permessage-deflate" in machine.send(accept)


def test_plain_wsproto_believes_a_larger_window() -> None:
    """A client's window replaces the smaller one that plain wsproto was set up with; never ours."""
    data = offer_request(OddOffer("", "permessage-deflate; server_max_window_bits=15", None))
    machine = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
    machine.receive_data(data)
    list(machine.events())
    theirs = machine.send(
        AcceptConnection(extensions=[PerMessageDeflate(server_max_window_bits=9)])
    )
    assert b"server_max_window_bits=15" in theirs
    ws = server(ServerOptions(deflate=Deflate(server_max_window_bits=9)))
    ws.receive_data(data, 0.0)
    ws.accept(0.0)
    assert b"server_max_window_bits=9" in output(ws)
