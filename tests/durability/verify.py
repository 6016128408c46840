"""The store's file against all that anybody was told."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from hubbub.transports.stores.checking import check
from hubbub.transports.stores.database import Database
from hubbub.transports.stores.protocol import Counters

from .actors import World

__all__ = ["heads", "verify"]


def heads(world: World) -> dict[str, int]:
    """The newest offset of each topic, once every publication was acknowledged."""
    ends: dict[str, int] = {}
    for topic, offset, _ in world.acknowledged.values():
        ends[topic] = max(offset, ends.get(topic, 0))
    return ends


def verify(path: Path, world: World) -> None:
    """Look whether everything that was acknowledged is there, once, in order, and nothing is damaged."""
    account = world.account
    report = check(path)
    for problem in report.problems:
        account.fault("others", f"the store: {problem}")
    store = Database(path, time.time, Counters())
    store.open()
    try:
        for topic in {topic for topic, *_ in world.acknowledged.values()}:
            if not topic.startswith("memory."):
                _verify_topic(store, topic, world)
    finally:
        store.close()


def _verify_topic(store: Database, topic: str, world: World) -> None:
    account = world.account
    found: dict[int, tuple[str, str]] = {}
    places: dict[str, int] = {}
    lasts: dict[str, int] = {}
    after = 0
    while records := store.read(topic, after, 2**20):
        for record in records:
            said = msgspec.json.decode(record.data)["message"]
            if found and record.offset != after + 1:
                account.fault("lost", f"{topic}: from {after} to {record.offset}")
            after = record.offset
            found[after] = (record.epoch, said)
            if said in places:
                account.fault("doubled", f"{topic}: {said} at {places[said]} and {after}")
            places[said] = after
            publisher, number, _ = said.split(":", 2)
            if int(number) < lasts.get(publisher, 0):
                account.fault("disordered", f"{topic}: {said} behind {lasts[publisher]}")
            lasts[publisher] = int(number)
    first = min(found, default=0)
    for said, (where, offset, epoch) in world.acknowledged.items():
        if where == topic and offset >= first and found.get(offset) != (epoch, said):
            account.fault("lost", f"{topic} {offset} {epoch}: {said} is {found.get(offset)}")
    for (where, offset, epoch), said in world.names.items():
        if where == topic and offset >= first and found.get(offset) != (epoch, said):
            account.fault("others", f"{topic} {offset} {epoch}: {said} was got, and is not there")
