"""Whatever publishes, cuts, slow readers, failures of the store and crashes come: nothing is lost untold."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hubbub.core.effects import Read
from hubbub.core.records import KEY_SECONDS
from hubbub.core.rules import Rule
from support.hub_pair import Message, Peer, config, tokens
from support.logged_hub import LoggedHub, Position
from support.logged_visitors import Consumer, Reader, Visitor

RULES = (
    Rule(pattern="d.*", history=10_000, durable=True),
    Rule(pattern="m.*", history=6),
    Rule(pattern="b.*", history_bytes=2500, priority="high"),
)
TOPICS = ("d.a", "d.b", "m.a", "b.a")
OUTBOX = 1500
LARGEST = 700
WINDOW = 4
ACK_TIMEOUT = 30.0

LIMITS: dict[str, Any] = {
    "outbox_size": OUTBOX,
    "durable_memory": 4,
    "max_unacknowledged": WINDOW,
    "ack_timeout": ACK_TIMEOUT,
    "max_pending_publishes": 5,
    "request_burst": 10**6,
    "request_rate": 1e6,
    "error_burst": 10**6,
}

topics = st.sampled_from(TOPICS)
numbers = st.integers(0, 2)
sizes = st.sampled_from([10, 10, 100, LARGEST])
names = st.sampled_from(["x", "y"])


class NothingIsLost(RuleBasedStateMachine):
    """A hub with a store, three readers, two consumers, and one publisher that repeats what failed."""

    limits: ClassVar[dict[str, Any]] = {}
    """More of them."""

    def __init__(self) -> None:
        super().__init__()
        limits = LIMITS | self.limits
        self.hub = LoggedHub(config(rules=RULES, auth=tokens("carol", "paul"), **limits))
        self.names: dict[tuple[str, int, str], Any] = {}
        """What was ever got under a topic and a position."""
        self.places: dict[str, Position] = {}
        """Where each publication on a durable topic was ever got, or said to be, by its key."""
        self.unanswered: dict[str, tuple[str, str]] = {}
        """By key, topics and messages that are to be published again."""
        self.first_said: dict[str, float] = {}
        self.publisher: Peer | None = None
        self.asked: list[str] = []
        self.count = 0
        # One reads all by name, one one half by a pattern, one everything by a pattern alone.
        self.readers = [
            Reader(self, TOPICS),
            Reader(self, ("d.a", "m.a"), ("*.b", "b.*")),
            Reader(self, (), (">",)),
        ]
        self.consumers = {name: Consumer(self, name, WINDOW) for name in ("x", "y")}
        self.visitors: list[Visitor] = [*self.readers, *self.consumers.values()]

    # What must hold of all that is seen.

    def sees(self, message: Message) -> None:
        """One position is one publication; where it is durable, one publication has one position."""
        topic, offset, epoch = message["topic"], message["offset"], message["epoch"]
        said = message["message"]
        assert self.names.setdefault((topic, offset, epoch), said) == said
        if topic.startswith("d."):
            self.is_stored(topic, said.partition(":")[0], (offset, epoch))

    def end_of(self, topic: str, epoch: str) -> int:
        """Where a log in memory has ended."""
        return max((at for name, at, of in self.names if (name, of) == (topic, epoch)), default=0)

    def is_stored(self, topic: str, key: str, place: Position) -> None:
        assert self.places.setdefault(key, place) == place
        (record,) = self.hub.shelf.read(topic, place[0] - 1, 1)
        assert (record.offset, record.epoch, record.idempotency_key) == (*place, key)

    def hear(self) -> None:
        """Take what the publisher is answered: in order, and each once."""
        if self.publisher is None:
            return
        assert not self.publisher.ended
        for answer in self.publisher.take():
            key = answer["id"]
            assert self.asked.pop(0) == key
            if answer["type"] == "error":
                assert answer["code"] == "unavailable"
                continue
            topic, place = answer["topic"], (answer["offset"], answer["epoch"])
            if key in self.unanswered:
                said = self.unanswered.pop(key)[1]
                assert self.names.setdefault((topic, *place), said) == said
            if topic.startswith("d."):
                self.is_stored(topic, key, place)

    def look(self) -> None:
        """Take all that came."""
        self.hear()
        for one in self.visitors:
            one.take()

    @initialize()
    def begin(self) -> None:
        """Everybody comes."""
        for one in self.visitors:
            one.connect()

    # Publishing.

    @rule(topic=topics, size=sizes)
    def publish(self, topic: str, size: int) -> None:
        """Something new, under a key of its own."""
        self.publish_many([(topic, size)])

    @rule(what=st.lists(st.tuples(topics, sizes), min_size=5, max_size=20))
    def publish_many(self, what: list[tuple[str, int]]) -> None:
        """The same, often."""
        for topic, size in what:
            self.count += 1
            key = str(self.count)
            self.unanswered[key] = topic, f"{key}:".ljust(size, ".")
            self.first_said[key] = self.hub.now
            self.say(key)
        self.look()

    @rule()
    def repeat(self) -> None:
        """All that was not answered, with the same keys, for as long as those are remembered."""
        for key in tuple(self.unanswered):
            if self.first_said[key] < self.hub.now - KEY_SECONDS:
                del self.unanswered[key]
            else:
                self.say(key)
        self.look()

    def say(self, key: str) -> None:
        if self.publisher is None:
            self.publisher = self.hub.user("paul")
            self.asked = []
        topic, said = self.unanswered[key]
        self.asked.append(key)
        self.publisher.send(
            action="publish", topic=topic, message=said, idempotency_key=key, id=key
        )

    @rule()
    def cut_publisher(self) -> None:
        """It does not know what became of what was not answered."""
        if self.publisher is not None:
            self.hear()
            self.publisher.cut_off()
            self.publisher = None

    # Reading.

    @rule(number=numbers, what=st.sampled_from(["connect", "cut", "stall", "read_on"]))
    def reader(self, number: int, what: str) -> None:
        """A reader comes back or leaves, stops reading or reads on."""
        getattr(self.readers[number], what)()

    @rule(number=numbers, topic=topics, last=st.none() | st.integers(0, 5))
    def subscribe_again(self, number: int, topic: str, last: int | None) -> None:
        """Who is subscribed asks again, or for what a pattern gives it anyway: it goes on where it stands."""
        self.readers[number].subscribe_again(topic, last)

    @rule(name=names, what=st.sampled_from(["connect", "cut", "stall"]))
    def consumer(self, name: str, what: str) -> None:
        """A consumer's next connection takes over, or one leaves, or reads nothing for a while."""
        getattr(self.consumers[name], what)()

    @rule(name=names, count=st.integers(1, WINDOW))
    def acknowledge(self, name: str, count: int) -> None:
        """A consumer acknowledges some of what it handled."""
        self.consumers[name].acknowledge(count)

    # The store, the process, and time.

    @rule(how=st.sampled_from(["late", "fails", "fails after storing"]))
    def break_store(self, how: str) -> None:
        """From now on the store answers late, or fails, before or after it has stored what it was given."""
        if how == "late":
            self.hub.held = True
        else:
            self.hub.shelf.broken = "broken"
            self.hub.shelf.fails_after_storing = how == "fails after storing"

    @precondition(lambda self: self.hub.effects)
    @rule(number=st.integers(0, 3))
    def answer(self, number: int) -> None:
        """The store answers something; what changes it in the order in which it was asked."""
        effects = self.hub.effects
        effect = effects[number % len(effects)]
        if not isinstance(effect, Read):
            effect = next(one for one in effects if not isinstance(one, Read))
        self.hub.answer(effects.index(effect))
        self.look()

    @rule(at_once=st.booleans())
    def mend_store(self, at_once: bool) -> None:
        """The store works again, and perhaps answers at once."""
        self.hub.shelf.broken = None
        if at_once:
            self.hub.held = False
            self.hub.answer_all()
            self.look()

    @rule()
    def kill(self) -> None:
        """The process ends at once, and another one starts, where those come who were there."""
        self.look()
        self.hub.shelf.broken = None
        self.hub.kill()
        self.look()
        self.publisher = None
        for consumer in self.consumers.values():
            consumer.sent.clear()
        for one in self.visitors:
            was_there, one.peer = one.peer is not None, None
            if was_there:
                one.connect()

    @rule(seconds=st.sampled_from([0.5, ACK_TIMEOUT + 1]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.hub.advance(seconds)
        self.look()

    @invariant()
    def bounds_hold(self) -> None:
        """No outbox holds more than it may, and what waits is what was counted."""
        waiting = 0
        for session in self.hub.hub.sessions():
            waiting += session.outbox.size
            assert session.outbox.size <= OUTBOX + LARGEST + 300
            unread = sum(cursor.reading for cursor in (session.behind or {}).values())
            assert unread <= 1
        assert self.hub.hub.outbox_bytes == waiting

    def teardown(self) -> None:
        """When the faults stop, everybody catches up."""
        self.mend_store(at_once=True)
        for _ in range(3):
            self.repeat()
        assert not self.unanswered
        for reader in self.readers:
            reader.read_on()
            if reader.peer is None:
                reader.connect()
        for consumer in self.consumers.values():
            consumer.connect()
        self.wait(ACK_TIMEOUT + 1)
        logs = {topic: self.hub.hub._logs.find(topic) for topic in TOPICS}
        for reader in self.readers:
            for topic, at in reader.follower.at.items():
                log = logs[topic]
                if at is not None and log is not None and log.last:
                    assert at == (log.last, log.epoch_of(log.last)), topic
            assert not [gap for gap in reader.follower.gaps if gap["topic"].startswith("d.")]
        log = logs["d.a"]
        for consumer in self.consumers.values():
            while consumer.next > consumer.acked + 1:
                consumer.acknowledge(WINDOW)
            assert consumer.acked == (0 if log is None else log.last)
        self.hub.settle()
        assert self.hub.hub.outbox_bytes == 0
        for session in self.hub.hub.sessions():
            assert all(cursor.consumer for cursor in (session.behind or {}).values())


class LittleRoom(NothingIsLost):
    """The same where there is room for one log in memory, and for few publications."""

    limits: ClassVar[dict[str, Any]] = {"max_logs": 3, "total_history_size": 4000}


@pytest.mark.slow
@pytest.mark.parametrize("machine", [NothingIsLost, LittleRoom])
def test_nothing_is_lost(machine: type[NothingIsLost]) -> None:
    """Readers get each publication once, in order, or are told; consumers at least once; none is doubled."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=50,
            stateful_step_count=50,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
