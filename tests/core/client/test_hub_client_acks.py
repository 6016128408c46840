"""Acknowledging: what is said, when, and again on the next connection."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.core.client_events import Resumed
from hubbub.core.client_options import ClientLimits
from hubbub.core.client_streams import Stream
from hubbub.core.errors import LocalProtocolError
from hubbub.core.messages import Gap, Position
from support.scripted_hub import ScriptedHub, note


def ready(**limits: Any) -> ScriptedHub:
    """A client that is let in."""
    hub = ScriptedHub(token="t", limits=ClientLimits(**limits))
    hub.let_in()
    return hub


def acks(hub: ScriptedHub) -> list[int]:
    """What was acknowledged since the last time."""
    hub.settle()
    found, hub.requests = hub.requests, []
    assert all(request["action"] == "ack" for request in found), found
    return [request["offset"] for request in found]


def take(hub: ScriptedHub, stream: Stream) -> Any:
    """The application takes an event; the offset of a publication."""
    event = hub.client.take(stream, hub.now)
    hub.settle()
    return getattr(event, "offset", event)


def test_taking_the_next_acknowledges_the_one_before() -> None:
    """Asking for it is enough, whether or not it is there."""
    hub = ready()
    jobs = hub.subscribed("jobs", ack=True, name="worker", at={"jobs": 4})
    hub.say(note("jobs", 5), note("jobs", 6))
    assert take(hub, jobs) == 5
    assert acks(hub) == []
    assert take(hub, jobs) == 6
    assert acks(hub) == [5]
    hub.advance(1.0)
    assert take(hub, jobs) is None
    assert acks(hub) == [6]
    assert take(hub, jobs) is None
    assert acks(hub) == []


def test_many_at_once() -> None:
    """Where many are handled they are acknowledged together: hubs take few requests a second."""
    hub = ready(ack_batch=10, ack_interval=0.5)
    jobs = hub.subscribed("jobs", ack=True, at={"jobs": 0})
    hub.say(*(note("jobs", offset) for offset in range(1, 26)))
    for offset in range(1, 26):
        assert take(hub, jobs) == offset
    assert acks(hub) == [1, 11, 21]
    hub.advance(0.4)
    assert acks(hub) == []
    hub.advance(0.2)
    assert acks(hub) == [24]


def test_by_hand() -> None:
    """Only what the application says counts, and all before it."""
    hub = ready()
    jobs = hub.subscribed("jobs", ack=True, manual=True, at={"jobs": 0})
    hub.say(note("jobs", 1), note("jobs", 2), note("jobs", 3))
    assert [take(hub, jobs) for _ in range(4)] == [1, 2, 3, None]
    assert acks(hub) == []
    hub.client.acknowledge(jobs, "jobs", Position(2, "e1"), hub.now)
    assert acks(hub) == [2]
    hub.advance(1.0)
    hub.client.acknowledge(jobs, "jobs", Position(1, "e1"), hub.now)
    hub.client.acknowledge(jobs, "other", Position(3, "e1"), hub.now)
    hub.client.acknowledge(jobs, "jobs", Position(99, "e1"), hub.now)
    assert acks(hub) == [3]  # no more than was sent to us
    plain = hub.subscribed("plain")
    with pytest.raises(LocalProtocolError, match="pass ack"):
        hub.client.acknowledge(plain, "plain", Position(1, "e1"), hub.now)


def test_a_lost_connection() -> None:
    """What was said may be lost, so it is said again, once the hub has sent that again."""
    hub = ready()
    jobs = hub.subscribed("jobs", ack=True, name="worker", at={"jobs": 0})
    hub.say(*(note("jobs", offset) for offset in range(1, 6)))
    assert [take(hub, jobs) for _ in range(3)] == [1, 2, 3]
    acks(hub)
    hub.cut()
    hub.let_in()
    (request,) = hub.take("subscribe")
    assert (request["ack"], request["name"]) == (True, "worker")
    assert request["since"] == {"jobs": {"offset": 5, "epoch": "e1"}}
    hub.grant(request, jobs=(0, "e1", True))
    assert acks(hub) == []
    hub.advance(1.0)
    hub.say(*(note("jobs", offset, redelivered=True) for offset in range(1, 4)), note("jobs", 4))
    assert [take(hub, jobs) for _ in range(3)] == [4, 5, Resumed("jobs", True, 5, "e1").offset]
    assert acks(hub) == [3]
    hub.say(note("jobs", 5), note("jobs", 6))
    hub.advance(1.0)
    assert take(hub, jobs) == 6
    assert acks(hub) == [5]


def test_another_consumer_of_that_name_went_on() -> None:
    """What it handled is not ours any more: the application is told that something is missing here."""
    hub = ready()
    jobs = hub.subscribed("jobs", ack=True, at={"jobs": 0})
    hub.cut()
    hub.let_in()
    (request,) = hub.take("subscribe")
    hub.grant(request, jobs=(7, "e1", True))
    hub.say(note("jobs", 8))
    assert hub.client.take(jobs, hub.now) == Resumed("jobs", False, 7, "e1")
    assert take(hub, jobs) == 8
    hub.advance(1.0)
    take(hub, jobs)
    assert acks(hub) == [8]


def test_another_log() -> None:
    """What was handled of a log that is no more does not count in the one that began after it."""
    hub = ready()
    jobs = hub.subscribed("jobs", ack=True, manual=True, at={"jobs": 0})
    hub.say(note("jobs", 1), note("jobs", 2), note("jobs", 3))
    assert [take(hub, jobs) for _ in range(3)] == [1, 2, 3]
    hub.cut()
    hub.let_in()
    (request,) = hub.take("subscribe")
    hub.grant(request, jobs=(0, "e2", False))
    hub.say(note("jobs", 1, "e2"), note("jobs", 2, "e2"))
    assert hub.client.take(jobs, hub.now) == Resumed("jobs", False, 0, "e2")
    hub.client.acknowledge(jobs, "jobs", Position(3, "e1"), hub.now)
    assert [take(hub, jobs) for _ in range(3)] == [1, 2, None]
    assert acks(hub) == []
    hub.client.acknowledge(jobs, "jobs", Position(1, "e2"), hub.now)
    assert acks(hub) == [1]


def test_the_hub_has_lost_the_tail_of_its_log() -> None:
    """A consumer that is set back in the same log is not sent again what it has."""
    hub = ready()
    jobs = hub.subscribed("jobs", ack=True, at={"jobs": 0})
    hub.say(note("jobs", 1), note("jobs", 2), note("jobs", 3))
    hub.cut()
    hub.let_in()
    (request,) = hub.take("subscribe")
    hub.grant(request, jobs=(2, "e1", False))
    hub.say(note("jobs", 3, "e2"), note("jobs", 4, "e2"))
    assert [take(hub, jobs) for _ in range(7)] == [1, 2, 3, 2, 2, 3, 4]


def test_leaving() -> None:
    """A block that ends well has handled the last event; one that fails has not."""
    hub = ready()
    jobs = hub.subscribed("jobs", ack=True, at={"jobs": 0})
    hub.say(note("jobs", 1))
    assert take(hub, jobs) == 1
    hub.client.finish(jobs, hub.now)
    assert acks(hub) == [1]
    hub.say(note("jobs", 2))
    assert take(hub, jobs) == 2
    hub.client.unsubscribe(jobs, hub.now)
    hub.settle()
    hub.take("unsubscribe")


def test_closing() -> None:
    """What was handled and not yet said is said before goodbye."""
    hub = ready(ack_interval=100.0)
    jobs = hub.subscribed("jobs", ack=True, at={"jobs": 0})
    hub.say(note("jobs", 1), note("jobs", 2), note("jobs", 3))
    assert [take(hub, jobs) for _ in range(3)] == [1, 2, 3]
    assert acks(hub) == [1]
    hub.client.close(hub.now)
    assert acks(hub) == [2]


def test_a_gap_is_handled_too() -> None:
    """What a hub does not keep any more need not be acknowledged one by one."""
    hub = ready()
    jobs = hub.subscribed("jobs", ack=True, at={"jobs": 0})
    hub.say({"type": "gap", "topic": "jobs", "missed": 5, "offset": 5, "epoch": "e1"})
    assert take(hub, jobs) == 5
    assert take(hub, jobs) is None
    assert acks(hub) == [5]


def test_a_topic_that_is_taken_away() -> None:
    """Nothing of it is acknowledged any more; of the others it is."""
    hub = ready()
    jobs = hub.subscribed("jobs", "tasks", ack=True, at={"jobs": 0, "tasks": 0})
    hub.say(note("jobs", 1), note("tasks", 1))
    assert [take(hub, jobs) for _ in range(2)] == [1, 1]
    hub.say({"type": "unsubscribed", "topics": ["jobs"], "reason": "replaced"})
    acks(hub)
    hub.advance(1.0)
    take(hub, jobs)
    take(hub, jobs)
    hub.settle()
    assert [request["topic"] for request in hub.requests] == ["tasks"]


def test_what_comes_again_behind_a_loss() -> None:
    """Where nobody knows how much is lost, it is still known what was got before: that does not come twice."""
    hub = ready()
    jobs = hub.subscribed("jobs", ack=True, manual=True, at={"jobs": 0})
    hub.say(note("jobs", 1), note("jobs", 2), note("jobs", 3))
    hub.say({"type": "gap", "topic": "jobs", "missed": None})
    hub.say(note("jobs", 3, "e2"), note("jobs", 4, "e2"))
    hub.say(note("jobs", 2, redelivered=True), note("jobs", 3, "e2", redelivered=True))
    hub.say(note("jobs", 5, "e2"))
    assert [take(hub, jobs) for _ in range(8)] == [1, 2, 3, None, 3, 4, 5, None]


def test_a_gap_in_what_is_sent_again() -> None:
    """The application is told of as many as it has not got."""
    hub = ready()
    jobs = hub.subscribed("jobs", ack=True, manual=True, at={"jobs": 0})
    hub.say(note("jobs", 1), note("jobs", 2), note("jobs", 3))
    hub.say({"type": "gap", "topic": "jobs", "missed": 5, "offset": 5, "epoch": "e1"})
    assert [take(hub, jobs) for _ in range(3)] == [1, 2, 3]
    assert hub.client.take(jobs, hub.now) == Gap("jobs", 2, 5, "e1")


def test_a_log_that_goes_on_behind_a_loss() -> None:
    """Where the hub begins before all that was got, and can't say whether all follows, nobody waits for ever."""
    hub = ready()
    jobs = hub.subscribed("jobs", ack=True, manual=True, at={"jobs": 0})
    hub.say(note("jobs", 1), note("jobs", 2))
    assert [take(hub, jobs) for _ in range(2)] == [1, 2]
    hub.client.acknowledge(jobs, "jobs", Position(2, "e1"), hub.now)
    assert acks(hub) == [2]
    hub.cut()
    hub.let_in()
    (request,) = hub.take("subscribe")
    hub.grant(request, jobs=(0, "e2", False))
    hub.say(note("jobs", 1), note("jobs", 2))
    hub.advance(1.0)
    assert hub.client.take(jobs, hub.now) == Resumed("jobs", False, 0, "e2")
    assert take(hub, jobs) is None
    assert acks(hub) == [2]


