"""Topics with history, filled with numbered messages; and subscriptions to them that begin somewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from support.hub_pair import Message, Peer
from support.logged_hub import LoggedHub

__all__ = ["fill", "numbers", "offsets", "position", "resume", "since"]


def fill(hub: LoggedHub, topic: str, count: int, size: int = 100) -> None:
    """Publish messages of a size, which begin with their offset."""
    log = hub.hub._logs.find(topic)
    first = 1 if log is None else log.given + 1
    for number in range(first, first + count):
        hub.hub.publish(topic, f"{number}:".ljust(size), hub.now)
        hub.settle()


def offsets(messages: Iterable[Message]) -> list[int]:
    """Those of publications, which their messages begin with."""
    found = [(one["offset"], one["message"]) for one in messages]
    assert all(int(said.partition(":")[0]) == offset for offset, said in found), found
    return [offset for offset, _ in found]


def numbers(peer: Peer, topic: str) -> list[int]:
    """Take what came; the offsets of a topic's publications."""
    return offsets(one for one in peer.take() if one.get("topic") == topic and "message" in one)


def since(topic: str, offset: int, epoch: str) -> dict[str, Message]:
    """A position, as a request has it."""
    return {topic: {"offset": offset, "epoch": epoch}}


def position(peer: Peer, to: str, **fields: Any) -> Message:
    """Subscribe to a topic or a pattern; where that begins, if it has history."""
    answer = peer.ask(action="subscribe", topics=[to], **fields)
    assert answer["type"] == "subscribed", answer
    found: Message = answer.get("positions", {}).get(to, {})
    return found


def resume(peer: Peer, topic: str, offset: int) -> None:
    """Subscribe to a topic behind an offset of its newest epoch, which must succeed."""
    epoch = position(peer, topic)["epoch"]
    peer.ask(action="unsubscribe", topics=[topic])
    assert position(peer, topic, since=since(topic, offset, epoch))["recovered"]
