"""Who comes no further than the door: counted, and told as far as that can do no harm.

Whoever can connect can cause such an event as often as it likes, without a credential. So of many only
some are told, each with the number of those that were not.
"""

from typing import Final

from .account import Account
from .http import Response
from .hub_events import OpeningRefused, TurnedAway
from .limits import TokenBucket

__all__ = ["Refusals"]

_TOLD_AT_ONCE: Final = 100
"""More than that in a row is a flood, of which nobody reads each line."""

_TOLD_A_SECOND: Final = 10.0
"""In the long run: a line of 100 bytes each makes 86 MB a day."""

_LONGEST: Final = 200
"""Bytes of a response that are told as its reason. The hub's own are shorter."""


class Refusals:
    """Counts and tells of peers that are kept out before anybody asks who they are.

    Args:
        account: where it is counted, and told.
        now: the time.
    """

    __slots__ = ("_account", "_budget", "_untold")

    def __init__(self, account: Account, now: float) -> None:
        self._account = account
        self._budget = TokenBucket(_TOLD_A_SECOND, _TOLD_AT_ONCE, now)
        self._untold = 0

    def turned_away(self, address: str | None, limit: str, now: float) -> None:
        """A limit of connections is reached."""
        self._account.counters.turned_away += 1
        if self._may_tell(now):
            self._account.tell(TurnedAway(address, limit, self._take_untold()))

    def refused(self, address: str | None, response: Response, now: float) -> None:
        """An opening request was answered with an error."""
        self._account.counters.openings_refused += 1
        if self._may_tell(now):
            text = response.body[:_LONGEST].decode(errors="replace")
            reason = text.partition("\n")[0]
            event = OpeningRefused(address, response.status, reason, self._take_untold())
            self._account.tell(event)

    def _may_tell(self, now: float) -> bool:
        told = self._budget.take(now)
        self._untold += not told
        return told

    def _take_untold(self) -> int:
        untold, self._untold = self._untold, 0
        return untold