def test_a_tail_that_is_lost_was_not_handled() -> None:
    """What takes the place of something that was handled is acknowledged when it is handled itself."""
    hub = ready()
    jobs = hub.subscribed("jobs", ack=True, manual=True, at={"jobs": 0})
    hub.say(*(note("jobs", offset) for offset in range(1, 6)))
    assert [take(hub, jobs) for _ in range(5)] == [1, 2, 3, 4, 5]
    hub.client.acknowledge(jobs, "jobs", Position(5, "e1"), hub.now)
    assert acks(hub) == [5]
    hub.say({"type": "gap", "topic": "jobs", "missed": None})
    hub.say(*(note("jobs", offset, "e2") for offset in range(3, 7)))
    hub.advance(1.0)
    assert acks(hub) == []
    hub.client.acknowledge(jobs, "jobs", Position(5, "e1"), hub.now)
    assert acks(hub) == []
    hub.client.acknowledge(jobs, "jobs", Position(3, "e2"), hub.now)
    assert acks(hub) == [3]


def test_a_place_that_is_known_again() -> None:
    """Where the next connection goes on from what was got, all that is missing from there is counted."""
    hub = ready()
    jobs = hub.subscribed("jobs", ack=True, manual=True, at={"jobs": 0})
    hub.say(note("jobs", 1), note("jobs", 2), {"type": "gap", "topic": "jobs", "missed": None})
    hub.cut()
    hub.let_in()
    (request,) = hub.take("subscribe")
    hub.grant(request, jobs=(0, "e1", True))
    hub.say({"type": "gap", "topic": "jobs", "missed": 9, "offset": 9, "epoch": "e1"})
    assert [take(hub, jobs) for _ in range(4)] == [1, 2, None, 2]
    assert hub.client.take(jobs, hub.now) == Gap("jobs", 7, 9, "e1")


