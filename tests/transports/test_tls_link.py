"""TLS between two machines in memory: however it is cut, and wherever it ends."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubbub.core import (
    Accepted,
    Closed,
    Deflate,
    End,
    Requested,
    ServerOptions,
    State,
    TextMessage,
    WebSocket,
)
from hubbub.transports.simulated import seeded_entropy
from hubbub.transports.tls import TLSLink
from support.certificates import Certificate
from support.talk import WORDS, Word, conversation
from support.tls_pairs import Contexts, all_contexts, in_turn, tls_pair, versions
from support.wire import close, request, text


@pytest.fixture(scope="session")
def contexts(certificate: Certificate) -> dict[str, Contexts]:
    """Both sides' contexts, for each version of TLS."""
    return all_contexts(certificate)


# However it is cut.

SIZES = st.lists(st.integers(1, 3000), min_size=1, max_size=8)


@pytest.mark.slow
@versions
@in_turn
@example(words=[("send", "x"), ("ping", b"")], sizes=[1], deflate=False)
@example(words=[("send", "x" * 70_000)], sizes=[4097, 1], deflate=False)
@given(words=WORDS, sizes=SIZES, deflate=st.booleans())
def test_any_cuts(
    contexts: dict[str, Contexts],
    version: str,
    words: list[Word],
    sizes: list[int],
    deflate: bool,
) -> None:
    """The events on both sides are those of the same conversation without TLS."""
    compression = Deflate() if deflate else None
    pair = tls_pair(contexts[version], words, sizes, compression)
    pair.joined.run()
    client, server = conversation(words, compression)
    assert (pair.client.heard, pair.server.heard) == (client.heard, server.heard)
    assert pair.errors() == ("None", "None")
    pair.assert_ended()


@versions
def test_big_messages(contexts: dict[str, Contexts], version: str) -> None:
    """A mebibyte of text, and one of bytes, pass through in both directions."""
    words: list[Word] = [("send", "x" * 2**20), ("send", bytes(2**20))]
    pair = tls_pair(contexts[version], words, [65536])
    pair.joined.run()
    assert pair.client.events == conversation(words)[0].events
    pair.assert_ended()


@versions
def test_bytes_are_taken_as_they_fit(contexts: dict[str, Contexts], version: str) -> None:
    """One call takes at least a frame, then at most about `max_bytes`, and says that more waits."""
    pair = tls_pair(contexts[version], close=False)
    pair.joined.run()
    for _ in range(20):
        pair.client.ws.send(bytes(1000), 0.0)
    taken = pair.client_tls.data_to_send(0.0, 3000)
    assert 1000 < sum(map(len, taken)) < 4000
    assert pair.client_tls.wants_write
    assert pair.client_tls.dirty
    while pair.client_tls.wants_write:
        assert pair.client_tls.data_to_send(0.0, 3000)
    assert pair.client_tls.data_to_send(0.0) == []


# Wherever it ends.


@pytest.mark.slow
@versions
@pytest.mark.parametrize("cut", [0, 1], ids=["the client's stream", "the server's stream"])
def test_an_end_at_every_byte(contexts: dict[str, Contexts], version: str, cut: int) -> None:
    """Where one stream ends at any byte up to the open connection, both sides end, and none opens late."""
    whole = tls_pair(contexts[version], close=False)
    whole.joined.run()
    assert whole.client.ws.state is State.OPEN
    total = whole.sides[cut].sent
    opened = 0
    # One more handshake for each byte takes its time.
    step = 1 if version == "1.3" else 4
    # The last is for a signature that is a few bytes longer this time.
    for limit in [*range(0, total, step), total + 9]:
        pair = tls_pair(contexts[version], close=False)
        pair.sides[cut].limit = limit
        pair.joined.run()
        pair.joined.advance(60.0)
        pair.assert_ended()
        for talker in (pair.client, pair.server):
            assert sum(isinstance(event, Closed) for event in talker.events) <= 1
        opened += isinstance(pair.client.events[0], Accepted)
        if limit < total // 2:
            assert opened == 0
    # The server's tickets may come behind the answer, and the client's last byte opens.
    assert opened >= 1


