"""`hubbub connect --room`: a room of a hub, at a prompt or in a pipe."""

import sys

import msgspec

from ...transports.asyncio import (
    Chat,
    Gap,
    HubClosed,
    HubError,
    Notification,
    RemoteHub,
    Resumed,
    Subscription,
    System,
)
from ...transports.exceptions import ConnectionClosed
from ..escaping import escape
from .piped import Pipe

__all__ = ["RoomTalk"]


class RoomTalk:
    """Says lines in a room, and gives what is said there as lines.

    Args:
        room: its topic.
        wait: see `Pipe`.
    """

    def __init__(self, room: str, *, wait: float) -> None:
        self._room = room
        self._wait = wait
        self._hub: RemoteHub
        self._events: Subscription
        self._error: HubError | None = None

    async def run(self, hub: RemoteHub) -> int:
        """Talk; the exit code.

        Raises:
            HubError: the hub refused the subscription, or ended it.
            Failure: the input can't be sent, or nothing can be written.
        """
        self._hub = hub
        at_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
        async with hub.subscribe(self._room) as self._events:
            if at_terminal:
                # Here, because pipes need none of it.
                from .prompt import interact

                await interact(self, binary=False)
            else:
                await self._pipe()
        if self._error is not None:
            raise self._error
        return 0

    async def _pipe(self) -> None:
        source = None if sys.stdin is None else sys.stdin.fileno()
        shown = escape if sys.stdout.isatty() else str
        pipe = Pipe(
            self,
            source,
            sys.stdout.fileno(),
            binary=False,
            wait=self._wait,
            form=lambda line: f"{shown(str(line))}\n".encode(),
        )
        await pipe.run()

    # What a prompt or a pipe talks to.

    async def send(self, message: str | bytes) -> None:
        """Say something (see `Talk`)."""
        try:
            await self._hub.publish(self._room, message)
        except HubClosed as error:
            self._error = error
            raise ConnectionClosed(None) from error
        except HubError as error:
            raise ValueError(str(error)) from error

    async def recv(self) -> str:
        """What is said next, or what happens in the room (see `Talk`)."""
        while True:
            try:
                event = await anext(self._events)
            except StopAsyncIteration:
                raise ConnectionClosed(None) from None
            except HubError as error:
                self._error = error
                raise ConnectionClosed(None) from error
            line = _line(event)
            if line is not None:
                return line


def _line(event: object) -> str | None:
    match event:
        case Chat(sender=sender, message=message):
            return f"{sender}: {_text(message)}"
        case Notification(message=message):
            return _text(message)
        case System(message=message):
            return f"* {message}"
        case Gap(missed=missed):
            many = "some messages" if missed is None else f"{missed:,} messages"
            return f"* {many} were lost here"
        case Resumed(recovered=False):
            return "* the connection was lost; messages may be missing here"
        case _:
            return None


def _text(message: object) -> str:
    return message if isinstance(message, str) else msgspec.json.encode(message).decode()