def test_a_place_follows_what_comes_again() -> None:
    """A consumer that is set back to the beginning goes on, on its next connection, where it was then."""
    hub = ready()
    jobs = hub.subscribed("jobs", ack=True, manual=True, at={"jobs": 0})
    hub.say(*(note("jobs", offset) for offset in range(1, 5)))
    hub.cut()
    hub.let_in()
    (request,) = hub.take("subscribe")
    hub.grant(request, jobs=(0, "e2", False))
    hub.say(note("jobs", 1), note("jobs", 2))
    hub.advance(20.0)
    hub.cut()
    hub.let_in()
    (request,) = hub.take("subscribe")
    assert request["since"] == {"jobs": {"offset": 2, "epoch": "e1"}}
    hub.grant(request, jobs=(1, "e1", True))
    hub.say(*(note("jobs", offset) for offset in range(2, 6)))
    assert [take(hub, jobs) for _ in range(8)] == [1, 2, 3, 4, 0, 2, 5, None]


def test_an_epoch_that_goes_on() -> None:
    """What the hub still sends counts, though it began elsewhere meanwhile."""
    hub = ready()
    jobs = hub.subscribed("jobs", ack=True, manual=True, at={"jobs": 0})
    hub.cut()
    hub.let_in()
    (request,) = hub.take("subscribe")
    hub.grant(request, jobs=(0, "e2", False))
    hub.say(note("jobs", 1, "e0"), note("jobs", 2, "e1"))
    assert [take(hub, jobs) for _ in range(3)] == [0, 1, 2]
    hub.client.acknowledge(jobs, "jobs", Position(2, "e1"), hub.now)
    assert acks(hub) == [2]
