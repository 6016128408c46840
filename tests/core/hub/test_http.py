"""Ordinary HTTP requests on a hub's port: asked of the outside, answered once, and then the end."""

from __future__ import annotations

import pytest

from hubbub.core.effects import Denied, Done, Failed, HttpRequest, Outcome
from hubbub.core.forwarded import TrustedProxies
from hubbub.core.http import Headers, Response, text_response
from hubbub.core.hub_events import RequestFailed
from support.hub_pair import HubPair, Raw, config

GET = b"GET /metrics?x=1 HTTP/1.1\r\nHost: example.com\r\n\r\n"
HTTP = {"http": True}


def asked(pair: HubPair, request: bytes = GET) -> tuple[Raw, HttpRequest]:
    """A socket that carries a request, and what the hub asks about it."""
    raw = pair.raw()
    raw.send_bytes(request)
    pair.settle()
    effect = pair.effects[-1]
    assert isinstance(effect, HttpRequest)
    return raw, effect


def test_a_request_is_asked_and_answered() -> None:
    """The effect tells the request and who sends it; the answer leaves, and the socket closes."""
    pair = HubPair(config(options=HTTP))
    raw, effect = asked(
        pair, b"POST /api HTTP/1.1\r\nHost: example.com\r\nContent-Length: 3\r\n\r\nabc"
    )
    assert (effect.request.method, effect.request.target, effect.body) == ("POST", "/api", b"abc")
    assert (effect.address, effect.peer) == ("192.0.2.1", ("192.0.2.1", 50_000))
    assert not raw.session.wants_read
    assert not raw.got
    pair.complete(Done(text_response(201, "made")))
    assert raw.got.startswith(b"HTTP/1.1 201 Created\r\n")
    assert raw.got.endswith(b"made\n")
    assert pair.hub.links == 1
    raw.session.receive_eof(pair.now)
    pair.settle()
    assert pair.hub.links == 0
    assert pair.hub.idle


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Failed("it raised"), "it raised"),
        (Denied("forbidden", "no"), "no Response came"),
        (Done(), "no Response came"),
        (Done("text"), "no Response came"),
        (Done(Response(200, Headers([("a", "b\r\nc: d")]))), "header"),
    ],
)
def test_what_is_no_response_is_a_500(outcome: Outcome, reason: str) -> None:
    """The client learns no more than that; an event says why."""
    pair = HubPair(config(options=HTTP))
    raw, _ = asked(pair)
    pair.complete(outcome)
    assert raw.got.startswith(b"HTTP/1.1 500 ")
    (event,) = pair.take_events()
    assert isinstance(event, RequestFailed)
    assert event.what == "http"
    assert reason in event.reason


def test_a_request_is_given_up_in_time() -> None:
    """Without an answer within `hook_timeout` it is a 500, and a late answer changes nothing."""
    pair = HubPair(config(options=HTTP))
    raw, effect = asked(pair)
    pair.advance(5.0)
    assert raw.got.startswith(b"HTTP/1.1 500 ")
    before = raw.got
    pair.complete(Done(text_response(200, "late")), effect)
    pair.advance(5.0)
    assert raw.got == before
    assert pair.hub.links == 0


def test_an_answer_that_comes_after_the_peer_has_left_changes_nothing() -> None:
    """The effect may still be answered, or run out of time."""
    pair = HubPair(config(options=HTTP))
    raw, _ = asked(pair)
    raw.cut_off()
    assert pair.hub.links == 0
    pair.complete(Done(text_response(200, "ok")))
    assert not raw.got
    raw, _ = asked(pair)
    raw.cut_off()
    pair.advance(6.0)
    assert pair.hub.idle


def test_an_answer_that_comes_after_the_opening_timeout_changes_nothing() -> None:
    """Where the function may take longer than the opening handshake, the client has got its 503."""
    pair = HubPair(config(options=HTTP, open_timeout=2.0))
    raw, _ = asked(pair)
    pair.advance(2.5)
    assert raw.got.startswith(b"HTTP/1.1 503 ")
    before = raw.got
    pair.complete(Done(text_response(200, "late")))
    assert raw.got == before
    pair.advance(2.0)
    assert pair.hub.links == 0


def test_without_http_each_request_is_refused() -> None:
    """Only WebSockets and `/healthz` are served."""
    pair = HubPair(config())
    raw = pair.raw()
    raw.send_bytes(GET)
    pair.settle()
    assert raw.got.startswith(b"HTTP/1.1 426 ")
    assert not pair.effects


def test_who_sends_on_after_a_refusal_is_cut_and_forgotten() -> None:
    """More than `drain_size` bytes behind the answer close the socket, and the hub keeps nothing of it."""
    pair = HubPair(config(max_opening=1))
    for _ in range(3):
        raw = pair.raw()
        raw.send_bytes(GET)
        pair.settle()
        assert raw.got.startswith(b"HTTP/1.1 426 ")
        raw.send_bytes(b"x" * 70_000)
        pair.settle()
        assert raw.ended
        assert pair.hub.links == 0


def test_the_address_is_the_clients() -> None:
    """Behind a trusted proxy it is the one that the proxy tells; else the header means nothing."""
    told = GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
    pair = HubPair(config(options=HTTP, trusted_proxies=TrustedProxies(["192.0.2.1"])))
    _, effect = asked(pair, told)
    assert effect.address == "203.0.113.9"
    pair = HubPair(config(options=HTTP))
    _, effect = asked(pair, told)
    assert effect.address == "192.0.2.1"
    pair = HubPair(config(options=HTTP, trusted_proxies=TrustedProxies(["unix"])))
    raw = pair.raw("")
    raw.send_bytes(GET)
    pair.settle()
    (asked_about,) = pair.effects
    assert isinstance(asked_about, HttpRequest)
    assert asked_about.address is None


def test_a_drain_lets_requests_be_answered() -> None:
    """A request that waits for its answer gets it; a socket that sent nothing is closed at once."""
    pair = HubPair(config(options=HTTP))
    raw, effect = asked(pair)
    silent = pair.raw()
    pair.hub.drain(pair.now)
    pair.settle()
    assert silent.ended
    assert not raw.ended
    pair.complete(Done(text_response(200, "ok")), effect)
    assert raw.got.startswith(b"HTTP/1.1 200 ")


def test_closing_the_hub_closes_requests_too() -> None:
    """`close` waits for nobody."""
    pair = HubPair(config(options=HTTP))
    raw, _ = asked(pair)
    pair.hub.close(pair.now)
    pair.settle()
    assert raw.ended
    assert pair.hub.links == 0
    pair.complete(Done(text_response(200, "late")))
    assert not raw.got
