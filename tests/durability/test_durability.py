"""A short run of each kind against a real server, and the proof that what is wrong would be seen."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .account import Account
from .actors import Consumer, Publisher, Subscriber, World
from .campaigns import drop, kill
from .cli import render
from .wire import Message

on_both = pytest.mark.parametrize("transport", ["asyncio", "trio"])


@pytest.mark.slow
@on_both
def test_kills(transport: str, tmp_path: Path) -> None:
    """Killed under load, a server has all that it acknowledged; everybody goes on where they were."""
    account = asyncio.run(kill(tmp_path, transport, kills=4, seed=1, at_least=400))
    assert account.faults == []
    assert account.wrong == 0
    assert account.kills == 4
    assert account.published >= 400
    assert account.resumes > 10
    assert account.deliveries > 5 * account.published
    # On an idle machine a start takes half a second, nearly all of it CPU. CI's is not idle.
    assert all(cpu < 2.0 for cpu in account.serving_cpu)


@pytest.mark.slow
@on_both
def test_drops(transport: str, tmp_path: Path) -> None:
    """Clients that come and go get everything once, in order."""
    account = asyncio.run(drop(tmp_path, transport, clients=60, messages=2000, stays=0.3, seed=1))
    assert account.faults == []
    assert account.wrong == 0
    assert account.published == 2000
    assert account.drops > 20


# What the actors see.


def world() -> World:
    """Nobody is there."""
    return World(0, random.Random(1), Account("a test"))


def push(offset: int, said: str, epoch: str = "e") -> Message:
    """A publication."""
    return {
        "type": "notification",
        "topic": "kept.0",
        "offset": offset,
        "epoch": epoch,
        "message": said,
    }


def subscriber(*messages: Message, lossy: bool = False) -> Account:
    """What a subscriber, who has 1 to 3, says of these."""
    there = world()
    lossy_topics = frozenset({"kept.0"}) if lossy else frozenset[str]()
    one = Subscriber(there, "reader", ["kept.0"], lossy=lossy_topics)
    one.receive({"type": "subscribed", "positions": {"kept.0": {"offset": 0, "epoch": "e"}}})
    for number in (1, 2, 3):
        one.receive(push(number, f"p:{number}:"))
    one._since = {"kept.0": (3, "e")}
    for message in messages:
        one.receive(message)
    return there.account


def begins(offset: int, epoch: str, recovered: bool) -> Message:
    """The answer to a resume."""
    position = {"offset": offset, "epoch": epoch, "recovered": recovered}
    return {"type": "subscribed", "positions": {"kept.0": position}}


@pytest.mark.parametrize(
    ("messages", "wrong"),
    [
        ([push(4, "p:4:")], []),
        ([push(4, "q:1:", "f")], []),
        ([begins(3, "e", True), push(4, "p:4:")], []),
        ([push(3, "p:3:")], ["doubled", "doubled"]),
        ([push(4, "p:3:")], ["doubled"]),
        ([push(5, "p:5:")], ["untold"]),
        ([push(4, "p:2:")], ["disordered"]),
        ([push(2, "x:1:"), push(3, "p:4:")], ["doubled", "others", "others"]),
        ([begins(2, "e", True)], ["untold"]),
        ([begins(4, "f", False), push(5, "p:5:")], ["lost"]),
        ([{"type": "gap", "topic": "kept.0", "missed": 2, "offset": 5, "epoch": "e"}], ["lost"]),
        ([{"type": "gap", "topic": "kept.0", "missed": 1, "offset": 5, "epoch": "e"}], ["lost", "untold"]),
        ([{"type": "error", "code": "internal"}], ["others"]),
    ],
)  # fmt: skip
def test_a_subscriber_sees_what_is_wrong(messages: list[Message], wrong: list[str]) -> None:
    """Each thing that may not happen to it counts as what it is."""
    found = subscriber(*messages)
    assert [text.partition(":")[0] for text in found.faults] == wrong
    assert found.wrong == len(wrong)


def test_losses_that_are_told() -> None:
    """Where a log is trimmed they are no fault, and what follows is judged from there."""
    gap = {"type": "gap", "topic": "kept.0", "missed": 2, "offset": 5, "epoch": "e"}
    assert subscriber(gap, push(6, "p:6:"), lossy=True).wrong == 0
    assert subscriber(gap, push(7, "p:7:"), lossy=True).untold == 1
    assert subscriber(begins(9, "f", False), push(10, "p:9:"), lossy=True).wrong == 0


class _Silent:
    """A connection on which nothing is sent."""

    def send(self, **_: Any) -> None:
        """Nothing."""

    def abort(self) -> None:
        """Nothing."""


def consumer(steps: Callable[[Consumer], None]) -> Account:
    """What a consumer, who has handled 1 to 3 and acknowledged 2, says of some steps."""
    there = world()
    one = Consumer(there, "worker", "kept.0", "w")
    one.receive({"type": "subscribed", "positions": {"kept.0": {"offset": 0, "epoch": "e"}}})
    for number in (1, 2, 3):
        one.receive(push(number, f"p:{number}:"))
    one.acked = 2
    steps(one)
    return there.account


@pytest.mark.parametrize(
    ("begin", "offsets", "wrong"),
    [
        (2, [3, 4], []),
        (0, [1, 2, 3, 4], []),
        (3, [4], ["lost"]),
        (2, [4], ["untold"]),
        (2, [3, 4, 6], ["untold", "lost"]),
        (2, list(range(3, 68)), ["others"]),
    ],
)
def test_a_consumer_sees_what_is_wrong(begin: int, offsets: list[int], wrong: list[str]) -> None:
    """It must be given everything behind what it acknowledged, in order, in its window."""

    def steps(one: Consumer) -> None:
        one.receive(
            {"type": "subscribed", "positions": {"kept.0": {"offset": begin, "epoch": "e"}}}
        )
        for offset in offsets:
            one.receive(push(offset, f"p:{offset}:"))

    found = consumer(steps)
    assert [text.partition(":")[0] for text in found.faults] == wrong


def test_a_publisher_sees_what_is_wrong() -> None:
    """Answers come in order, are no errors, and name one place for each publication."""
    there = world()
    one = Publisher(there, "p", ["kept.0"], window=3)
    one.begin(_Silent())  # type: ignore[arg-type]
    first, second, _ = one.unanswered

    def answer(said: str, offset: int) -> Message:
        return {"type": "published", "id": said[:40], "offset": offset, "epoch": "e"}

    one.receive(answer(first, 1))
    assert there.account.faults == []
    one.receive(answer(first, 1))  # once more
    one.receive(answer(list(one.unanswered)[1], 1))
    one.receive({"type": "error", "id": second[:40], "code": "unavailable"})
    assert [text.partition(":")[0] for text in there.account.faults] == [
        "others", "disordered", "others", "others",
    ]  # fmt: skip


def test_the_table() -> None:
    """It has a column for each run."""
    account = Account("kill -9, trio", kills=7, serving=[0.5, 0.7, 0.6])
    account.fault("lost", "x")
    lines = render([account, Account("drops, trio")]).splitlines()
    assert lines[0] == "| | kill -9, trio | drops, trio |"
    assert "| kills, of these before it served | 7 (0) | 0 (0) |" in lines
    assert "| **acknowledged and lost** | 1 | 0 |" in lines
    assert "| serving again: median, slowest (s) | 0.60, 0.70 | ? |" in lines
