"""The real hub, and the real queues of its sessions, which tell what they do when they do it."""

from collections.abc import Callable, Mapping
from typing import Protocol

from ...core.effects import HookKind
from ...core.events import Requested
from ...core.hub import Hub
from ...core.hub_config import HubConfig
from ...core.outbox import Outbox
from ...core.session import Session
from .link import seeded_entropy

__all__ = ["WatchedHub", "WatchedOutbox", "Watcher"]


class Watcher(Protocol):
    """Who is told."""

    def requested(self, session: Session, now: float) -> None:
        """A session is about to be asked to open a WebSocket."""
        ...

    def received(self, session: Session, text: str | None, now: float) -> None:
        """A message is about to be handled; None is a binary one."""
        ...

    def handled(self) -> None:
        """That is done."""
        ...

    def ended(self, session: Session, code: int, cause: str, now: float) -> None:
        """A session is about to have no part in the hub any more."""
        ...

    def left(self, session: Session) -> None:
        """It has none."""
        ...


class WatchedHub(Hub):
    """The hub that is simulated.

    Args:
        watcher: who is told.
        config: its own.
        seed: of its entropy.
        hooks: its own.
    """

    def __init__(
        self,
        watcher: Watcher,
        config: HubConfig,
        seed: int,
        hooks: Mapping[HookKind, tuple[str, ...]],
    ) -> None:
        super().__init__(config, now=0.0, entropy=seeded_entropy(seed), hooks=hooks)
        self._watcher = watcher

    def requested(self, session: Session, event: Requested, now: float) -> None:
        """See `SessionHub`."""
        self._watcher.requested(session, now)
        super().requested(session, event, now)

    def text_received(self, session: Session, text: str, now: float) -> None:
        """See `SessionHub`."""
        self._watcher.received(session, text, now)
        super().text_received(session, text, now)
        self._watcher.handled()

    def binary_received(self, session: Session, now: float) -> None:
        """See `SessionHub`."""
        self._watcher.received(session, None, now)
        super().binary_received(session, now)
        self._watcher.handled()

    def ended(self, session: Session, code: int, cause: str, unsent: int, now: float) -> None:
        """See `SessionHub`."""
        self._watcher.ended(session, code, cause, now)
        super().ended(session, code, cause, unsent, now)
        self._watcher.left(session)


class WatchedOutbox(Outbox):
    """A session's queue, which tells what is taken from it when it is taken.

    The session may handle requests between that and giving it to its adapter.

    Args:
        limit: its own.
        tell: called with what is taken.
    """

    __slots__ = ("_inside", "_tell")

    def __init__(self, limit: int, tell: Callable[[list[bytes]], None]) -> None:
        super().__init__(limit)
        self._tell = tell
        self._inside = False

    def take_all(self) -> list[bytes]:
        """See `Outbox`."""
        return self._told(super().take_all())

    def take_answers(self) -> list[bytes]:
        """See `Outbox`."""
        return self._told(super().take_answers())

    def take(self, max_bytes: int, at_least_one: bool = True) -> list[bytes]:
        """See `Outbox`."""
        self._inside = True
        frames = super().take(max_bytes, at_least_one)
        self._inside = False
        return self._told(frames)

    def _told(self, frames: list[bytes]) -> list[bytes]:
        if not self._inside:
            self._tell(frames)
        return frames
