"""What the server's own code may tell a hub, from any task of its loop."""

from abc import abstractmethod
from typing import Any, Final

from ..core.hub import Hub
from ..core.messages import Published
from .driver import Driver, Promise
from .server_life import ServerLife
from .stores.protocol import StoreUnavailable

__all__ = ["HubCommands"]

_TURN: Final = 16
"""Publications in a row after which others get a turn, so that what they queued can leave."""


class HubCommands(ServerLife):
    """The commands of a hub's server, which see to it that what they queue leaves."""

    _hub: Hub | None = None
    _commands = 0
    """How many came in this turn of the loop."""
    _awaited: dict[int, Promise]
    """Publications that wait for the store."""

    @property
    def hub(self) -> Hub:
        """The machine, to look at its counters, topics and connections.

        Its commands are better given to the server, which sees to it that what they queue leaves.

        Raises:
            RuntimeError: the server is not started.
        """
        if self._hub is None:
            raise RuntimeError("the server is not started: use `async with serve_hub(…)`")
        return self._hub

    async def publish(
        self,
        topic: str,
        message: Any,
        *,
        sender: str | None = None,
        key: str | None = None,
        idempotency_key: str | None = None,
    ) -> Published:
        """Publish on a topic, past all hooks and grants. On a durable topic this waits for the store.

        Args:
            topic: a concrete one.
            message: any JSON value.
            sender: whose name a room's members see; without one they get a notification.
            key: what the message is about, for topics that keep the latest of each key.
            idempotency_key: a name for the message, at most 64 bytes, that makes a repeat harmless.

        Returns:
            How many sessions were subscribed, and the position where the topic keeps history.

        Raises:
            LocalProtocolError: no topic, or the message is no JSON.
            StoreUnavailable: it may or may not be stored: repeat it with the same `idempotency_key`.
        """
        driver = await self._turn()
        published = self.hub.publish(
            topic,
            message,
            driver.now(),
            sender=sender,
            key=key,
            idempotency_key=idempotency_key,
        )
        if not isinstance(published, int):
            self.changed()
            return published
        promise = self._awaited[published] = driver.promise()
        self.changed()
        stored: Published | None = await promise
        if stored is None:
            raise StoreUnavailable(
                "it may or may not be stored: repeat it with the same idempotency_key"
            )
        return stored

    async def send_to(self, user: str, message: Any, *, sender: str = "server") -> int:
        """Send a message to all sessions of one user; how many they are.

        Args:
            user: to whom.
            message: any JSON value.
            sender: whom it is from, as the user sees it.

        Raises:
            LocalProtocolError: the message is no JSON.
        """
        driver = await self._turn()
        reached = self.hub.send_to(user, message, driver.now(), sender=sender)
        self.changed()
        return reached

    async def disconnect(self, user: str, reason: str = "") -> int:
        """Close all sessions of one user with 4003; how many they were.

        Raises:
            LocalProtocolError: a reason that may not be sent.
        """
        driver = await self._turn()
        reached = self.hub.disconnect(user, driver.now(), reason)
        self.changed()
        return reached

    async def revoke(self, user: str, pattern: str) -> int:
        """Take topics away from all sessions of one user, what waits of them included.

        Returns:
            How many sessions that reached.

        Raises:
            LocalProtocolError: no pattern.
        """
        driver = await self._turn()
        reached = self.hub.revoke(user, pattern, driver.now())
        self.changed()
        return reached

    async def _turn(self) -> Driver:
        """Before each command: what a task on this loop must do to be a good neighbour."""
        self._check_started()
        driver = self._driver
        assert driver is not None
        self._commands += 1
        if self._commands >= _TURN:
            # Who publishes in a loop would else fill every queue before the first byte leaves.
            self._commands = 0
            await driver.checkpoint()
        elif driver.checks_cancellation:
            await driver.checkpoint_if_cancelled()
        return driver

    # For the server.

    @abstractmethod
    def changed(self) -> None:
        """The hub was given something: see to what it wants."""

    def _turn_ended(self) -> None:
        self._commands = 0

    def _stored(self, number: int, published: Published | None) -> None:
        """The answer came to a publication that waits; None: nobody knows whether it is stored."""
        promise = self._awaited.pop(number, None)
        if promise is not None and not promise.done():
            promise.set_result(published)

    def _give_up_publications(self) -> None:
        """No answer will come any more."""
        for number in tuple(self._awaited):
            self._stored(number, None)
