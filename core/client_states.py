"""The states of a hub's client and every move between them, as a table; and what a close means to it.

A pair that is not in the table cannot happen, and `CLIENT[state, step]` raises `KeyError`.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from .events import Closed
from .frames import COME_BACK, CloseCode, ComeBack

__all__ = ["CLIENT", "TRANSIENT", "ClientState", "ClientStep", "come_back_after", "words_of"]


class ClientState(Enum):
    """Where a client of a hub stands."""

    FETCHING = "fetching"
    """It waits for a token."""
    CONNECTING = "connecting"
    """It waits for a connection."""
    IDENTIFYING = "identifying"
    """It is connected, has said who it is, and waits for the answer."""
    READY = "ready"
    """It is let in."""
    WAITING = "waiting"
    """There is no connection, and the next attempt is some time off."""
    LEAVING = "leaving"
    """It says goodbye."""
    OVER = "over"
    """It will not connect again."""


class ClientStep(Enum):
    """What moves a client."""

    FETCH = "fetch"
    """A token is asked for."""
    CONNECT = "connect"
    """A connection is asked for."""
    OPENED = "opened"
    """There is one."""
    LET_IN = "let in"
    """The hub knows who it is."""
    LOST = "lost"
    """What was tried failed, or the connection ended, and it is worth another attempt."""
    LEAVE = "leave"
    """The user wants no more, and there is somebody to say goodbye to."""
    END = "end"
    """Nothing more is to be done, or would help."""


CLIENT: Final[Mapping[tuple[ClientState, ClientStep], ClientState]] = MappingProxyType(
    {
        (ClientState.WAITING, ClientStep.FETCH): ClientState.FETCHING,
        (ClientState.WAITING, ClientStep.CONNECT): ClientState.CONNECTING,
        (ClientState.WAITING, ClientStep.END): ClientState.OVER,
        (ClientState.FETCHING, ClientStep.CONNECT): ClientState.CONNECTING,
        (ClientState.FETCHING, ClientStep.LOST): ClientState.WAITING,
        (ClientState.FETCHING, ClientStep.END): ClientState.OVER,
        (ClientState.CONNECTING, ClientStep.OPENED): ClientState.IDENTIFYING,
        (ClientState.CONNECTING, ClientStep.LOST): ClientState.WAITING,
        (ClientState.CONNECTING, ClientStep.END): ClientState.OVER,
        (ClientState.IDENTIFYING, ClientStep.LET_IN): ClientState.READY,
        (ClientState.IDENTIFYING, ClientStep.LOST): ClientState.WAITING,
        (ClientState.IDENTIFYING, ClientStep.END): ClientState.OVER,
        (ClientState.READY, ClientStep.LOST): ClientState.WAITING,
        (ClientState.READY, ClientStep.LEAVE): ClientState.LEAVING,
        (ClientState.READY, ClientStep.END): ClientState.OVER,
        (ClientState.LEAVING, ClientStep.END): ClientState.OVER,
    }
)


TRANSIENT: Final = frozenset({500, 502, 503, 504})
"""HTTP statuses in answer to the opening request after which another attempt may go better."""

_OURS: Final[Mapping[int, ComeBack]] = {
    CloseCode.MESSAGE_TOO_BIG: ComeBack.NO,  # what the hub sent is too big for us the next time, too
    CloseCode.PROTOCOL_ERROR: ComeBack.BACK_OFF,
    CloseCode.INVALID_PAYLOAD_DATA: ComeBack.BACK_OFF,
}
"""What it means if we failed the connection: the fault was the peer's, or was made on the way."""


def come_back_after(closed: Closed) -> ComeBack:
    """Whether to connect again after a connection ended so.

    The hub's code says it (`COME_BACK`), unless it was we who failed the connection. A code that no hub
    sends, or a Close frame without one, is another program's: back off.
    """
    if closed.sent is not None and not closed.received_first:
        ours = _OURS.get(closed.sent.code or 0)
        if ours is not None:
            return ours
    try:
        return COME_BACK.get(CloseCode(closed.code), ComeBack.BACK_OFF)
    except ValueError:
        return ComeBack.BACK_OFF


def words_of(closed: Closed) -> str:
    """Why a connection ended, for people. A reason that the peer chose is quoted."""
    ours, theirs = closed.sent, closed.received
    if ours is not None and not closed.received_first and ours.code in _OURS:
        return f"we closed with {ours.code} {ours.reason!r}"
    if theirs is None:
        return closed.cause or "the connection was lost"
    code = "no code" if theirs.code is None else str(theirs.code)
    return f"closed with {code}{f' {theirs.reason!r}' if theirs.reason else ''}"
