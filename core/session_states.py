"""The states of one session of a hub and every move between them, as a table.

A pair that is not in the table cannot happen, and `SESSION[state, step]` raises `KeyError`.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

__all__ = ["SESSION", "SessionState", "SessionStep"]


class SessionState(Enum):
    """Where a session stands."""

    OPENING = "opening"
    """The opening handshake is not done, or the connection carries an ordinary HTTP request."""
    IDENTIFYING = "identifying"
    """Open, and nobody yet: a token, a name or, for anonymous peers, any request is awaited."""
    ADMITTING = "admitting"
    """Somebody outside is asked who it is, or whether it may come in. Nothing is read meanwhile."""
    OPEN = "open"
    """Let in."""
    WAITING = "waiting"
    """Somebody outside is asked about a request. Nothing is read meanwhile."""
    LEAVING = "leaving"
    """To be closed when what waits has left. Nothing new is taken."""
    OVER = "over"
    """It has no part in the hub any more; last bytes may leave."""


class SessionStep(Enum):
    """What moves a session."""

    OPENED = "opened"
    """The WebSocket is open."""
    ASK = "ask"
    """An effect was queued that it waits for."""
    ANSWERED = "answered"
    """The effect was answered, or given up."""
    ADMIT = "admit"
    """It is known and let in."""
    LEAVE = "leave"
    """Close it behind what waits."""
    END = "end"
    """It was closed, by whomever."""


SESSION: Mapping[tuple[SessionState, SessionStep], SessionState] = MappingProxyType(
    {
        (SessionState.OPENING, SessionStep.OPENED): SessionState.IDENTIFYING,
        (SessionState.OPENING, SessionStep.END): SessionState.OVER,
        (SessionState.IDENTIFYING, SessionStep.ASK): SessionState.ADMITTING,
        (SessionState.IDENTIFYING, SessionStep.ADMIT): SessionState.OPEN,
        (SessionState.IDENTIFYING, SessionStep.LEAVE): SessionState.LEAVING,
        (SessionState.IDENTIFYING, SessionStep.END): SessionState.OVER,
        (SessionState.ADMITTING, SessionStep.ANSWERED): SessionState.IDENTIFYING,
        (SessionState.ADMITTING, SessionStep.LEAVE): SessionState.LEAVING,
        (SessionState.ADMITTING, SessionStep.END): SessionState.OVER,
        (SessionState.OPEN, SessionStep.ASK): SessionState.WAITING,
        (SessionState.OPEN, SessionStep.LEAVE): SessionState.LEAVING,
        (SessionState.OPEN, SessionStep.END): SessionState.OVER,
        (SessionState.WAITING, SessionStep.ANSWERED): SessionState.OPEN,
        (SessionState.WAITING, SessionStep.LEAVE): SessionState.LEAVING,
        (SessionState.WAITING, SessionStep.END): SessionState.OVER,
        (SessionState.LEAVING, SessionStep.END): SessionState.OVER,
    }
)
