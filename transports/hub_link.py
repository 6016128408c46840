"""What a server of a hub has beside the hub itself: a link for each socket, and the hub's turns and timer."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from ..core.link import Link
from ..core.session import Session
from .driver import Driver
from .socket_link import OPENING_READ_SIZE, SocketLink
from .tls import TLSLink

if TYPE_CHECKING:
    from .hub_server import BaseHubServer

__all__ = ["HubPulse", "SessionLink"]

_PAUSE: Final = 1.0
"""Seconds until a hub that raised when its moment came is called again."""

_READ_SIZE: Final = 16384
"""The most that one read takes from a session that was let in: a few hundred requests."""

_MINUTE: Final = 60.0
"""Seconds between two looks at the clock on the wall, which people and time servers set."""


class SessionLink(SocketLink):
    """The socket of a session. Its owner is the server itself, so there is no object beside it."""

    __slots__ = ()

    @property
    def session(self) -> Session:
        """The session, which may be inside TLS."""
        link = self.link
        return cast("Session", link.inner if isinstance(link, TLSLink) else link)

    def _obey(self, link: Link, now: float) -> None:
        if self.read_size == OPENING_READ_SIZE and self.session.grant is not None:
            self.read_size = _READ_SIZE
        super()._obey(link, now)

    def lose(self, now: float) -> None:
        """Close the socket, tell the session, and let the server count it out."""
        if self.closed:
            return
        # A ring of objects would wait for the collector of garbage.
        self.session.carrier = None
        super().lose(now)
        cast("BaseHubServer", self.owner).left()


class HubPulse:
    """A hub, as its driver sees it: something to do at the end of a turn, and one timer for all sessions.

    Args:
        driver: that of the loop.
        next_timeout: when the hub wants to be called.
        settle: called at the end of a turn in which the hub did something.
        expire: called when the hub's moment has come.
        tell_time: called each minute.
    """

    def __init__(
        self,
        driver: Driver,
        *,
        next_timeout: Callable[[], float | None],
        settle: Callable[[], None],
        expire: Callable[[float], None],
        tell_time: Callable[[float], None],
    ) -> None:
        self._driver = driver
        self._next = next_timeout
        self._settle = settle
        self._expire = expire
        self._tell_time = tell_time
        self._minute_at = driver.now() + _MINUTE
        self._at: float | None = None
        self._stopped = False
        self.marked = False
        self.written: Callable[[], None] | None = None
        """Called once, when the sockets that were marked before it have been written to."""

    def rearm(self) -> None:
        """The hub's next moment may be another one."""
        at = self.next_timeout()
        if at != self._at:
            self._at = at
            self._driver.reschedule(self, at)

    def stop(self) -> None:
        """The hub has no sessions any more, and will have none."""
        self._stopped = True
        self.rearm()

    # For the driver.

    def flush(self, now: float) -> bytes | None:  # noqa: ARG002 - the shape is the driver's
        """The turn ends."""
        if not self._stopped:
            self._settle()
            self.rearm()
        return None if self.written is None else b""  # `send` is called behind those before it

    def next_timeout(self) -> float | None:
        """When the hub wants to be called, or the minute is over."""
        if self._stopped:
            return None
        at = self._next()
        return self._minute_at if at is None or at > self._minute_at else at

    def on_timeout(self, now: float) -> None:
        """The moment has come."""
        self._at = None  # it was taken out of the queue
        if now >= self._minute_at:
            self._minute_at = now + _MINUTE
            self._tell_time(now)
        self._expire(now)
        self.rearm()

    def give_up(self, now: float) -> None:
        """The hub raised, which it must not. Its sessions need it all the same."""
        if not self._stopped:
            self._at = now + _PAUSE
            self._driver.reschedule(self, self._at)

    def on_ready(self, events: int, now: float) -> None:
        """There is no socket here."""

    def send(self, data: bytes) -> int:
        """Nothing is written here; but what was to be written before has been."""
        if self.written is not None:
            written, self.written = self.written, None
            written()
        return len(data)

    def wrote(self, data: bytes, outcome: int | OSError, now: float) -> None:
        """Nothing is written here."""
