"""A tunnel through a proxy, between two machines in memory: however it is cut, and wherever it ends."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubbub.core import Closed, End, Link, State, WebSocket
from hubbub.core.proxy import ProxyTunnel
from hubbub.transports.tls import TLSLink
from hubbub.transports.tunnel import TunnelLink
from support.certificates import Certificate
from support.joined import Joined, Side
from support.talk import WORDS, Talker, Word, conversation, talkers
from support.tls_pairs import Contexts, all_contexts, in_turn
from support.wire import head

OK = head("HTTP/1.1 200 Connection established", [("Via", "us")])
REQUEST = b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n"


class Proxy:
    """A proxy and the server behind it, as one link: it answers the first request, then steps aside."""

    def __init__(self, inner: Link, answer: bytes = OK) -> None:
        self.requested = b""
        self._inner = inner
        self._answer = answer
        self._opened = False

    def receive_data(self, data: bytes, now: float) -> None:
        """See `Link`."""
        if self._opened:
            self._inner.receive_data(data, now)
            return
        self.requested += data
        request, found, rest = self.requested.partition(b"\r\n\r\n")
        if found:
            self.requested = request + found
            self._opened = True
            self._inner.receive_data(rest, now)

    def data_to_send(self, now: float, max_bytes: int = 65536) -> list[bytes]:
        """See `Link`."""
        if not self._opened:
            self._inner.handle_timeout(now)
            return []
        answer, self._answer = self._answer, b""
        return [*([answer] if answer else []), *self._inner.data_to_send(now, max_bytes)]

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


@pytest.fixture(scope="session")
def contexts(certificate: Certificate) -> Contexts:
    """Both sides' contexts."""
    return all_contexts(certificate)["1.3"]


def _tunnelled(client: WebSocket) -> TunnelLink:
    return TunnelLink(client, ProxyTunnel("localhost", 443))


def _joined(
    contexts: Contexts, layers: str, client: Talker, server: Talker, sizes: list[int]
) -> tuple[TunnelLink, Proxy, Joined]:
    """Client and server joined through a proxy, with TLS to the server, to the proxy, or both."""

    def to(link: Link, inside: bool) -> Link:
        name = contexts.hostname if inside else None
        context = contexts.client if inside else contexts.server
        return TLSLink(link, context, server_side=not inside, server_hostname=name)

    near: Link = client.ws
    far: Link = server.ws
    if "server" in layers:
        near, far = to(near, True), to(far, False)
    tunnel = TunnelLink(near, ProxyTunnel("localhost", 443))
    proxy = Proxy(far)
    near, far = tunnel, proxy  # type: ignore[assignment]  # what it does not have its inner link has
    if "proxy" in layers:
        near, far = to(near, True), to(far, False)
    return tunnel, proxy, Joined(Side(near, client), Side(far, server), sizes)


@pytest.mark.slow
@pytest.mark.parametrize("layers", ["", "server", "proxy", "server proxy"])
@in_turn
@example(words=[("send", "x"), ("ping", b"")], sizes=[1])
@given(words=WORDS, sizes=st.lists(st.integers(1, 500), min_size=1, max_size=8))
def test_any_cuts(contexts: Contexts, layers: str, words: list[Word], sizes: list[int]) -> None:
    """The events on both sides are those of the same conversation without a proxy."""
    client, server = talkers(words)
    tunnel, proxy, joined = _joined(contexts, layers, client, server, sizes)
    joined.run()
    expected = conversation(words)
    assert (client.heard, server.heard) == (expected[0].heard, expected[1].heard)
    assert proxy.requested == REQUEST
    assert tunnel.refusal is None
    assert all(side.closed for side in joined.sides)


