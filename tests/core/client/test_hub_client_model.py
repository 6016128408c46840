"""Whatever happens between a client and a real hub, the application misses nothing untold and gets nothing twice."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.core.backoff import Backoff
from hubbub.core.client_events import Resumed
from hubbub.core.client_options import ClientLimits
from hubbub.core.client_states import ClientState
from hubbub.core.client_streams import Stream
from hubbub.core.effects import Done, HookKind
from hubbub.core.messages import Chat, ErrorAnswer, Gap, Notification, Published
from hubbub.core.rules import Rule
from support.hub_clients import ClientPair, Joined
from support.hub_pair import config, tokens

RULES = (
    Rule(pattern="long", history=1000),
    Rule(pattern="short", history=4),
    Rule(pattern="jobs", history=1000),
    Rule(pattern="many.*", history=1000),
)
TOPICS = ("long", "short", "jobs", "many.a", "many.b", "plain")

topics = st.sampled_from(TOPICS)
steps = st.one_of(
    st.tuples(st.just("publish"), topics, st.integers(1, 9)),
    st.tuples(st.just("say"), topics),
    st.tuples(
        st.sampled_from(["call", "answer", "cut", "deaf", "dumb", "stall", "read", "restart"])
    ),
    st.tuples(
        st.just("take"), st.sampled_from(["long", "short", "jobs", "many.*"]), st.integers(1, 5)
    ),
    st.tuples(st.just("wait"), st.sampled_from([0.05, 1.0, 35.0])),
)


class Run:
    """One hub, one client that listens and speaks, and all that the hub published."""

    def __init__(self) -> None:
        made = config(rules=RULES, auth=tokens("ann"), outbox_size=4096, max_unacknowledged=3)
        self.pair = ClientPair(made, hooks={HookKind.CALL: ("wait",)})
        self.ann: Joined = self.pair.join(
            token="t-ann",
            limits=ClientLimits(max_events=2),
            backoff=Backoff(first=0.5, cap=0.5),
        )
        self.streams: dict[str, Stream] = {
            "long": self.ann.subscribe("long"),
            "short": self.ann.subscribe("short"),
            "jobs": self.ann.subscribe("jobs", ack=True),
            "many.*": self.ann.subscribe("many.*"),
        }
        self.events: dict[str, list[Any]] = {name: [] for name in self.streams}
        self.truth: dict[tuple[str, str, int], Any] = {}
        self.said: list[int] = []
        self.count = 0

    def step(self, what: str, *more: Any) -> None:
        """Do one thing."""
        ann, pair = self.ann, self.pair
        match what, *more:
            case "publish", topic, times:
                for _ in range(times):
                    self.publish(topic)
            case "say", topic:
                self.count += 1
                message = self.count
                number = ann.ask(lambda now: ann.client.publish(topic, message, now))
                self.said.append(number)
            case ("call",):
                ann.ask(lambda now: ann.client.call("wait", None, now))
            case ("answer",):
                if pair.effects:
                    pair.complete(Done(None))
            case ("cut",):
                ann.cut()
            case ("deaf",):
                if ann.line is not None:
                    ann.line.lost_down = True
            case ("dumb",):
                if ann.line is not None:
                    ann.line.lost_up = True
            case ("stall",):
                if ann.line is not None:
                    ann.line.stall()
            case ("read",):
                if ann.line is not None:
                    ann.line.read_on()
            case ("restart",):
                self.note_logs()
                pair.restart()
            case "take", name, times:
                for _ in range(times):
                    self.take(name)
            case "wait", seconds:
                pair.advance(seconds)
            case _:
                raise AssertionError(what)
        pair.settle()

    def publish(self, topic: str) -> None:
        """The server publishes."""
        self.count += 1
        self.pair.hub.publish(topic, self.count, self.pair.now)
        self.pair.settle()

    def take(self, name: str) -> bool:
        """The application takes an event; whether there was one."""
        event = self.ann.take(self.streams[name])
        if event is not None:
            self.events[name].append(event)
        return event is not None

    def note_logs(self) -> None:
        """What the hub published, from its own logs, which in this test keep all but `short`'s."""
        for topic, log in self.pair.hub._logs.topics():
            for kept in log.read(log.first, 1 << 30) if log.last else []:
                message = json.loads(kept.message.payload)["message"]
                self.truth[topic, log.epoch, kept.offset] = message

    def end(self) -> None:
        """The faults stop, and everyone catches up."""
        ann, pair = self.ann, self.pair
        while pair.effects:
            pair.complete(Done(None))
        ann.cut()  # whatever was lost on this connection is found to be lost
        for _ in range(20):
            pair.advance(5.0)
            for name in self.streams:
                while self.take(name):
                    pair.advance(0.0)
        assert ann.state is ClientState.READY
        self.note_logs()


def check(events: list[Any], run: Run) -> dict[str, tuple[str, int]]:
    """What one subscription gave has no hole that is not told and no doubles; its ends, by topic."""
    seen: set[tuple[str, str, int]] = set()
    last: dict[str, tuple[str, int]] = {}
    when: dict[str, int] = {}
    warned = -1  # where a hole was told of that may be in any topic
    for at, event in enumerate(events):
        if event.offset is None:
            assert isinstance(event, Gap) or not event.recovered
            assert event.topic == "many.*"
            warned = at
            continue
        topic, epoch, offset = event.topic, event.epoch, event.offset
        before = last.get(topic) if when.get(topic, -1) > warned else None
        match event:
            case Resumed(recovered=True) if before is not None:
                assert offset == before[1], (before, event)
            case Gap(missed=missed) if missed is not None and before is not None:
                assert missed == offset - before[1], (before, event)
            case Notification() | Chat():
                assert (topic, epoch, offset) not in seen, f"doubled: {event}"
                seen.add((topic, epoch, offset))
                if before is not None:
                    assert offset == before[1] + 1, (before, event)
                if (topic, epoch, offset) in run.truth:
                    assert event.message == run.truth[topic, epoch, offset]
            case _:
                pass
        last[topic], when[topic] = (epoch, offset), at
    return last


@given(st.lists(steps, min_size=10, max_size=60))
@settings(max_examples=60, report_multiple_bugs=False)
def test_nothing_is_missing_untold_and_nothing_comes_twice(script: list[tuple[Any, ...]]) -> None:
    """After any faults each stream is whole but for what it told, and everyone catches up."""
    run = Run()
    for step in script:
        run.step(*step)
    run.end()
    for name, events in run.events.items():
        last = check(events, run)
        log = run.pair.hub._logs.find(name)
        if log is not None and log.last:
            assert last[name][1] == log.last, (name, last, events)
    for number in run.said:
        assert isinstance(run.ann.answers[number], (Published, ErrorAnswer))
