"""The contract between a machine and the adapter that owns its socket.

A *link* is what an adapter drives for one socket. It knows neither socket, clock nor event loop: bytes
and the time go in; bytes, the next timeout and the wish to end come out. The verbs are those of h11,
websockets and aioquic.

What the adapter does:

.. code-block:: text

    accepted          make the link
    bytes             link.receive_data(data, now); read on only while link.wants_read
    end of stream     link.receive_eof(now); error, or closed: link.connection_lost(now)
    writable          write link.data_to_send(now); obey link.end
    not writable      link.handle_timeout(now) instead, which tells the time
    partly written    link.write_blocked(now), each time the socket takes a part
    timer             link.handle_timeout(now)
    after each        take the events, act on them; then data_to_send,
                      link.end and next_timeout() again

What the link promises:

- Time is a float of seconds from any fixed origin. The same inputs give the same outputs.
- How the bytes were cut does not matter.
- Nothing that a peer sends raises. A caller's mistake raises `LocalProtocolError` and changes nothing.
- Calls after the end, or twice, do nothing. A late `handle_timeout` does what is due; an early one nothing.
- Bytes that arrived are always given to `receive_data`, even while `wants_read` is false: the link
  bounds them. `wants_read` says whether to read *on*.
"""

from enum import Enum
from typing import Final, Protocol

__all__ = ["LINGER", "End", "Link"]

LINGER: Final = 2.0
"""Seconds that an adapter lets a closed socket send what is still unwritten."""


class End(Enum):
    """What a link wants done to its socket once everything that it gave out is written."""

    HALF_CLOSE = "half close"
    """Shut the sending side down and read on, so that the peer gets our last bytes and no reset."""
    CLOSE = "close"
    """Close the socket. The link is done; bytes that are still unwritten get a moment, not for ever."""


class Link(Protocol):
    """One socket's machine, as its adapter sees it. See the module's docstring for the contract."""

    def receive_data(self, data: bytes, now: float) -> None:
        """Bytes arrived. An empty `data` does nothing: the end of the stream is `receive_eof`."""
        ...

    def receive_eof(self, now: float) -> None:
        """The peer ended its stream."""
        ...

    def connection_lost(self, now: float) -> None:
        """The socket is gone; nothing can be sent."""
        ...

    def data_to_send(self, now: float, max_bytes: int = 65536) -> list[bytes]:
        """Take bytes to write: at least one whole frame if any waits, then more up to `max_bytes`.

        Taking puts them on the wire: a socket that takes only a part must be given the rest before
        anything else. Call it only when the socket accepts data, and after every other call or batch
        of calls, because it also tells the link what time it is.
        """
        ...

    def write_blocked(self, now: float) -> None:
        """The socket took a part of what was given out, or nothing yet: the peer has until the deadlines.

        Without it a peer that reads one large frame slowly looks like one that does not read.
        """
        ...

    def next_timeout(self) -> float | None:
        """When to call `handle_timeout`, or None. Ask again after every call."""
        ...

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        ...

    @property
    def dirty(self) -> bool:
        """Whether something changed since `data_to_send`: bytes, `wants_read`, `end` or `next_timeout`.

        For adapters that would look after each call: while it is false there is nothing to see. It may
        be true for nothing.
        """
        ...

    @property
    def unchanged(self) -> bool:
        """Whether `wants_read`, `end` and `next_timeout` surely are as after the last `data_to_send`.

        An adapter that asks before `data_to_send`, finds nothing left to write after it, and does not
        itself watch for room, need not look at the three. It may be false for nothing.
        """
        ...

    @property
    def wants_read(self) -> bool:
        """Whether to read on. May change with every call."""
        ...

    @property
    def wants_write(self) -> bool:
        """Whether `data_to_send` has something."""
        ...

    @property
    def end(self) -> End | None:
        """What to do to the socket, once what was taken is written."""
        ...