@versions
def test_an_end_without_tls_s_own(contexts: dict[str, Contexts], version: str) -> None:
    """A stream that just ends is told as the end, after all that came before it, and is no error."""
    pair = tls_pair(contexts[version], [("send", "x")], close=False)
    pair.joined.run()
    pair.client.ws.send("last", 0.0)
    pair.server_tls.receive_data(b"".join(pair.client_tls.data_to_send(0.0)), 0.0)
    pair.server_tls.receive_eof(0.0)
    pair.server(0.0)
    assert TextMessage("last") in pair.server.events
    assert isinstance(pair.server.events[-1], Closed)
    pair.server_tls.data_to_send(0.0)
    assert pair.server_tls.end is End.CLOSE
    assert pair.server_tls.error is None


@versions
def test_the_order_at_the_end(contexts: dict[str, Contexts], version: str) -> None:
    """TLS's own end leaves behind the last bytes and before the stream ends, and is understood as an end."""
    pair = tls_pair(contexts[version], close=False)
    pair.joined.run()
    server, client = pair.server_tls, pair.client_tls
    pair.server.ws.close(0.0, 1001)
    to_client = b"".join(server.data_to_send(0.0))
    assert server.end is None, "it waits for the client's Close frame"
    client.receive_data(to_client, 0.0)
    pair.client(0.0)
    to_server = b"".join(client.data_to_send(0.0))
    assert client.end is None, "it waits for the server to end first (RFC 6455, 7.1.1)"
    server.receive_data(to_server, 0.0)
    pair.server(0.0)
    to_client = b"".join(server.data_to_send(0.0))
    assert to_client, "TLS's own end"
    assert server.end is End.HALF_CLOSE
    assert client.end is None
    client.receive_data(to_client, 0.0)
    to_server = b"".join(client.data_to_send(0.0))
    assert to_server
    assert client.end is End.CLOSE
    server.receive_data(to_server, 0.0)
    assert server.end is End.CLOSE
    assert pair.errors() == ("None", "None")


@versions
def test_half_closed(contexts: dict[str, Contexts], version: str) -> None:
    """A client that ends its side behind its Close frame gets the answers that go before the server's."""
    server = WebSocket(ServerOptions(), now=0.0, entropy=seeded_entropy(2))
    link = TLSLink(server, contexts[version].server, server_side=True)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = contexts[version].client.wrap_bio(incoming, outgoing, server_hostname="localhost")

    def exchange() -> None:
        link.receive_data(outgoing.read(), 0.0)
        incoming.write(b"".join(link.data_to_send(0.0)))

    opened = False
    while not opened:
        with suppress(ssl.SSLWantReadError):
            tls.do_handshake()
            opened = True
        exchange()
    tls.write(request())
    exchange()
    assert isinstance(server.next_event(), Requested)
    server.accept(0.0)
    tls.write(text("a") + text("b") + close(1000))
    with pytest.raises(ssl.SSLWantReadError):
        tls.unwrap()
    exchange()
    link.receive_eof(0.0)
    for word in ("a", "b"):
        assert server.next_event() == TextMessage(word)
        assert link.end is None
        server.send(word.upper(), 0.0)
    assert isinstance(server.next_event(), Closed)
    exchange()
    assert link.end is End.CLOSE
    answered = b""
    with suppress(ssl.SSLZeroReturnError):
        while piece := tls.read(4096):
            answered += piece
    assert answered.endswith(text("A", mask=None) + text("B", mask=None) + close(1000, mask=None))


CALLS = st.lists(st.sampled_from(["data", "eof", "lost", "timeout", "take", "close"]), max_size=8)


@versions
@in_turn
@example(calls=["eof", "data"], opened=True)
@given(calls=CALLS, opened=st.booleans())
def test_calls_in_any_order(
    contexts: dict[str, Contexts], version: str, calls: list[str], opened: bool
) -> None:
    """Whatever an adapter calls after whatever, and twice, nothing raises."""
    pair = tls_pair(contexts[version], close=False)
    if opened:
        pair.joined.run()
        pair.client.ws.send("x", 0.0)
    data = b"".join(pair.client_tls.data_to_send(0.0))
    for number, call in enumerate(calls):
        link = pair.server_tls
        if call == "data":
            link.receive_data(data, float(number))
        elif call == "eof":
            link.receive_eof(float(number))
        elif call == "lost":
            link.connection_lost(float(number))
        elif call == "timeout":
            link.handle_timeout(float(number))
        elif call == "take":
            link.data_to_send(float(number))
        elif pair.server.ws.state is State.OPEN:
            pair.server.ws.close(float(number))
        assert link.end in (None, End.HALF_CLOSE, End.CLOSE)
        pair.server(float(number))
    if "lost" in calls:
        assert pair.server.ws.state is State.CLOSED