def test_the_request_goes_first() -> None:
    """Nothing of the WebSocket leaves before the proxy has answered, and the request leaves once."""
    tunnel = _tunnelled(talkers()[0].ws)
    assert tunnel.wants_write
    assert tunnel.dirty
    assert tunnel.data_to_send(0.0) == [REQUEST]
    assert not tunnel.wants_write
    assert tunnel.data_to_send(0.0) == []
    tunnel.receive_data(OK[:-1], 0.0)
    assert tunnel.data_to_send(0.0) == []
    tunnel.receive_data(OK[-1:], 0.0)
    assert tunnel.dirty
    assert tunnel.wants_write
    assert b"".join(tunnel.data_to_send(0.0)).startswith(b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    "answer",
    [
        head("HTTP/1.1 407 Who?", [("Content-Length", "4")]) + b"who?",
        head("HTTP/1.1 503 Busy", [("Transfer-Encoding", "chunked")]) + b"1\r\nx\r\n0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/1.1 200\r\n" + b"X: y\r\n" * 20_000,
    ],
    ids=["407", "503", "no HTTP", "endless"],
)
def test_a_refusal(answer: bytes, size: int) -> None:
    """The machine is told that there is no connection, and the socket is to be closed."""
    client, _ = talkers()
    tunnel = _tunnelled(client.ws)
    tunnel.data_to_send(0.0)
    for at in range(0, len(answer), size):
        tunnel.receive_data(answer[at : at + size], 0.0)
    assert tunnel.refusal is not None
    assert tunnel.end is End.CLOSE
    assert not tunnel.wants_read
    assert not tunnel.wants_write
    assert tunnel.dirty
    client(0.0)
    assert [type(event) for event in client.events] == [Closed]
    assert tunnel.next_timeout() is None


def test_an_end_at_every_byte() -> None:
    """Where the proxy's stream ends at any byte of its answer there is no connection, and no answer but its own."""
    answer = head("HTTP/1.1 407 Who?", [("Content-Length", "4")]) + b"who?"
    for given_ in (OK, answer):
        for limit in range(len(given_)):
            client, _ = talkers()
            tunnel = _tunnelled(client.ws)
            tunnel.data_to_send(0.0)
            tunnel.receive_data(given_[:limit], 0.0)
            tunnel.receive_eof(0.0)
            tunnel.receive_eof(0.0)
            tunnel.receive_data(b"more", 0.0)
            assert tunnel.refusal is not None
            # A head that is whole is told, with as much of the body as came.
            whole = given_ is answer and limit >= len(given_) - 4
            assert (tunnel.refusal.response is not None) is whole
            assert tunnel.end is End.CLOSE
            client(0.0)
            assert [type(event) for event in client.events] == [Closed]


def test_the_deadline() -> None:
    """A proxy that never answers does not hold the client up: the deadline is that of the opening."""
    client, _ = talkers()
    tunnel = _tunnelled(client.ws)
    tunnel.data_to_send(0.0)
    at = tunnel.next_timeout()
    assert at is not None
    assert at == 10.0
    tunnel.handle_timeout(at)
    assert tunnel.end is End.CLOSE
    assert client.ws.state is State.CLOSED
    assert tunnel.data_to_send(at) == []


CALLS = st.lists(st.sampled_from(["data", "rest", "eof", "lost", "timeout", "take"]), max_size=8)


@given(calls=CALLS)
@example(calls=["eof", "data", "take"])
@example(calls=["data", "eof", "data", "eof"])
def test_calls_in_any_order(calls: list[str]) -> None:
    """Whatever an adapter calls after whatever, and twice, nothing raises."""
    client, _ = talkers()
    tunnel = _tunnelled(client.ws)
    for number, call in enumerate(calls):
        now = float(number)
        match call:
            case "data":
                tunnel.receive_data(OK, now)
            case "rest":
                tunnel.receive_data(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", now)
            case "eof":
                tunnel.receive_eof(now)
            case "lost":
                tunnel.connection_lost(now)
            case "timeout":
                tunnel.handle_timeout(now)
            case _:
                tunnel.data_to_send(now)
        assert tunnel.end in (None, End.HALF_CLOSE, End.CLOSE)
        client(now)
    if "lost" in calls or "eof" in calls:
        assert client.ws.state is State.CLOSED
