"""What a client of a hub is set up with, and every bound of it by name.

Sizes are bytes unless a field says otherwise; durations are seconds.
"""

from math import isfinite

import msgspec

from .backoff import Backoff

__all__ = ["ClientLimits", "HubClientOptions"]


class ClientLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bounds of a client beyond those of its connection.

    Raises:
        ValueError: a field cannot work; the message names it and says what can.
    """

    max_events: int = 1000
    """Events of one subscription that wait for the application. Then nothing is read on. Only while a
    request waits for its answer, which comes behind them, may it be twice as many."""

    max_events_size: int = 4 * 2**20
    """The same in characters, as they came."""

    max_requests: int = 1000
    """Requests that wait to be sent or answered. A caller waits for room."""

    max_requests_size: int = 16 * 2**20
    """The same in characters. As a connection's `max_write_buffer`."""

    max_subscriptions: int = 128
    """Subscriptions of one client. As a hub's."""

    max_places: int = 10_000
    """Topics of one subscription whose positions are remembered; patterns may match any number."""

    ack_batch: int = 32
    """Publications that were handled and not yet acknowledged; then that is said at once. Half of what
    a hub sends before it waits for that."""

    ack_interval: float = 0.1
    """Between two acknowledgements of one subscription, unless there are that many: a hub takes 50
    requests a second."""

    identify_timeout: float = 15.0
    """From an open connection to the answer about who we are. A hub may ask two functions of its own,
    each of which has 5 s."""

    name_timeout: float = 60.0
    """For our own dead connection to give our name free. A hub finds it dead after 40 s."""

    leave_timeout: float = 5.0
    """For requests to be answered that wait when the client is closed."""

    max_hint: float = 300.0
    """The longest time that a hub may tell us to stay away."""

    settled_after: float = 10.0
    """After which a connection that is lost counts as one that held: delays begin anew."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"{name}={value!r}: must be a number")  # noqa: TRY004 - as the others
            if (name.startswith("max_") and name != "max_hint") or name == "ack_batch":
                if not isinstance(value, int) or value < 1:
                    raise ValueError(f"{name}={value!r}: must be a whole number of at least 1")
            elif not isfinite(value) or value <= 0:
                raise ValueError(f"{name}={value!r}: must be a number above 0")


class HubClientOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a client of a hub is set up with.

    Raises:
        ValueError: a field cannot work, or contradicts another; the message says what to do.
    """

    token: str | None = None
    """Says who we are. With neither this, nor `fetches`, nor `name` the hub picks a name."""
    fetches: bool = False
    """Whether the outside is asked for a token, before each connection (`FetchToken`)."""
    name: str | None = None
    """What to be called, where the hub lets nameless peers in."""
    patient: bool = False
    """Whether the first connection, too, is tried again and again. Else its failure ends the client."""
    refresh_interval: float | None = None
    """Seconds after which a newer token is fetched and sent on the same connection; None never does."""
    backoff: Backoff = Backoff()
    """The delays between attempts."""
    limits: ClientLimits = ClientLimits()

    def __post_init__(self) -> None:
        if self.fetches and self.token is not None:
            raise ValueError("token: leave it out where one is fetched")
        if self.name is not None and (self.fetches or self.token is not None):
            raise ValueError("name: leave it out with a token, which says who we are")
        if self.name == "" or self.token == "":
            which = "name" if self.name == "" else "token"
            raise ValueError(f"{which}: is empty; leave it out, or give one")
        interval = self.refresh_interval
        if interval is not None:
            if not self.fetches:
                raise ValueError("refresh_interval: needs a function that fetches tokens")
            if not (isfinite(interval) and interval > 0):
                raise ValueError(f"refresh_interval={interval!r}: must be a number above 0")

    def __repr__(self) -> str:
        return f"HubClientOptions(name={self.name!r})"  # tokens don't belong into logs
