"""Consumers of a hub in memory: how they begin, what they are sent, and what they acknowledge."""

from __future__ import annotations

from typing import Any

from hubbub.core.rules import Rule
from support.histories import position
from support.hub_pair import Message, Peer, config, tokens
from support.logged_hub import LoggedHub

__all__ = ["TIMEOUT", "ack", "again", "consumer", "first_time", "logged_hub", "received"]

RULES = (
    Rule(pattern="few.*", history=5),
    Rule(pattern="all.*", history=1000),
    Rule(pattern="stored.*", history=1000, durable=True),
)
TIMEOUT = 30.0
"""Seconds that a consumer has to acknowledge something."""


def logged_hub(**options: Any) -> LoggedHub:
    """A hub with these rules, and users who may do everything."""
    limits: dict[str, Any] = {"durable_memory": 4, "ack_timeout": TIMEOUT} | options
    return LoggedHub(config(rules=RULES, auth=tokens("ann", "bob"), **limits))


def consumer(
    hub: LoggedHub, topic: str, name: str = "", *, user: str = "ann", **fields: Any
) -> tuple[Peer, int]:
    """A session that consumes, and the offset behind which it begins."""
    peer = hub.user(user)
    found = position(peer, topic, ack=True, name=name, **fields)
    return peer, found["offset"]


def ack(peer: Peer, topic: str, offset: int) -> Message | None:
    """Acknowledge; the error, if one comes."""
    peer.send(action="ack", topic=topic, offset=offset, id="ack")
    found = [one for one in peer.inbox if one.get("id") == "ack"]
    for one in found:
        peer.inbox.remove(one)
    return found[0] if found else None


def received(peer: Peer, topic: str) -> list[tuple[int, bool]]:
    """Take what came: offsets, each with whether it is marked as sent again."""
    return [
        (one["offset"], one.get("redelivered", False))
        for one in peer.take()
        if one.get("topic") == topic and "message" in one
    ]


def first_time(*offsets: int) -> list[tuple[int, bool]]:
    """These, not marked."""
    return [(offset, False) for offset in offsets]


def again(*offsets: int) -> list[tuple[int, bool]]:
    """These, marked."""
    return [(offset, True) for offset in offsets]
