"""Two machines joined by hand: bytes move when the test says so, and time is a number."""

from collections.abc import Iterator

from hubbub.core import (
    Accepted,
    ClientOptions,
    Event,
    Limits,
    Requested,
    ServerOptions,
    WebSocket,
)
from hubbub.transports.simulated import seeded_entropy


class Pair:
    """A client and a server; `connected` gives one that is open on both sides."""

    def __init__(
        self, server: ServerOptions | None = None, client: ClientOptions | None = None
    ) -> None:
        self.now = 0.0
        self.server = WebSocket(server or ServerOptions(), now=0.0, entropy=seeded_entropy(1))
        self.client = WebSocket(
            client or ClientOptions(host="example.com"), now=0.0, entropy=seeded_entropy(2)
        )

    def flush(self) -> None:
        """Move bytes both ways until none wait, whether or not the other side wants them."""
        moved = True
        while moved:
            moved = False
            for sender, receiver in ((self.client, self.server), (self.server, self.client)):
                data = b"".join(sender.data_to_send(self.now))
                if data:
                    receiver.receive_data(data, self.now)
                    moved = True

    def advance(self, seconds: float) -> None:
        """Let time pass in the steps that the timers ask for; bytes move at once."""
        until = self.now + seconds
        while (at := self._next()) is not None and at <= until:
            self.now = max(self.now, at)
            self.server.handle_timeout(self.now)
            self.client.handle_timeout(self.now)
            self.flush()
        self.now = until

    def _next(self) -> float | None:
        moments = [self.server.next_timeout(), self.client.next_timeout()]
        return min((at for at in moments if at is not None), default=None)


def connected(server: ServerOptions | None = None, client: ClientOptions | None = None) -> Pair:
    """A pair whose opening handshake is done and whose events are taken."""
    pair = Pair(server, client)
    pair.flush()
    assert isinstance(pair.server.next_event(), Requested)
    pair.server.accept(pair.now)
    pair.flush()
    assert isinstance(pair.client.next_event(), Accepted)
    return pair


def with_limits(limits: Limits) -> Pair:
    """A connected pair with the same limits on both sides."""
    return connected(ServerOptions(limits=limits), ClientOptions(host="example.com", limits=limits))


def events(ws: WebSocket) -> list[Event]:
    """Every event that waits, taken."""
    return list(_take(ws))


def _take(ws: WebSocket) -> Iterator[Event]:
    while (event := ws.next_event()) is not None:
        yield event
