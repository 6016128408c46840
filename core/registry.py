"""Who is connected to a hub: by link, by user, by name and by address."""

from collections.abc import Callable
from itertools import chain, count

from .auth import name_key
from .forwarded import PeerAddress
from .hub_limits import HubLimits
from .session import Session
from .session_states import SessionState

__all__ = ["Registry"]


class Registry:
    """The sessions of one hub. Everything is in order of coming, so that runs repeat.

    Args:
        limits: how many there may be.
    """

    def __init__(self, limits: HubLimits) -> None:
        self._limits = limits
        self._last = 0
        self.links: dict[Session, None] = {}
        """Every socket's, until the socket is closed or to be closed."""
        self.connected: dict[Session, None] = {}
        """Those with an open WebSocket, let in or not."""
        self.admitted: dict[Session, None] = {}
        """Those that were let in."""
        self.leaving: dict[Session, None] = {}
        """Those that were, and are closed behind what waits for them; until their sockets are closed."""
        self._users: dict[str, dict[Session, None]] = {}
        self._names: dict[str, int] = {}
        self._strangers: dict[str, tuple[Session, ...]] = {}
        self._addresses: dict[str | None, int] = {}
        self._opening = 0
        self._openings: dict[str | None, int] = {}
        """How many of those that open come from one address."""
        self._opening_from: dict[Session, str | None] = {}
        self._last_guest = 0

    # Links.

    def new_number(self) -> int:
        """A number that no session had before."""
        self._last += 1
        return self._last

    def add(self, session: Session, *, shared: bool = False) -> str | None:
        """A socket was accepted; the name of the limit that is passed, if one is.

        Too many may be opening, from its address or at all; or there are too many in all, which are
        those that open, are open, and close: so a flood of connections that are turned away is bounded
        too.

        Args:
            session: of the socket.
            shared: whether its address is that of many clients, which have no share of their own.
        """
        limits = self._limits
        self.links[session] = None
        self._opening += 1
        if not shared:
            address = session.address
            count = self._openings.get(address, 0) + 1
            self._openings[address] = count
            self._opening_from[session] = address
            if count > limits.max_opening_per_address:
                return "max_opening_per_address"
        if self._opening > limits.max_opening:
            return "max_opening"
        if len(self.links) > limits.max_connections + limits.max_opening:
            return "max_connections"
        return None

    def _opened(self, session: Session) -> None:
        """It is opening no more."""
        self._opening -= 1
        if session in self._opening_from:
            _count_down(self._openings, self._opening_from.pop(session))

    def remove(self, session: Session) -> None:
        """Its socket is closed or to be closed."""
        self.links.pop(session, None)
        self.leaving.pop(session, None)

    # Connections.

    def connect(self, session: Session) -> str | None:
        """Its WebSocket is open; the name of the limit that is passed, if one is."""
        self._opened(session)
        self.connected[session] = None
        count = self._addresses.get(session.address, 0) + 1
        self._addresses[session.address] = count
        if len(self.connected) > self._limits.max_connections:
            return "max_connections"
        if count > self._limits.max_connections_per_address:
            return "max_connections_per_address"
        return None

    def disconnect(self, session: Session) -> None:
        """It has no part in the hub any more."""
        if self.connected.pop(session, 0) is None:
            _count_down(self._addresses, session.address)
        else:
            self._opened(session)

    # Users.

    def admit(self, session: Session) -> None:
        """It was let in, as the user of its grant."""
        self.admitted[session] = None
        user = session.user
        self._users.setdefault(user, {})[session] = None
        key = name_key(user)
        self._names[key] = self._names.get(key, 0) + 1
        if session.grant is not None and session.grant.anonymous:
            self._strangers[key] = (*self._strangers.get(key, ()), session)

    def dismiss(self, session: Session) -> None:
        """One that was let in has ended."""
        del self.admitted[session]
        user = session.user
        sessions = self._users[user]
        del sessions[session]
        if not sessions:
            del self._users[user]
        key = name_key(user)
        self._names[key] -= 1
        if not self._names[key]:
            del self._names[key]
        strangers = tuple(one for one in self._strangers.get(key, ()) if one is not session)
        if strangers:
            self._strangers[key] = strangers
        else:
            self._strangers.pop(key, None)
        if session.state is SessionState.LEAVING:
            self.leaving[session] = None

    def of(self, user: str) -> tuple[Session, ...]:
        """A user's sessions, in order of coming."""
        return tuple(self._users.get(user, ()))

    def leaving_of(self, user: str) -> tuple[Session, ...]:
        """A user's sessions for which something waits that may still leave before they are closed."""
        return tuple(
            one for one in self.leaving if one.user == user and one.state is SessionState.LEAVING
        )

    def users(self) -> int:
        """How many users are there."""
        return len(self._users)

    def has_name(self, name: str) -> bool:
        """Whether somebody is called so, or so alike that they could be taken for each other."""
        return name_key(name) in self._names

    def namesakes(self, name: str) -> tuple[Session, ...]:
        """The anonymous sessions that are called so, or alike."""
        strangers = self._strangers.get(name_key(name), ())
        # One may have proved its name since, by a refresh.
        return tuple(one for one in strangers if one.grant is not None and one.grant.anonymous)

    def guest_name(self, reserved: Callable[[str], bool]) -> str:
        """A name for who chose none; numbers are used in turn, so that none means two people soon.

        Args:
            reserved: whether a name is kept for somebody.
        """
        span = max(9999, 2 * len(self._names))
        last = min(self._last_guest, span)
        # Beyond the span only where names are reserved by the thousand.
        numbers = chain(range(last + 1, span + 1), range(1, last + 1), count(span + 1))
        while True:
            self._last_guest = next(numbers)
            name = f"User-{self._last_guest}"
            if not self.has_name(name) and not reserved(name):
                return name


def _count_down(counts: dict[str | None, int], address: str | None) -> None:
    count = counts[address] - 1
    if count:
        counts[address] = count
    else:
        del counts[address]


def host_of(address: PeerAddress) -> str | None:
    """The host in a socket's address; None for a Unix socket."""
    if isinstance(address, tuple) and address:
        return str(address[0])
    return None
