"""Which sockets are ready: one kernel object for many sockets, which is itself a descriptor.

An event loop waits for that one descriptor and is told nothing of the sockets behind it. So a loop's own
price for each event, which is higher than that of reading one, is paid once for all that are ready.
"""

import select
import selectors
from typing import Final, Protocol

__all__ = ["READ", "WRITE", "EpollPoller", "Poller", "SelectorPoller", "make_poller"]

READ: Final = 1
WRITE: Final = 4

_BATCH: Final = 256
"""Sockets that are taken at once, so that the loop's other callbacks get their turn."""


class Poller(Protocol):
    """Watches sockets, known by their descriptors. Readiness is told as long as it lasts."""

    def fileno(self) -> int:
        """The descriptor that is readable while some socket is ready."""
        ...

    def watch(self, fd: int, before: int, events: int) -> None:
        """Watch for `events`, of READ and WRITE, where `before` were watched for; 0 is none.

        Raises:
            OSError: it cannot be watched.
        """
        ...

    def ready(self) -> list[tuple[int, int]]:
        """What is ready now, without waiting. Errors and hang-ups are told as other bits."""
        ...

    def close(self) -> None:
        """Give the descriptor back."""
        ...


class EpollPoller:
    """The poller of Linux."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.fileno = self._epoll.fileno
        self.close = self._epoll.close

    def watch(self, fd: int, before: int, events: int) -> None:
        """See `Poller`."""
        # READ and WRITE are the numbers of EPOLLIN and EPOLLOUT.
        if not before:
            if events:
                self._epoll.register(fd, events)
        elif events:
            self._epoll.modify(fd, events)
        else:
            # Without it a socket that hung up would be told again and again.
            self._epoll.unregister(fd)

    def ready(self) -> list[tuple[int, int]]:
        """See `Poller`."""
        return self._epoll.poll(0, _BATCH)


class SelectorPoller:
    """The poller of other systems whose selector is a descriptor, such as kqueue."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        fileno = getattr(self._selector, "fileno", None)
        if fileno is None:
            self._selector.close()
            raise OSError("hubbub's adapters need epoll or kqueue, which this system has not")
        self._fileno: int = fileno()
        self._skipped = 0

    def fileno(self) -> int:
        """See `Poller`."""
        return self._fileno

    def watch(self, fd: int, before: int, events: int) -> None:
        """See `Poller`."""
        wanted = (selectors.EVENT_READ if events & READ else 0) | (
            selectors.EVENT_WRITE if events & WRITE else 0
        )
        if not before:
            if wanted:
                self._selector.register(fd, wanted)
        elif wanted:
            self._selector.modify(fd, wanted)
        else:
            self._selector.unregister(fd)

    def ready(self) -> list[tuple[int, int]]:
        """See `Poller`."""
        found = self._selector.select(0)
        if len(found) > _BATCH:
            # Begin where the last batch ended: they may come in the same order again.
            at = self._skipped % len(found)
            self._skipped = at + _BATCH
            found = (found[at:] + found[:at])[:_BATCH]
        return [
            (
                key.fd,
                (READ if events & selectors.EVENT_READ else 0)
                | (WRITE if events & selectors.EVENT_WRITE else 0),
            )
            for key, events in found
        ]

    def close(self) -> None:
        """See `Poller`."""
        self._selector.close()


def make_poller() -> Poller:
    """The best poller of this system.

    Raises:
        OSError: there is none, or no descriptor is left.
    """
    return EpollPoller() if hasattr(select, "epoll") else SelectorPoller()
