"""How far consumers have come is stored, and bounded."""

from __future__ import annotations

import pytest

from hubbub.core.appending import UNSTORED_KEPT
from hubbub.core.consumers import Acknowledgements
from hubbub.core.effects import Append, Failed, Read
from hubbub.core.records import Acknowledged
from support.consuming import ack, consumer, first_time, logged_hub, received
from support.histories import fill

# Stored positions.


def test_positions_outlive_the_process() -> None:
    """On a durable topic a consumer goes on where it was; what it had out is not marked by a new process."""
    hub = logged_hub()
    fill(hub, "stored.a", 5)
    ann, _ = consumer(hub, "stored.a", "x", last=5)
    ack(ann, "stored.a", 2)
    fresh, _ = consumer(hub, "stored.a", "fresh", last=1)
    hub.kill()
    ann, at = consumer(hub, "stored.a", "x")
    assert at == 2
    assert received(ann, "stored.a") == first_time(3, 4, 5)
    fresh, at = consumer(hub, "stored.a", "fresh")
    assert at == 4
    assert received(fresh, "stored.a") == first_time(5)


def test_acknowledgements_are_stored_with_what_is_published() -> None:
    """While an append is out they collect, and only the last of each consumer is stored."""
    hub = logged_hub()
    fill(hub, "stored.a", 5)
    ann, _ = consumer(hub, "stored.a", "x", last=5)
    hub.held = True
    hub.hub.publish("stored.a", "6:", hub.now)
    hub.settle()
    for offset in (1, 2, 3):
        ack(ann, "stored.a", offset)
    hub.hub.publish("stored.a", "7:", hub.now)
    hub.settle()
    (append,) = hub.effects
    assert isinstance(append, Append)
    assert append.acknowledged == ()
    hub.answer()
    (append,) = hub.effects
    assert isinstance(append, Append)
    assert [record.offset for record in append.records] == [7]
    (stored,) = append.acknowledged
    assert (stored.user, stored.name, stored.topic, stored.offset) == ("ann", "x", "stored.a", 3)


@pytest.mark.parametrize("after_storing", [False, True])
def test_an_acknowledgement_that_may_not_be_stored(after_storing: bool) -> None:
    """The process remembers it, and has it stored with what is stored next. Only a new one may not know it."""
    hub = logged_hub()
    fill(hub, "stored.a", 5)
    ann, _ = consumer(hub, "stored.a", "x", last=5)
    hub.shelf.broken, hub.shelf.fails_after_storing = "disk", after_storing
    ack(ann, "stored.a", 3)
    hub.shelf.broken = None
    ann, at = consumer(hub, "stored.a", "x")
    assert at == 3
    if after_storing:
        hub.kill()
        assert consumer(hub, "stored.a", "x")[1] == 3
    fill(hub, "stored.a", 1)
    hub.kill()
    assert consumer(hub, "stored.a", "x")[1] == 3


def test_a_consumer_that_began_while_nothing_could_be_stored() -> None:
    """What it was sent and has not acknowledged comes again, also from a process that is new."""
    hub = logged_hub()
    hub.shelf.broken = "disk"
    consumer(hub, "stored.a", "x")
    hub.shelf.broken = None
    fill(hub, "stored.a", 1)
    hub.kill()
    ann, at = consumer(hub, "stored.a", "x")
    assert at == 0
    assert received(ann, "stored.a") == first_time(1)


def test_how_many_wait_to_be_stored() -> None:
    """Beyond the bound the oldest of those that could not be stored are left to themselves."""
    hub = logged_hub()
    hub.shelf.broken = "disk"
    appending = hub.hub._appending
    for number in range(UNSTORED_KEPT + 5):
        appending.acknowledge(Acknowledged("ann", str(number), "stored.a", 0, "e", 0.0), hub.now)
        hub.settle()
    assert len(appending._unstored) <= UNSTORED_KEPT


def test_a_store_that_can_not_be_read_delays_only() -> None:
    """A consumer gets what it is owed once the store can be read again."""
    hub = logged_hub(durable_memory=1)
    fill(hub, "stored.a", 5)
    hub.held = True
    ann, _ = consumer(hub, "stored.a", "x", last=5)
    read = next(effect for effect in hub.effects if isinstance(effect, Read))
    hub.complete(Failed("disk"), read)
    hub.answer_all()
    hub.held = False
    hub.advance(1)
    assert received(ann, "stored.a") == first_time(1, 2, 3, 4, 5)


# Bounds.


def test_how_many_are_remembered() -> None:
    """Beyond the bound the one that was quiet longest is forgotten, with all that was noted of it."""
    known = Acknowledgements(2)

    def put(name: str, offset: int) -> None:
        known.put(Acknowledged("ann", name, "t", offset, "e", 0.0))

    put("a", 1)
    put("b", 1)
    known.note_sent("ann", "a", "t", 5)
    known.note_sent("ann", "b", "t", 7)
    put("a", 2)
    put("c", 1)
    assert len(known) == 2
    assert known.get("ann", "b", "t") is None
    assert known.sent("ann", "b", "t") == 0
    known.note_sent("ann", "b", "t", 9)
    assert known.sent("ann", "b", "t") == 0
    assert known.sent("ann", "a", "t") == 5
    known.note_sent("ann", "a", "t", 4)
    assert known.sent("ann", "a", "t") == 5
    put("d", 1)
    put("e", 1)
    assert known._sent == {}


def test_a_consumer_that_is_forgotten_while_it_is_there() -> None:
    """It goes on, and is remembered again by its next acknowledgement."""
    hub = logged_hub(max_consumers=1)
    fill(hub, "all.a", 4)
    x, _ = consumer(hub, "all.a", "x", last=4)
    consumer(hub, "all.a", "y", last=4)
    assert received(x, "all.a") == first_time(1, 2, 3, 4)
    assert ack(x, "all.a", 3) is None
    assert consumer(hub, "all.a", "x")[1] == 3
    assert consumer(hub, "all.a", "y")[1] == 4
