"""A hub in lock-step over the simulated network (see `support.hub_lockstep`)."""

from __future__ import annotations

from collections.abc import Sequence

from hubbub.core import End, Session
from hubbub.transports.simulated import Endpoint, SimulatedLink
from hubbub.transports.simulated.agenda import Agenda
from support.hub_lockstep import HubRecord, Peer, Step, WithoutLoop

__all__ = ["played_simulated"]


class _Client(Peer):
    """What a step says, at the far end of a simulated link."""

    def __init__(self, session: Session, agenda: Agenda) -> None:
        super().__init__(session)
        self.end: End | None = None
        self.near = Endpoint(session, lambda _: None, deferred=True)
        self.far = Endpoint(self, lambda _: None)
        self.link = SimulatedLink(self.near, self.far, seed=0, agenda=agenda)

    def say(self, data: bytes) -> None:
        """See `Peer`."""
        super().say(data)
        self.link.serve(self.far)

    def leave(self, now: float) -> None:
        """See `Peer`."""
        self.end = End.HALF_CLOSE
        self.link.serve(self.far)

    # As a `Link`.

    unchanged = False
    wants_read = True

    @property
    def wants_write(self) -> bool:
        """Whether something is to be said."""
        return bool(self.unread)

    @property
    def dirty(self) -> bool:
        """Likewise."""
        return bool(self.unread)

    def data_to_send(self, now: float, max_bytes: int = 65536) -> list[bytes]:
        """All that is to be said."""
        data, self.unread = self.unread, b""
        return [data] if data else []

    def receive_data(self, data: bytes, now: float) -> None:
        """The hub said something."""
        self.received += data

    def receive_eof(self, now: float) -> None:
        """The hub ended its stream."""
        self.ended = True

    def connection_lost(self, now: float) -> None:
        """The hub's socket is closed."""

    def write_blocked(self, now: float) -> None:
        """The hub does not read."""

    def next_timeout(self) -> float | None:
        """Never."""

    def handle_timeout(self, now: float) -> None:
        """There is none."""


class _Simulated(WithoutLoop):
    """Plays over simulated links, on virtual time."""

    def __init__(self) -> None:
        super().__init__()
        self._agenda = Agenda(self._now)

    def _peer(self, session: Session) -> Peer:
        return _Client(session, self._agenda)

    def _carry(self) -> bool:
        moved = bool(self._agenda)
        self._agenda.run(self._now)
        return moved

    def _flush(self, peer: Peer) -> bool:
        assert isinstance(peer, _Client)
        peer.link.serve(peer.near)
        return bool(self._agenda)


def played_simulated(steps: Sequence[Step]) -> HubRecord:
    """What happens over the simulated network."""
    return _Simulated().play(steps)
