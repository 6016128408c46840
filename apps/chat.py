"""The tutorial's chat server: plain text in, JSON out to everyone."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files

import msgspec

from ..core.handshake import HEALTHZ
from ..core.http import Response, Routes, respond
from ..core.states import State
from ..transports.fan_out import broadcast
from ..transports.server_connection import ServerConnection

__all__ = ["Chat", "chat_routes"]

logger = logging.getLogger("hubbub.chat")

TOO_SLOW = 4008
"""Close code for a member who does not keep up; come back."""


class ChatMessage(msgspec.Struct, tag="chat"):
    """What a member said."""

    sender: str
    message: str
    timestamp: str


class SystemMessage(msgspec.Struct, tag="system"):
    """Who came and who left."""

    message: str
    timestamp: str


def _now() -> str:
    return datetime.now(UTC).isoformat()


class Chat:
    """One room for all who connect.

    Args:
        now: the time as ISO 8601, for the messages.
    """

    def __init__(self, now: Callable[[], str] = _now) -> None:
        self._now = now
        self._members: dict[ServerConnection, str] = {}
        self._last = 0

    async def __call__(self, connection: ServerConnection) -> None:
        """Handle one member: announce, hand on what is said, announce."""
        name = self._name()
        self._tell(SystemMessage(f"{name} joined the chat", self._now()))
        self._members[connection] = name
        try:
            async for message in connection:
                if isinstance(message, bytes):
                    await connection.close(1003, "this chat takes text")
                    return
                self._tell(ChatMessage(name, message, self._now()))
        finally:
            del self._members[connection]
            self._tell(SystemMessage(f"{name} left the chat", self._now()))

    def _name(self) -> str:
        """A name that nobody present has; numbers are used in turn, so that none means two people soon."""
        taken = set(self._members.values())
        while True:
            self._last = self._last % max(999, 2 * len(taken)) + 1
            name = f"User-{self._last}"
            if name not in taken:
                return name

    def _tell(self, message: ChatMessage | SystemMessage) -> None:
        """Send to every member at once; who does not keep up is not waited for, but told and closed."""
        text = msgspec.json.encode(message).decode()
        for connection in broadcast(self._members, text):
            if connection.state is not State.OPEN:
                continue  # it leaves already
            logger.warning("%s does not keep up", self._members[connection])
            connection.close_soon(TOO_SLOW, "too slow")


def chat_routes() -> Routes:
    """The page at `/`, and what every server has."""
    page = files(__name__.rpartition(".")[0]).joinpath("pages", "chat.html").read_bytes()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = [("Content-Security-Policy", policy), ("Cache-Control", "no-cache")]
    html: Response = respond(200, page, "text/html; charset=utf-8", headers)
    return {**HEALTHZ, "/": html}
