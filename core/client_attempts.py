"""When a client tries to connect again."""

from collections.abc import Iterator
from typing import Final

from .client_options import HubClientOptions
from .frames import ComeBack
from .sender import Entropy

__all__ = ["Attempts"]

_NAME: Final = 1.0
"""Seconds that are waited at least, unless all delays are shorter."""


class Attempts:
    """The delays between the attempts of one client.

    Where the hub's code says "at once", that holds for the first attempt; if that goes wrong too, delays
    grow as after any other failure. They begin anew once a connection has held for `settled_after`. Else
    a hub that lets us in and closes at once would be asked without pause.

    Args:
        options: `backoff`, `patient` and limits.
        entropy: where jitter comes from.
    """

    __slots__ = ("_delays", "_entropy", "_hint", "_options", "_ready_at", "count", "succeeded")

    def __init__(self, options: HubClientOptions, entropy: Entropy) -> None:
        self._options = options
        self._entropy = entropy
        self._delays: Iterator[float] | None = None
        self._hint: float | None = None
        self._ready_at: float | None = None
        self.count = 0
        """Attempts since the hub last let us in."""
        self.succeeded = False
        """Whether it ever did."""

    def begin(self) -> None:
        """Another attempt."""
        self.count += 1

    def opened(self) -> None:
        """There is a connection: what the last one said does not count any more."""
        self._hint = None

    def ready(self, now: float) -> None:
        """The hub let us in."""
        self._ready_at = now
        self.count = 0
        self.succeeded = True

    def hint(self, after: float, now: float) -> None:
        """The hub is about to stop, and said when to come back."""
        self._hint = now + min(max(0.0, after), self._options.limits.max_hint)

    def delay(self, come_back: ComeBack, now: float) -> float | None:
        """Seconds until the next attempt; None if there is to be none."""
        if come_back is ComeBack.NO or not (self.succeeded or self._options.patient):
            return None
        began, self._ready_at = self._ready_at, None
        if began is not None and now - began >= self._options.limits.settled_after:
            self._delays = None
        hint, self._hint = self._hint, None
        if hint is not None and come_back in (ComeBack.AFTER_HINT, ComeBack.YES):
            return max(0.0, hint - now)
        first = self._delays is None
        if self._delays is None:
            self._delays = self._options.backoff.delays(self._entropy)
        if first and come_back in (ComeBack.YES, ComeBack.RENEWED):
            return 0.0
        return next(self._delays)

    def later(self) -> float:
        """A delay for what is tried again on the connection that there is."""
        return next(self._options.backoff.delays(self._entropy))

    def name_delay(self) -> float:
        """The same for a name that is taken: a hub forgives about one mistake a second for ever."""
        return max(min(_NAME, self._options.backoff.first), self.later())
