"""What a prompt or a pipe talks to."""

from typing import Protocol

__all__ = ["Talk"]


class Talk(Protocol):
    """A connection, or a room of a hub."""

    async def send(self, message: str | bytes) -> None:
        """Send a message.

        Raises:
            ConnectionClosed: there is nobody any more.
            ValueError: this message can't be sent.
            LocalProtocolError: likewise.
        """
        ...

    async def recv(self) -> str | bytes:
        """The next message.

        Raises:
            ConnectionClosed: none will come.
        """
        ...
