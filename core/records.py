"""What a store keeps of the topics that are durable, and what a hub needs of it at its start, as data.

A log is what a topic has published, by offset: 1, 2, 3 and so on, without holes. A store removes from its
beginning only. It consists of epochs: a hub begins a new one in each log at every start and whenever it
can't know what was stored, so that an offset and an epoch together name one publication for ever.
Offsets go on across epochs.
"""

from typing import Final

import msgspec

__all__ = [
    "EPOCHS_REMEMBERED",
    "KEYS_REMEMBERED",
    "KEY_SECONDS",
    "Acknowledged",
    "Damage",
    "Epoch",
    "Head",
    "Heads",
    "KnownKey",
    "Record",
    "Retention",
]

EPOCHS_REMEMBERED: Final = 32
"""Epochs of one topic; a position in an older one can't be recovered. Each start makes at most one, and
those whose publications have all been removed are forgotten anyway."""

KEYS_REMEMBERED: Final = 10_000
"""Idempotency keys of one topic."""

KEY_SECONDS: Final = 120.0
"""How long an idempotency key is remembered, in seconds."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One publication of a durable topic."""

    topic: str
    offset: int
    """From 1; one more than the record before it."""
    epoch: str
    data: bytes
    """The JSON that is pushed, as it will be sent."""
    at: float
    """When it was published, in seconds since 1970."""
    user: str | None = None
    """Who published it; None is the server itself."""
    idempotency_key: str | None = None
    key: str | None = None
    """What it is about, for topics that keep the latest of each key."""
    recipients: int = 0
    """What its publisher was told, and is told again for a repeat."""


class Acknowledged(msgspec.Struct, frozen=True, gc=False):
    """How far one consumer of a topic has come: everything up to there was handled."""

    user: str
    name: str
    """Which of the user's consumers; empty if it gave itself no name."""
    topic: str
    offset: int
    epoch: str
    """That of the record at `offset`. Behind a loss the same offset may mean another record."""
    at: float
    """When it was acknowledged, in seconds since 1970. The oldest are forgotten first."""


class Epoch(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stretch of a log."""

    epoch: str
    first: int
    """Its first offset."""
    last: int
    """Its last offset that was kept."""
    torn: bool = False
    """Whether records behind `last` were found to be lost. What followed is not all there."""


class KnownKey(msgspec.Struct, frozen=True, gc=False):
    """An idempotency key that is still remembered, and the answer to a repeat."""

    user: str | None
    key: str
    offset: int
    epoch: str
    recipients: int
    at: float
    """When the record was published, in seconds since 1970."""


class Head(msgspec.Struct, frozen=True):
    """Where a topic's log stands.

    The position to tell of the newest record is `last` with the epoch of that record, until the first
    record of a new epoch is stored: only epochs that hold a record are known to the store.
    """

    topic: str
    first: int
    """The first offset that is kept; `last + 1` if none is."""
    last: int
    """The newest offset; the next record has `last + 1`, in a new epoch. 0: there was none."""
    size: int = 0
    """Bytes of data that are kept."""
    epochs: tuple[Epoch, ...] = ()
    """Oldest first, at most `EPOCHS_REMEMBERED`."""
    keys: tuple[KnownKey, ...] = ()
    """Oldest first, at most `KEYS_REMEMBERED`, none older than `KEY_SECONDS`."""

    def recoverable(self, offset: int, epoch: str) -> bool:
        """Whether everything behind a position is kept, and nothing else would be sent as such.

        Offset 0 is the beginning in every epoch.
        """
        if not self.first - 1 <= offset <= self.last:
            return False
        if offset == 0:
            return not any(known.torn for known in self.epochs)
        for index, known in enumerate(self.epochs):
            if known.epoch == epoch:
                inside = known.first - 1 <= offset <= known.last
                return inside and not any(later.torn for later in self.epochs[index:])
        return False


class Damage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a store found broken when it was opened, and has lost."""

    reason: str
    topic: str | None = None
    """Whose log now ends earlier; None where something else was lost."""
    last: int | None = None
    """Where that log now ends."""
    lost: int | None = None
    """Records that are gone; None where nobody knows."""


class Heads(msgspec.Struct, frozen=True):
    """All that a restart needs."""

    topics: dict[str, Head] = {}
    acknowledged: tuple[Acknowledged, ...] = ()
    damages: tuple[Damage, ...] = ()
    """What this opening has found; the next does not tell it again."""


class Retention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of a log is kept. What passes any of the bounds goes, oldest first.

    Raises:
        ValueError: a bound can't work; the message names it.
    """

    max_records: int | None = None
    max_age: float | None = None
    """Seconds."""
    max_bytes: int | None = None
    """Of data."""

    def __post_init__(self) -> None:
        for name in ("max_records", "max_bytes"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or value < 1):
                raise ValueError(f"{name}={value!r}: must be a whole number of at least 1, or None")
        if self.max_age is not None and not 0 < self.max_age < float("inf"):
            raise ValueError(f"max_age={self.max_age!r}: must be a number above 0, or None")
