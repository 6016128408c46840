"""Users of two machines, who say what they are told to, and note what they hear."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from hubbub.core import (
    Accepted,
    BinaryMessage,
    ClientOptions,
    Deflate,
    Event,
    Pong,
    Requested,
    ServerOptions,
    TextMessage,
    WebSocket,
)
from hubbub.transports.simulated import seeded_entropy
from support.joined import Joined, Side

Word = tuple[str, str | bytes]
"""What to do, and with what: send a message, or ping."""

MESSAGES = st.text(max_size=200) | st.binary(max_size=200) | st.just("x" * 5000)

WORDS: st.SearchStrategy[list[Word]] = st.lists(
    st.tuples(st.just("send"), MESSAGES) | st.tuples(st.just("ping"), st.binary(max_size=9)),
    max_size=6,
    unique_by=lambda word: word if word[0] == "ping" else object(),
)


class Talker:
    """A client says its words and closes when all are answered; a server sends back what it hears."""

    def __init__(self, ws: WebSocket, words: Sequence[Word] = (), close: bool = True) -> None:
        self.ws = ws
        self.events: list[Event] = []
        self._words = list(words)
        self._awaited = len(words)
        self._closes = close
        self._opened = False

    @property
    def heard(self) -> tuple[list[Event], list[Event]]:
        """The events, pongs apart: these are answered sooner where a message came in the same piece."""
        pongs: list[Event] = [event for event in self.events if isinstance(event, Pong)]
        return [event for event in self.events if not isinstance(event, Pong)], pongs

    def __call__(self, now: float) -> None:
        """Take every event, and act."""
        while (event := self.ws.next_event()) is not None:
            self.events.append(event)
            if isinstance(event, Requested):
                self.ws.accept(now)
            elif isinstance(event, Accepted):
                self._opened = True
            elif (
                isinstance(event, (TextMessage, BinaryMessage))
                and not self._opened
                and self.ws.can_send
            ):
                self.ws.send(event.data, now)
        while self._opened and self._words and self.ws.can_send:
            what, data = self._words.pop(0)
            if what == "send":
                self.ws.send(data, now)
            else:
                assert isinstance(data, bytes)
                self.ws.ping(now, data)
        heard = sum(isinstance(each, TextMessage | BinaryMessage | Pong) for each in self.events)
        if self._opened and self._closes and heard == self._awaited and self.ws.can_send:
            self.ws.close(now, 4000, "enough")


def talkers(
    words: Sequence[Word] = (), *, deflate: Deflate | None = None, close: bool = True
) -> tuple[Talker, Talker]:
    """A client that says these words, and a server, neither of which has begun."""
    client = WebSocket(
        ClientOptions(host="localhost", deflate=deflate), now=0.0, entropy=seeded_entropy(1)
    )
    server = WebSocket(ServerOptions(deflate=deflate), now=0.0, entropy=seeded_entropy(2))
    return Talker(client, words, close), Talker(server)


def conversation(words: Sequence[Word], deflate: Deflate | None = None) -> tuple[Talker, Talker]:
    """The same, in the clear and to its end."""
    client, server = talkers(words, deflate=deflate)
    joined = Joined(Side(client.ws, client), Side(server.ws, server))
    joined.run()
    assert all(side.closed for side in joined.sides)
    return client, server
