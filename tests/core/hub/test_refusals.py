"""Who comes no further than the door: told and counted, and of a flood only so many are told."""

from __future__ import annotations

import pytest

from hubbub.core.effects import Done, HttpRequest
from hubbub.core.forwarded import TrustedProxies
from hubbub.core.http import text_response
from hubbub.core.hub_events import OpeningRefused, TurnedAway
from support.hub_pair import HubPair, Peer, Raw, config

UPGRADE = (
    "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: {version}\r\n"
    "{more}\r\n"
)


def asked(pair: HubPair, request: str) -> Raw:
    """A socket that sends this."""
    raw = pair.raw()
    raw.send_bytes(request.encode())
    pair.settle()
    return raw


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        (
            UPGRADE.format(version=13, more="Origin: https://evil.example\r\n"),
            403,
            "Pages of this origin may not connect",
        ),
        (
            UPGRADE.format(version=8, more=""),
            426,
            "Only version 13 of the protocol is spoken here",
        ),
        (
            "GET /no HTTP/1.1\r\nHost: example.com\r\n\r\n",
            426,
            "This is a WebSocket server: connect with ws:// or wss://",
        ),
        ("\x16\x03\x01", 400, "This is not an HTTP/1.1 message"),
    ],
)
def test_an_opening_that_is_refused_is_told(request_: str, status: int, reason: str) -> None:
    """With whom, how and why; it is counted, and is no failure of authentication."""
    pair = HubPair()
    raw = asked(pair, request_)
    assert raw.got.startswith(b"HTTP/1.1 %d " % status)
    assert pair.take_events() == [OpeningRefused("192.0.2.1", status, reason)]
    assert pair.hub.counters.openings_refused == 1
    assert pair.hub.counters.auth_failures == 0


def test_a_request_that_comes_too_slowly_is_told() -> None:
    """Half a request is refused when its time is up; who sends nothing at all is not worth a word."""
    pair = HubPair()
    asked(pair, "GET / HT")
    pair.raw()
    pair.advance(20.0)
    (event,) = pair.take_events()
    assert event == OpeningRefused("192.0.2.1", 408, "The request came too slowly")


def test_what_is_answered_is_not_refused() -> None:
    """A route's answer is what was asked for, and so is what a function answers, whatever that is."""
    pair = HubPair(config(options={"http": True}))
    assert asked(pair, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").got.startswith(b"HTTP/1.1 200")
    raw = asked(pair, "GET /no HTTP/1.1\r\nHost: a\r\n\r\n")
    assert isinstance(pair.effects[0], HttpRequest)
    pair.complete(Done(text_response(404, "There is no such page")))
    assert raw.got.startswith(b"HTTP/1.1 404")
    assert pair.take_events() == []
    assert pair.hub.counters.openings_refused == 0


def test_behind_a_proxy_the_clients_address_is_told() -> None:
    """As far as a request tells it."""
    pair = HubPair(config(trusted_proxies=TrustedProxies(["192.0.2.1"])))
    more = "Origin: https://evil.example\r\nX-Forwarded-For: 203.0.113.9\r\n"
    asked(pair, UPGRADE.format(version=13, more=more))
    asked(pair, "nonsense\r\n\r\n")
    told = pair.take_events()
    assert all(isinstance(event, OpeningRefused) for event in told)
    assert [getattr(event, "address", "") for event in told] == ["203.0.113.9", "192.0.2.1"]


def test_of_a_flood_some_are_told() -> None:
    """A hundred at once, then ten a second; each says how many before it were not. All are counted."""
    pair = HubPair(config(max_connections=1))
    pair.named("ann")
    pair.take_events()
    for _ in range(150):
        asked(pair, "nonsense\r\n\r\n").cut_off()
    told = pair.take_events()
    assert len(told) == 100
    assert pair.hub.counters.openings_refused == 150
    pair.advance(0.2)
    for _ in range(4):
        pair.peer().close()
    assert pair.take_events() == [
        TurnedAway("192.0.2.1", "max_connections", untold=50),
        TurnedAway("192.0.2.1", "max_connections"),
    ]
    assert pair.hub.counters.turned_away == 4
    pair.advance(60.0)
    asked(pair, "nonsense\r\n\r\n")
    (event,) = pair.take_events()
    assert isinstance(event, OpeningRefused)
    assert event.untold == 2


def test_a_refused_page_of_a_browser_sees_its_answer() -> None:
    """Telling of it takes nothing from the answer, however the socket reads."""
    pair = HubPair()
    peer: Peer = pair.peer(headers=(("Origin", "https://evil.example"),))
    assert peer.refused is not None
    assert peer.refused.response.status == 403
