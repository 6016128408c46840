"""Bugs of a hub with a store, each planted into the real code: the simulation of crashes must find every one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec
import pytest

from hubbub.core.appending import Appending
from hubbub.core.consuming import Consuming
from hubbub.core.cursors import Cursor
from hubbub.core.feeding import Feeding
from hubbub.core.history import Log
from hubbub.core.idempotency import KnownKeys
from hubbub.core.logs import Logs
from hubbub.core.publication import Publication
from hubbub.core.records import Acknowledged, Heads, KnownKey
from hubbub.core.session import Session

__all__ = ["CRASH_BUGS", "CrashBug"]


class CrashBug(NamedTuple):
    """What is wrong, how to plant it, and what it breaks."""

    name: str
    plant: Callable[[pytest.MonkeyPatch], None]
    breaks: frozenset[str]


def _answered_before_commit(patch: pytest.MonkeyPatch) -> None:
    right = Appending.append

    def append(self: Appending, record: Any, publication: Any, stored: Any, now: float) -> None:
        stored(True, now)
        right(self, record, publication, lambda _stored, _now: None, now)

    patch.setattr(Appending, "append", append)


def _one_off(patch: pytest.MonkeyPatch) -> None:
    right = Feeding.begin

    def begin(self: Feeding, session: Session, topic: str, offset: int, now: float) -> None:
        right(self, session, topic, offset + 1, now)

    patch.setattr(Feeding, "begin", begin)


def _names_forgotten(patch: pytest.MonkeyPatch) -> None:
    def load(self: KnownKeys, topic: str, keys: Iterable[KnownKey]) -> None:
        pass

    patch.setattr(KnownKeys, "load", load)


def _redelivered_twice(patch: pytest.MonkeyPatch) -> None:
    right = Session.put

    def put(self: Session, publications: Any, *more: Any) -> Any:
        twice: list[Publication] = []
        for one in publications:
            again = one.message.payload.endswith(b',"redelivered":true}')
            twice.extend((one, one) if again else (one,))
        return right(self, twice, *more)

    patch.setattr(Session, "put", put)


def _epoch_stays(patch: pytest.MonkeyPatch) -> None:
    right = Logs.load

    def load(self: Logs, heads: Heads) -> None:
        right(self, heads)
        for topic, head in heads.topics.items():
            log = self.find(topic)
            if log is not None and head.epochs:
                log.epoch = head.epochs[-1].epoch

    patch.setattr(Logs, "load", load)


def _skips_at_the_head(patch: pytest.MonkeyPatch) -> None:
    right = Feeding._send

    def send(
        self: Feeding, session: Session, topic: str, log: Log, cursor: Cursor, *more: Any
    ) -> None:
        right(self, session, topic, log, cursor, *more)
        if cursor.consumer is not None and cursor.next > log.last:
            cursor.next += 1

    patch.setattr(Feeding, "_send", send)


def _acknowledged_for_another(patch: pytest.MonkeyPatch) -> None:
    right = Appending.acknowledge

    def acknowledge(self: Appending, acknowledged: Acknowledged, now: float) -> None:
        if acknowledged.name == "y":
            acknowledged = msgspec.structs.replace(acknowledged, name="x")
        right(self, acknowledged, now)

    patch.setattr(Appending, "acknowledge", acknowledge)


def _another_moves_too(patch: pytest.MonkeyPatch) -> None:
    right = Consuming._note

    def note(
        self: Consuming, session: Session, topic: str, name: str, offset: int, *more: Any
    ) -> None:
        right(self, session, topic, name, offset, *more)
        known = self._acknowledgements._known
        for (user, other, of), one in tuple(known.items()):
            if of == topic and (user, other) != (session.user, name) and one.offset < offset:
                known[user, other, of] = msgspec.structs.replace(one, offset=offset)

    patch.setattr(Consuming, "_note", note)


CRASH_BUGS = [
    CrashBug(
        "an answer before the commit",
        _answered_before_commit,
        frozenset({"it is stored before it is told"}),
    ),
    CrashBug("off by one in resume", _one_off, frozenset({"order holds, and every hole is told"})),
    CrashBug(
        "a key is forgotten on restart",
        _names_forgotten,
        frozenset({"a name that is known is not published again"}),
    ),
    CrashBug(
        "a redelivery is doubled",
        _redelivered_twice,
        frozenset({"a consumer has its time to acknowledge"}),
    ),
    CrashBug(
        "the epoch stays on restart",
        _epoch_stays,
        frozenset({"each start begins a new epoch", "an offset and an epoch name one publication"}),
    ),
    CrashBug(
        "a cursor skips one at the head", _skips_at_the_head, frozenset({"nothing is skipped"})
    ),
    CrashBug(
        "an acknowledgement is stored for another name",
        _acknowledged_for_another,
        frozenset({"an acknowledgement moves its own consumer"}),
    ),
    CrashBug(
        "an acknowledgement moves others, too",
        _another_moves_too,
        frozenset({"a consumer begins where it acknowledged"}),
    ),
]
