"""Has logs let go of what their rules do not keep any more, in memory and in the store."""

from .effects import Done, Outcome, Trim
from .history import Log
from .logs import Logs
from .pending import PendingEffects

__all__ = ["Trimming"]


class Trimming:
    """Says when.

    Args:
        logs: what was published.
        pending: where effects wait.
    """

    def __init__(self, logs: Logs, pending: PendingEffects) -> None:
        self._logs = logs
        self._pending = pending

    def stored(self, topic: str, log: Log, now: float) -> None:
        """The store has one publication more."""
        log.untrimmed += 1
        if log.untrimmed >= _trim_every(log):
            self._ask(topic, log, now)

    def read(self, topic: str, log: Log, now: float) -> None:
        """A log is about to be read: what is too old for its rule must not be found."""
        self._logs.trim(log, now)
        if log.durable and log.retention.max_age is not None and now >= log.trim_at:
            # It may have been quiet for long, or be older than this process.
            self._ask(topic, log, now)

    def _ask(self, topic: str, log: Log, now: float) -> None:
        log.untrimmed = 0
        if log.retention.max_age is not None:
            log.trim_at = now + max(1.0, log.retention.max_age / 8)

        def answered(outcome: Outcome, _: float) -> None:
            match outcome:
                case Done(int() as first):
                    found = self._logs.find(topic)
                    if found is not None:
                        found.forget_before(first)
                case _:
                    pass  # it is asked again

        self._pending.ask(Trim(self._pending.new_id(), topic, log.retention), answered, now)


def _trim_every(log: Log) -> int:
    """Often enough that a log is never much larger than its rule says, and seldom enough to be cheap."""
    kept = log.retention.max_records
    return max(64, min(1024, 1024 if kept is None else kept // 8))
