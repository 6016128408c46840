"""One connection of `hubbub connect`, from its opening to the exit code."""

import asyncio
import signal
import sys
from contextlib import suppress
from typing import Any

from ...transports.asyncio import connect
from ...transports.client_connection import ClientConnection
from ...transports.exceptions import WebSocketException
from ..escaping import escape
from ..failure import Failure
from .messages import shown, written
from .piped import Pipe
from .words import ending, place, why

__all__ = ["Session", "tell"]

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM

PATIENCE = 1.0
"""Seconds after which we say what we wait for."""


def tell(line: str) -> None:
    """One line of status on standard error."""
    if sys.stderr is not None:
        with suppress(OSError):  # nobody reads it, which is no failure
            sys.stderr.write(f"hubbub: {escape(line)}\n")
            sys.stderr.flush()


class Session:
    """Connects, talks and closes.

    Args:
        connecting: to whom.
        binary: whether what is typed or piped is hex digits.
        wait: see `Pipe`.
    """

    def __init__(self, connecting: connect, *, binary: bool, wait: float) -> None:
        self._connecting = connecting
        self._binary = binary
        self._wait = wait
        self._terminated = False

    def run(self) -> int:
        """The exit code.

        Raises:
            Failure: there is no connection, or the input can't be sent.
            KeyboardInterrupt: Ctrl-C before there was a connection, or again while it was closed.
        """
        if sys.stdout is None:
            raise Failure("standard output is closed: there is no place for what comes")
        try:
            with asyncio.Runner() as runner:
                return runner.run(self._main())
        except asyncio.CancelledError:
            return TERMINATED

    async def _main(self) -> int:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._terminate, task)
        connection = await self._connect()
        interrupted = False
        at_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
        tell(f"connected to {_about(connection, self._connecting.uri, at_terminal)}")
        try:
            await (self._prompt(connection) if at_terminal else self._pipe(connection))
        except asyncio.CancelledError:
            interrupted = True
            task.uncancel()
        finally:
            await self._close(connection)
        closed = connection.closed
        assert closed is not None
        code, line = ending(closed, self._connecting.uri)
        tell(line)
        if self._terminated:
            return TERMINATED
        # At the prompt Ctrl-C is how one leaves; in a pipe it cuts work short.
        return INTERRUPTED if interrupted and not at_terminal else code

    def _terminate(self, task: "asyncio.Task[Any]") -> None:
        self._terminated = True
        task.cancel()

    async def _connect(self) -> ClientConnection:
        try:
            return await self._connecting
        except (OSError, WebSocketException) as error:
            where = place(self._connecting.uri)
            raise Failure(f"cannot connect to {where}: {why(error)}") from error

    async def _close(self, connection: ClientConnection) -> None:
        closing = asyncio.create_task(connection.close())
        try:
            await asyncio.wait({closing}, timeout=PATIENCE)
            if not closing.done():
                where = place(self._connecting.uri)
                tell(f"waiting for {where} to answer our Close frame; Ctrl-C ends at once")
                await closing
        finally:
            closing.cancel()

    async def _prompt(self, connection: ClientConnection) -> None:
        # Here, because pipes need none of it.
        from .prompt import interact

        await interact(connection, binary=self._binary)

    async def _pipe(self, connection: ClientConnection) -> None:
        # A descriptor that was closed may since be another's.
        source = None if sys.stdin is None else sys.stdin.fileno()
        pipe = Pipe(
            connection,
            source,
            sys.stdout.fileno(),
            binary=self._binary,
            wait=self._wait,
            form=_shown_line if sys.stdout.isatty() else written,
        )
        await pipe.run()


def _shown_line(message: str | bytes) -> bytes:
    return f"{shown(message)}\n".encode()


def _about(connection: ClientConnection, uri: str, at_terminal: bool) -> str:
    offered = connection.request.headers.get("Sec-WebSocket-Protocol")
    words = place(uri)
    if connection.subprotocol is not None:
        words += f", subprotocol {connection.subprotocol}"
    elif offered is not None:
        words += ", none of the subprotocols"
    return words + ("; Ctrl-D ends" if at_terminal else "")
