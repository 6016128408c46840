"""The half of every adapter that owns a socket and drives a link. It decides nothing."""

import socket as stdlib_socket
from typing import Final, Protocol

from ..core.link import LINGER, End, Link
from .driver import Driver
from .poller import READ, WRITE

__all__ = ["Owner", "SocketLink"]

READ_SIZE: Final = 65536
"""The most that one read takes from a socket, in bytes."""

OPENING_READ_SIZE: Final = 4096
"""The same until the handshake is done: hardly anybody needs more for it, and who floods us instead costs
others less."""


class Owner(Protocol):
    """Who uses a link."""

    def changed(self) -> None:
        """The link may have events, room or an end."""
        ...


class SocketLink:
    """Moves bytes and time between one non-blocking socket and one link.

    A flush writes to the socket at once; only where it is full is it watched for room. What the socket
    did not take is kept here, and nothing more is taken from the link meanwhile.

    Args:
        driver: that of the loop.
        sock: connected and non-blocking; it is closed here.
        link: what drives it.
        owner: whom to tell.
    """

    __slots__ = (
        "_driver",
        "_eof",
        "_half_closed",
        "_linger_at",
        "_sock",
        "_timeout",
        "_unsent",
        "_watching",
        "closed",
        "link",
        "marked",
        "owner",
        "read_size",
        "room_wanted",
        "send",
    )

    def __init__(
        self, driver: Driver, sock: stdlib_socket.socket, link: Link, owner: Owner
    ) -> None:
        self._driver = driver
        self._sock = sock
        self.send = sock.send
        """Gives bytes to the socket."""
        self._unsent: memoryview | None = None
        self._eof = False
        self._half_closed = False
        self._linger_at: float | None = None
        self._watching = 0
        self._timeout: float | None = None
        self.link = link
        self.owner = owner
        self.marked = False
        self.read_size = OPENING_READ_SIZE
        self.room_wanted = False
        """Set by the owner for as long as it wants to be told of every flush."""
        self.closed = False
        """Whether the socket is."""

    def start(self) -> None:
        """Begin to serve it.

        Raises:
            OSError: it cannot be watched.
        """
        self._driver.watch(self._sock.fileno(), self, 0, READ)
        self._watching = READ
        self._driver.mark(self)

    @property
    def paused(self) -> bool:
        """Whether nothing is read."""
        return not self._watching & READ

    @property
    def ended(self) -> bool:
        """Whether the peer's stream ended, or the socket is closed."""
        return self._eof or self.closed

    def address(self) -> object:
        """The socket's own address; None once it is closed."""
        try:
            return self._sock.getsockname()
        except OSError:
            return None

    def opened(self) -> None:
        """The handshake is done: reads may be larger."""
        self.read_size = READ_SIZE

    # For the driver.

    def on_ready(self, events: int, now: float) -> None:
        """Read, and go on writing."""
        if events & WRITE and self._unsent is not None and self._send(self._unsent, now):
            if self._linger_at is None:
                self.flush_now(now)
            else:
                self.lose(now)
        if self._watching & READ and events & ~WRITE:
            self._read(now)

    def on_timeout(self, now: float) -> None:
        """Tell the link, or end the lingering."""
        if self._linger_at is not None:
            self.lose(now)
            return
        self._timeout = None  # it was taken out of the queue
        self.link.handle_timeout(now)
        self.owner.changed()
        self._driver.mark(self)

    def next_timeout(self) -> float | None:
        """When the link wants to be called; once it is done, when its last bytes are given up."""
        if self.closed:
            return None
        return self.link.next_timeout() if self._linger_at is None else self._linger_at

    def flush(self, now: float) -> bytes | None:
        """Write what the link has, then do to the socket what the link wants.

        Returns:
            Nearly always bytes for `send`: then nothing else is to be done.
        """
        link = self.link
        if self._unsent is not None:
            if self._linger_at is not None:
                return None
            link.handle_timeout(now)  # it tells the link the time, as `data_to_send` would
        elif self.closed:
            return None
        else:
            unchanged = link.unchanged and not (self.room_wanted or self._watching & WRITE)
            while data := link.data_to_send(now):
                chunk = data[0] if len(data) == 1 else b"".join(data)
                if not link.dirty:
                    if unchanged:
                        return chunk
                    self._send(chunk, now)
                    break
                unchanged = False
                if not self._send(chunk, now):
                    break
            else:
                if unchanged:
                    return None
        self._obey(link, now)
        return None

    def wrote(self, data: bytes, outcome: int | OSError, now: float) -> None:
        """What `flush` returned was given to `send`, which did not take all of it, or failed."""
        if isinstance(outcome, OSError):
            if not isinstance(outcome, (BlockingIOError, InterruptedError)):
                self.lose(now)
                return
            outcome = 0
        self._unsent = memoryview(data)[outcome:]
        self.link.write_blocked(now)
        self._obey(self.link, now)

    def flush_now(self, now: float) -> None:
        """Flush and write, in the middle of a turn."""
        data = self.flush(now)
        if data is not None and not self._send(data, now):
            self._obey(self.link, now)

    def _obey(self, link: Link, now: float) -> None:
        """Do what the link wants of the socket, and tell the owner."""
        watching = READ if link.wants_read and not self._eof else 0
        if self._unsent is not None:
            watching |= WRITE
        if watching != self._watching and not self.closed:
            self._driver.watch(self._sock.fileno(), self, self._watching, watching)
            self._watching = watching
        end = link.end
        if end is not None:
            self._finish(end, now)
        self.owner.changed()
        timeout = self.next_timeout()
        if timeout != self._timeout:
            self._timeout = timeout
            if not self.closed:
                self._driver.reschedule(self, timeout)

    def give_up(self, now: float) -> None:
        """Close the socket, whatever the link says."""
        self.lose(now)

    def lose(self, now: float) -> None:
        """Close the socket and tell the link."""
        if self.closed:
            return
        self.closed = True
        self._driver.forget(self._sock.fileno(), self, self._watching)
        self._watching = 0
        self._unsent = None
        self._sock.close()
        self.link.connection_lost(now)
        self.owner.changed()

    # Inside.

    def _read(self, now: float) -> None:
        try:
            data = self._sock.recv(self.read_size)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.lose(now)
            return
        link = self.link
        if data:
            link.receive_data(data, now)
        else:
            self._eof = True
            link.receive_eof(now)
        self.owner.changed()
        if link.dirty or self._eof:
            self._driver.mark(self)

    def _send(self, data: bytes | memoryview, now: float) -> bool:
        """Give bytes to the socket, keep what it does not take, and say whether it took all."""
        try:
            sent = self.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.lose(now)
            return False
        if sent == len(data):
            self._unsent = None
            return True
        self._unsent = memoryview(data)[sent:]
        if sent or not self._watching & WRITE:
            self.link.write_blocked(now)
            self._driver.mark(self)  # its deadlines moved
        return False

    def _finish(self, end: End, now: float) -> None:
        if self._unsent is not None:
            if end is End.CLOSE:
                self._linger_at = now + LINGER
        elif end is End.CLOSE:
            self.lose(now)
        elif not self._half_closed:
            self._half_closed = True
            try:
                self._sock.shutdown(stdlib_socket.SHUT_WR)
            except OSError:
                self.lose(now)  # the peer was faster, with a reset
