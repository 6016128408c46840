"""How a hub ends: nobody new, a hint when to come back, and then everybody is closed, some at a time."""

from collections.abc import Iterable

from .codecs import native
from .frames import CloseCode
from .hub_limits import HubLimits
from .messages import Reconnect
from .outbox import Publication
from .outgoing import PreparedMessage
from .sender import Entropy
from .session import Session

__all__ = ["Drain"]

_STEPS = 65536


class Drain:
    """Closes sessions in batches, with 1001 behind what waits for them.

    Between two batches lies `drain_interval`, made up to a half shorter or longer by chance, so that
    servers that stop together do not send their clients away in step.

    Args:
        limits: of the hub.
        entropy: where the chance comes from.
    """

    def __init__(self, limits: HubLimits, entropy: Entropy) -> None:
        self._limits = limits
        self._entropy = entropy
        self._left: list[Session] = []
        self.at: float | None = None
        """When the next batch is due; None while there is none."""

    def begin(self, sessions: Iterable[Session], now: float) -> None:
        """Tell these when to come back, and begin to close them."""
        for session in sessions:
            after = round(self._chance() * self._limits.reconnect_spread, 3)
            hint = PreparedMessage.of_text(native.encode(Reconnect(after)))
            session.push(Publication(None, hint))  # who has no room for it is slow anyway
            self._left.append(session)
        self._left.reverse()  # taken from the end: who came first goes first
        self.at = now

    def act(self, now: float) -> None:
        """Close the next batch, if it is due."""
        if self.at is None or self.at > now:
            return
        for _ in range(min(self._limits.drain_batch, len(self._left))):
            self._left.pop().leave(CloseCode.GOING_AWAY, "the server is shutting down", now)
        wait = self._limits.drain_interval * (0.5 + self._chance())
        self.at = now + wait if self._left else None

    def _chance(self) -> float:
        """A number from 0 to below 1."""
        return int.from_bytes(self._entropy(2), "big") / _STEPS
