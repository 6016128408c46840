"""Writes what is published on topics to standard output."""

import sys

import msgspec

from ..core.messages import Position
from ..transports.asyncio import Chat, Notification, RemoteHub
from .connect.descriptors import write
from .failure import Failure

__all__ = ["Listening"]


class Listening:
    """What `hubbub listen` does.

    Args:
        topics: topics and patterns.
        since: where to begin, by topic.
        last: with so many of the newest.
        ack: acknowledge each publication once its line is written.
        consumer: with `ack`, which of the user's consumers this is.
        presence: tell who comes and goes.
        count: end after so many publications.
    """

    def __init__(
        self,
        topics: tuple[str, ...],
        *,
        since: dict[str, Position],
        last: int | None,
        ack: bool,
        consumer: str | None,
        presence: bool,
        count: int | None,
    ) -> None:
        self._topics = topics
        self._since = since
        self._last = last
        self._ack = ack
        self._consumer = consumer
        self._presence = presence
        self._left = count

    async def run(self, hub: RemoteHub) -> int:
        """Listen; the exit code.

        Raises:
            HubError: the hub refused the subscription, or ended it.
            Failure: nothing can be written.
        """
        subscription = hub.subscribe(
            *self._topics,
            since=self._since or None,
            last=self._last,
            ack="manual" if self._ack else False,
            name=self._consumer,
            presence=self._presence,
        )
        async with subscription:
            async for event in subscription:
                try:
                    await write(sys.stdout.fileno(), msgspec.json.encode(event) + b"\n")
                except BrokenPipeError:
                    return 0  # nobody reads on, which is no failure
                except OSError as error:
                    raise Failure(f"cannot write to standard output: {error.strerror}") from error
                if isinstance(event, (Chat, Notification)):
                    if self._ack:
                        await subscription.ack(event)
                    if self._left is not None:
                        self._left -= 1
                        if not self._left:
                            return 0
        return 0
