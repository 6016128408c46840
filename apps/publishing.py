"""Publishes messages of the command line, and writes the answers to standard output."""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any, Final

import msgspec

from ..core.errors import LocalProtocolError
from ..transports.asyncio import HubClosed, HubError, Published, RemoteHub
from .connect.descriptors import LineTooLong, lines, write
from .failure import Failure

__all__ = ["Publishing"]

_AT_ONCE: Final = 64
"""Lines that wait for their answers at once."""

_LONGEST: Final = 16 * 2**20
"""The longest line that is read, in bytes: as much as may wait to be sent."""


class Publishing:
    """What `hubbub publish` does.

    Args:
        topic: where to.
        key: what the messages are about.
        text: whether they are text, also where they look like JSON.
    """

    def __init__(self, topic: str, *, key: str | None, text: bool) -> None:
        self._topic = topic
        self._key = key
        self._text = text
        self._asked: deque[tuple[int, asyncio.Task[Published]]] = deque()

    async def one(self, hub: RemoteHub, message: str, idempotency_key: str | None) -> int:
        """Publish one message; the exit code.

        Raises:
            HubError: the hub refused it.
            Failure: it can't be sent.
        """
        value: Any = message  # any JSON value
        if not self._text:
            with suppress(msgspec.DecodeError, UnicodeEncodeError, RecursionError):
                value = msgspec.json.decode(message)
        try:
            answer = await hub.publish(
                self._topic, value, key=self._key, idempotency_key=idempotency_key
            )
        except LocalProtocolError as error:
            raise Failure(str(error), 2) from error
        await _print(answer)
        return 0

    async def lines(self, hub: RemoteHub) -> int:
        """Publish each line of standard input, in their order and many at once; the exit code.

        Raises:
            HubClosed: the client gave up.
            Failure: a line can't be published; what came before it was.
        """
        wrong: Failure | None = None
        values = self._values()
        try:
            while True:
                try:
                    number, value = await anext(values)
                except StopAsyncIteration:
                    break
                except Failure as failure:
                    wrong = failure  # once what came before it is published
                    break
                asking = hub.publish(self._topic, value, key=self._key)
                self._asked.append((number, asyncio.create_task(asking)))
                while self._asked and (len(self._asked) >= _AT_ONCE or self._asked[0][1].done()):
                    await self._answer()
            while self._asked:
                await self._answer()
        finally:
            for _, task in self._asked:
                task.cancel()
            await asyncio.gather(*(task for _, task in self._asked), return_exceptions=True)
        if wrong is not None:
            raise wrong
        return 0

    async def _answer(self) -> None:
        number, task = self._asked.popleft()
        try:
            answer = await task
        except HubClosed:
            raise
        except HubError as error:
            raise Failure(f"line {number} of the input: {error}") from error
        except LocalProtocolError as error:
            raise Failure(f"line {number} of the input: {error}", 2) from error
        await _print(answer)

    async def _values(self) -> AsyncGenerator[tuple[int, Any]]:
        """The lines' numbers, and what they stand for."""
        if sys.stdin is None:
            return
        number = 0
        try:
            async for line in lines(sys.stdin.fileno(), _LONGEST):
                number += 1
                yield number, line.decode() if self._text else msgspec.json.decode(line)
        except UnicodeDecodeError as error:
            raise Failure(f"line {number} of the input: not UTF-8", 2) from error
        except (msgspec.DecodeError, RecursionError) as error:
            text = f"line {number} of the input: not JSON; --text takes lines as text"
            raise Failure(text, 2) from error
        except LineTooLong:
            text = f"line {number + 1} of the input is longer than {_LONGEST} bytes"
            raise Failure(text, 2) from None
        except OSError as error:
            raise Failure(f"cannot read standard input: {error.strerror}") from error


async def _print(answer: Published) -> None:
    shown = msgspec.structs.replace(answer, id=None)
    try:
        await write(sys.stdout.fileno(), msgspec.json.encode(shown) + b"\n")
    except BrokenPipeError:
        return  # nobody reads it, which is no failure
    except OSError as error:
        raise Failure(f"cannot write to standard output: {error.strerror}") from error
