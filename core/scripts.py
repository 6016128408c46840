"""What clients of a hub do, as data: scripts that a simulation plays and a strategy makes up.

A script is a tuple of steps in the order of their moments. It says what clients do, not what comes of it:
a step that can't be done, such as a request of somebody who is not connected, is passed over.
"""

from typing import Any

import msgspec

__all__ = ["Action", "Close", "Connect", "Cut", "Script", "Send", "Stall", "Step"]


class Connect(msgspec.Struct, frozen=True):
    """Open a connection; one that is open already is closed first.

    With neither a token nor a name it says nothing of who it is.
    """

    token: str | None = None
    """A token, in the opening request."""
    name: str | None = None
    """A name, likewise."""


class Send(msgspec.Struct, frozen=True):
    """Send a text message."""

    request: dict[str, Any] | str  # any JSON object
    """A request, which is written as JSON; or the text itself, whatever it is."""


class Cut(msgspec.Struct, frozen=True):
    """The connection is lost without a word, and both sides learn it."""


class Close(msgspec.Struct, frozen=True):
    """Close the connection in order."""

    code: int = 1000


class Stall(msgspec.Struct, frozen=True):
    """Read and write nothing for some seconds, as a frozen process does."""

    seconds: float


Action = Connect | Send | Cut | Close | Stall
"""What somebody does."""


class Step(msgspec.Struct, frozen=True):
    """Somebody does something at a moment."""

    at: float
    """Seconds since the script began."""
    who: str
    """Tells clients apart; no two have the same."""
    action: Action


Script = tuple[Step, ...]
"""Steps in the order of their moments."""
