"""Talking to a server from a pipe or a file."""

import asyncio
import math
from collections.abc import Callable

from ...core.errors import LocalProtocolError
from ...transports.exceptions import ConnectionClosed
from ..failure import Failure
from .descriptors import LineTooLong, lines, write
from .messages import parse
from .talking import Talk

__all__ = ["Pipe"]

LONGEST = 16 * 2**20
"""The longest line that is read, in bytes: as much as may wait to be sent."""


class Pipe:
    """Sends lines and writes what comes, until the input has ended and the server is quiet.

    Args:
        connection: open.
        source: a descriptor; None is an input that has ended.
        sink: a descriptor.
        binary: whether lines are hex digits.
        wait: seconds of silence, after the input's end, that end it all.
        form: the line that is written for a message.
    """

    def __init__(
        self,
        connection: Talk,
        source: int | None,
        sink: int,
        *,
        binary: bool,
        wait: float,
        form: Callable[[str | bytes], bytes],
    ) -> None:
        self._connection = connection
        self._source = source
        self._sink = sink
        self._binary = binary
        self._wait = None if wait == math.inf else wait
        self._form = form
        self._patience: float | None = None
        self._timer: asyncio.Timeout | None = None

    async def run(self) -> None:
        """Do it.

        Raises:
            Failure: a line can't be sent; what came before it was.
        """
        sending = asyncio.create_task(self._send())
        sending.add_done_callback(self._sent)
        try:
            await self._receive()
        finally:
            sending.cancel()
            (outcome,) = await asyncio.gather(sending, return_exceptions=True)
        if isinstance(outcome, Exception):
            raise outcome

    def _sent(self, sending: "asyncio.Task[None]") -> None:
        """From now on the server's silence counts; after a mistake nothing is waited for."""
        if sending.cancelled():
            return
        self._patience = self._wait if sending.exception() is None else 0.0
        if self._timer is not None and self._patience is not None:
            self._timer.reschedule(asyncio.get_running_loop().time() + self._patience)

    async def _send(self) -> None:
        if self._source is None:
            return
        number = 0
        try:
            async for line in lines(self._source, LONGEST):
                number += 1
                text = line.decode(errors="surrogateescape")
                await self._connection.send(parse(text, binary=self._binary))
        except ConnectionClosed:
            return  # who receives tells how
        except LineTooLong:
            raise Failure(
                f"line {number + 1} of the input is longer than {LONGEST} bytes", 2
            ) from None
        except (ValueError, LocalProtocolError) as error:
            raise Failure(f"line {number} of the input: {error}", 2) from error
        except OSError as error:
            raise Failure(f"cannot read standard input: {error.strerror}") from error

    async def _receive(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._patience) as self._timer:
                    message = await self._connection.recv()
            except (TimeoutError, ConnectionClosed):
                return
            finally:
                self._timer = None
            try:
                await write(self._sink, self._form(message))
            except BrokenPipeError:
                return  # nobody reads on, which is no failure
            except OSError as error:
                raise Failure(f"cannot write to standard output: {error.strerror}") from error
