"""Is the peer still there: keepalive pings, pings of the application, and latency."""

from .errors import LocalProtocolError
from .events import Pong
from .limits import Limits

__all__ = ["Keepalive"]


class Keepalive:
    """The pings of one connection that wait for their pong."""

    __slots__ = ("_pings", "_probe", "heard", "latency", "probe_at")

    def __init__(self) -> None:
        self._pings: dict[bytes, float] | None = None
        self._probe: bytes | None = None
        self.probe_at: float | None = None
        """When the keepalive ping left, or None while it waits to leave."""
        self.heard = False
        """Set at every byte that arrives: any byte proves life."""
        self.latency = 0.0
        """Seconds from the last keepalive ping to its pong; 0.0 before the first."""

    @property
    def probing(self) -> bool:
        """Whether a keepalive ping waits to leave or for its pong."""
        return self._probe is not None

    def probe(self, entropy: bytes) -> bytes:
        """Begin a keepalive ping; its payload. `entropy` keeps a peer from answering unasked."""
        self._forget_probe()
        self._probe = entropy
        self.probe_at = None
        self.heard = False
        return entropy

    def probe_left(self, now: float) -> bool:
        """The bytes that waited were taken. Whether the keepalive ping was among them."""
        if self._probe is None or self.probe_at is not None:
            return False
        self.probe_at = now
        self.heard = False
        self._waiting()[self._probe] = now
        return True

    def alive(self) -> bool:
        """At the pong deadline: whether anything was heard since the ping. Ends the probe."""
        self._forget_probe()
        return self.heard

    def _forget_probe(self) -> None:
        if self._probe is not None and self._pings is not None:
            self._pings.pop(self._probe, None)
            if not self._pings:
                self._pings = None
        self._probe = None

    def _waiting(self) -> dict[bytes, float]:
        if self._pings is None:
            self._pings = {}
        return self._pings

    def ping(self, payload: bytes, now: float, limits: Limits) -> None:
        """Remember a ping of the application.

        Raises:
            LocalProtocolError: over 125 bytes, already waiting, or too many waiting.
        """
        if len(payload) > 125:
            raise LocalProtocolError(f"a ping carries at most 125 bytes, not {len(payload)}")
        pings = self._waiting()
        if payload in pings or payload == self._probe:
            raise LocalProtocolError("a ping with this payload waits for its pong: choose another")
        if len(pings) - (self._probe in pings) >= limits.max_pending_pings:
            raise LocalProtocolError(
                f"{len(pings)} pings wait for their pong: await one, or raise max_pending_pings"
            )
        pings[payload] = now

    def receive_pong(self, payload: bytes, now: float) -> list[Pong]:
        """Match a pong. It answers the ping with its payload and all before it (RFC 6455, 5.5.3)."""
        pings = self._pings
        if not pings or payload not in pings:
            return []  # unsolicited: legal, and means nothing
        answered: list[Pong] = []
        for sent in list(pings):
            at = pings.pop(sent)
            if sent != self._probe:
                answered.append(Pong(sent, now - at))
            else:
                self._probe = None
                if sent == payload:
                    self.latency = now - at
            if sent == payload:
                break
        if not pings:
            self._pings = None
        return answered
