"""A hub against dictionaries: whatever is done, nothing reaches who may not read it, and nothing is missing."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hubbub.core import publishing
from hubbub.core.admission import Admission
from hubbub.core.auth import External
from hubbub.core.effects import Authenticate, Done, Effect, Outcome
from hubbub.core.grants import Grant
from hubbub.core.messages import Published
from hubbub.core.presence import PresenceBook
from hubbub.core.registry import Registry
from hubbub.core.session import Moment, Session
from hubbub.core.strategies.hub_book import Book
from hubbub.core.subscribing import Subscribing
from hubbub.core.subscriptions import SubscriptionTable
from hubbub.core.topics import overlaps
from support.hub_pair import WALL, HubPair, Message, Peer, config

USERS = ("alice", "bob", "Carol", "dave")
NAMES = ("carol", "CAROL", "Dave")
TOPICS = ("a", "a.b", "a.c", "b", "room.x", "room.y")
PATTERNS = (*TOPICS, "*", ">", "a.*", "a.>", "*.b", "room.*", "room.>", "*.*")
PATIENT: dict[str, Any] = {
    # No peer keeps the others waiting, and none is closed for what it does.
    "ping_interval": None, "write_timeout": None, "request_burst": 10**6, "error_burst": 10**6,
    "answers_size": 2**24, "outbox_size": 2**24, "hook_timeout": 1e6,
}  # fmt: skip

WHOSE = ("own", "own", "own", "another's", "nobody's")

keys = st.integers(0, 9)
topics = st.sampled_from(TOPICS)
patterns = st.sampled_from(PATTERNS)
ROOMS = ("room.x", "room.y")
watches = st.sampled_from((False, False, True))
some = st.lists(patterns, min_size=1, max_size=3)
rooms = st.lists(st.sampled_from(ROOMS), min_size=1, max_size=2)
granted = st.one_of(st.just((">",)), st.lists(patterns, max_size=3).map(tuple))
lives = st.sampled_from((None, None, 3.0, 20.0, 60.0))


class HubMachine(RuleBasedStateMachine):
    """Peers and an operator do things at random; each peer gets exactly what the model says."""

    operations: ClassVar[Counter[str]] = Counter()
    """What was done, over all runs."""
    crowd: ClassVar[bool] = False
    """Whether even two receivers are many, for whom what waits is shared."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Book(WALL)
        self.tokens: dict[str, Grant | None] = {}
        self.pair = HubPair(
            config(auth=External(), **PATIENT), outside=self._outside, crowd=self.crowd
        )
        self.peers: dict[int, Peer] = {}
        self.slow: set[int] = set()
        self.number = 0

    def _outside(self, effect: Effect) -> Outcome:
        assert isinstance(effect, Authenticate)
        return Done(self.tokens[effect.token])

    def _new(self) -> int:
        self.number += 1
        return self.number

    def _token(self, user: str, read: Any, write: Any, life: float | None) -> str:
        """A token that is worth this. No two grants end in one moment, so that their order is known."""
        number = self._new()
        until = None if life is None else self.model.wall + life + number / 1024
        token = f"token{number}"
        self.tokens[token] = Grant(user=user, read=read, write=write, until=until)
        return token

    def _pick(self, key: int) -> int:
        """One of the sessions that are there."""
        there = list(self.model.sessions)
        return there[key % len(there)]

    def _ask(self, key: int, **fields: Any) -> None:
        self.peers[key].say(json.dumps(fields))

    def teardown(self) -> None:
        """In the end all that still waits arrives, and then nothing is left."""
        for peer in self.peers.values():
            peer.reads = True
        self._compare()
        for key in list(self.model.sessions):
            self.peers[key].cut_off()
            self.model.leave(key)
        self._compare()
        assert (self.pair.hub.users, self.pair.hub.outbox_bytes) == (0, 0)

    def _did(self, name: str) -> None:
        HubMachine.operations[name] += 1
        self._compare()

    def _compare(self) -> None:
        self.pair.settle()
        self.pair.check()
        for key, peer in self.peers.items():
            if not peer.reads:
                continue
            if not (peer.ended or peer.cut):
                peer.flush(self.pair.now)
            one = self.model.sessions.get(key) or self.model.ended[key]
            answers, pushes = _parted(peer.take())
            assert answers == one.answers, key
            assert pushes == one.pushes, key
            one.answers, one.pushes = [], []
            if one.code is not None:
                # Who has read nothing for long finds its socket closed.
                assert peer.code == one.code or key in self.slow
        for key in list(self.model.ended):
            peer = self.peers[key]
            if peer.reads:
                del self.peers[key], self.model.ended[key]
        assert len(list(self.pair.hub.sessions())) == len(self.model.sessions)

    # Coming and going.

    @initialize()
    def begin(self) -> None:
        """Two are there already."""
        self.join("alice", (">",), (">",), None, ["a.*", "room.x"])
        self.join("bob", (">",), (">",), None, ["a.b", "room.*", "room.x"])

    @precondition(lambda self: len(self.model.sessions) < 8)
    @rule(user=st.sampled_from(USERS), read=granted, write=granted, life=lives, names=some)
    def join(self, user: str, read: Any, write: Any, life: float | None, names: list[str]) -> None:
        """Somebody comes with a token, and subscribes to something."""
        token = self._token(user, read, write, life)
        key = self._new()
        self.peers[key] = self.pair.peer(f"/?token={token}")
        grant = self.tokens[token]
        assert grant is not None
        self.model.join(key, grant)
        self._did("join")
        self._subscribe(key, names, False)

    @precondition(lambda self: len(self.model.sessions) < 8)
    @rule(name=st.sampled_from(NAMES))
    def join_anonymously(self, name: str) -> None:
        """Somebody comes with a name."""
        peer = self.pair.peer(f"/?name={name}")
        if self.model.taken(name):
            assert [message["code"] for message in peer.take()] == ["name_taken"]
            peer.cut_off()
        else:
            key = self._new()
            self.peers[key] = peer
            self.model.join(key, Grant(user=name, read=(">",), write=(">",), anonymous=True))
        self._did("join anonymously")

    @precondition(lambda self: self.model.sessions)
    @rule(key=keys, politely=st.booleans())
    def leave(self, key: int, politely: bool) -> None:
        """Somebody goes; what waited is lost."""
        key = self._pick(key)
        peer, one = self.peers[key], self.model.sessions[key]
        self.model.leave(key)
        if politely and peer.reads:
            peer.close()
        else:
            peer.cut_off()
            if not peer.reads:
                one.answers.clear()
                one.pushes.clear()
                peer.reads = True
        self._did("leave")

    @rule(user=st.sampled_from((*USERS, "dave")), pattern=st.one_of(patterns, patterns, st.none()))
    def operate(self, user: str, pattern: str | None) -> None:
        """The operator takes topics away from a user, or closes all its sessions."""
        hub, now = self.pair.hub, self.pair.now
        if pattern is None:
            assert hub.disconnect(user, now) == self.model.disconnect(user)
            self._did("disconnect")
        else:
            assert hub.revoke(user, pattern, now) == self.model.revoke(user, pattern)
            self._did("revoke")

    # Requests.

    @precondition(lambda self: self.model.sessions)
    @rule(made=st.lists(st.tuples(keys, st.one_of(some, rooms), watches), min_size=1, max_size=3))
    def subscribe(self, made: list[tuple[int, list[str], bool]]) -> None:
        """Subscribe to some."""
        for key, names, watch in made:
            self._subscribe(self._pick(key), names, watch)

    def _subscribe(self, key: int, names: list[str], watch: bool) -> None:
        self.model.subscribe(key, names, watch)
        self._ask(key, action="subscribe", topics=names, presence=watch)
        self._did("subscribe")

    @precondition(lambda self: self.model.sessions)
    @rule(key=keys, names=some)
    def unsubscribe(self, key: int, names: list[str]) -> None:
        """Unsubscribe from some, whether subscribed or not."""
        key = self._pick(key)
        self.model.unsubscribe(key, names)
        self._ask(key, action="unsubscribe", topics=names)
        self._did("unsubscribe")

    @precondition(lambda self: self.model.sessions)
    @rule(made=st.lists(st.tuples(keys, topics), min_size=1, max_size=6))
    def publish(self, made: list[tuple[int, str]]) -> None:
        """Publish something that nobody has published before; sometimes the server itself does."""
        for key, topic in made:
            number = self._new()
            if key:
                key = self._pick(key)
                self.model.publish(key, topic, number)
                self._ask(key, action="publish", topic=topic, message=number)
                self._did("publish")
            else:
                published = self.pair.hub.publish(topic, number, self.pair.now)
                assert isinstance(published, Published)
                assert published.recipients == self.model.push(topic, number)
                self._did("publish as server")

    @precondition(lambda self: self.model.sessions)
    @rule(key=keys, user=st.sampled_from((*USERS, "dave")))
    def send_to(self, key: int, user: str) -> None:
        """Send a direct message."""
        key = self._pick(key)
        number = self._new()
        self.model.direct(key, user, number)
        self._ask(key, action="publish", to=user, message=number)
        self._did("send to")

    @precondition(lambda self: self.model.sessions)
    @rule(key=keys, topic=topics)
    def ask_presence(self, key: int, topic: str) -> None:
        """Ask who is there."""
        key = self._pick(key)
        self.model.ask_presence(key, topic)
        self._ask(key, action="presence", topic=topic)
        self._did("ask presence")

    # Rights.

    @precondition(lambda self: self.model.sessions)
    @rule(key=keys, whose=st.sampled_from(WHOSE), read=granted, life=lives)
    def refresh(self, key: int, whose: str, read: Any, life: float | None) -> None:
        """Show another token, sometimes a wrong one."""
        key = self._pick(key)
        user = self.model.sessions[key].user if whose == "own" else "mallory"
        token = self._token(user, read, (">",), life)
        if whose == "nobody's":
            self.tokens[token] = None
        self.model.refresh(key, self.tokens[token])
        self._ask(key, action="refresh", token=token)
        self._did("refresh")

    # Reading, and time.

    @precondition(lambda self: any(self.peers[key].reads for key in self.model.sessions))
    @rule(key=keys)
    def stall(self, key: int) -> None:
        """Somebody reads nothing for a while."""
        key = self._pick(key)
        self.slow.add(key)
        self.peers[key].stall()
        self._did("stall")

    @precondition(lambda self: not all(peer.reads for peer in self.peers.values()))
    @rule()
    def read_on(self) -> None:
        """Who has stalled longest reads on."""
        peer = next(peer for peer in self.peers.values() if not peer.reads)
        peer.read_on()
        self._did("read on")

    @rule(seconds=st.sampled_from((1.0, 5.0, 30.0)), jump=st.sampled_from((0.0, -20.0, 20.0)))
    def wait(self, seconds: float, jump: float) -> None:
        """Time passes, and sometimes somebody sets the clock on the wall."""
        end = self.model.wall + seconds
        for at in [*sorted(at for at in self.model.ends() if at < end), end]:
            step = at - self.model.wall
            self.model.advance(step)
            self.pair.advance(step)
            self._compare()
        self._did("wait")
        if jump:
            self.model.set_clock(self.model.wall + jump)
            self.pair.hub.set_wall_clock(self.model.wall - self.pair.now, self.pair.now)
            self.pair.advance(0.0)
            self._did("set clock")


def _parted(messages: list[Message]) -> tuple[list[Message], list[Message]]:
    """Answers and pushes, without what the model does not say."""
    answers: list[Message] = []
    pushes: list[Message] = []
    for message in messages:
        kind = message["type"]
        message.pop("timestamp", None)
        if kind == "error":
            answers.append({"type": "error", "code": message["code"]})
        elif kind == "presence" and "event" not in message:
            members = {member["user"]: member["connections"] for member in message["members"]}
            answers.append({**message, "members": members})
        elif kind in {"notification", "chat", "system", "direct", "presence"}:
            pushes.append(message)
        else:
            answers.append(message)
    return answers, pushes


class CrowdMachine(HubMachine):
    """The same where queues are shared."""

    crowd = True


@pytest.mark.slow
@pytest.mark.parametrize(
    ("machine", "examples", "least"), [(HubMachine, 210, 10_000), (CrowdMachine, 60, 2_500)]
)
def test_a_hub_does_what_dictionaries_do(
    machine: type[HubMachine], examples: int, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least 10,000 operations, each kind of them, and after each of them nothing that should not be."""
    if machine.crowd:
        monkeypatch.setattr(publishing, "MANY", 2)
    HubMachine.operations.clear()
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=50)
    )
    assert sum(HubMachine.operations.values()) >= least, HubMachine.operations
    assert len(HubMachine.operations) == 16, HubMachine.operations


# The model itself: it must notice what is wrong.


def _forget(*_: Any, **__: Any) -> None:
    """Do nothing."""


def _add_first(self: Subscribing, session: Session, topic: str, now: float) -> None:
    self._table.add(session, topic)
    rule = self._rule_of_presence(topic)
    if rule is not None and self._presence.join(topic, session.user):
        self._announce(rule, topic, session.user, True, now)


def _once_for_each_name(self: SubscriptionTable[Session], topic: str) -> list[Session]:
    names = [topic, *self._index.matching(topic)]
    return [session for name in names for session in self.exact(name)]


def _armed_once(self: Session, moment: Moment, at: float | None) -> None:
    if self._moments is None:
        self._moments = {}
    if at is None:
        self._moments.pop(moment, None)
    elif moment not in self._moments:
        self._moments[moment] = at
    self._note_time()


FAULTS: dict[str, tuple[type, str, Any]] = {
    "what waits is not taken back": (Session, "discard", lambda *_: 0),
    "one delivery for each name": (SubscriptionTable, "receivers", _once_for_each_name),
    "who comes hears of itself": (Subscribing, "_add", _add_first),
    "presence outlives a session": (PresenceBook, "leave", lambda *_: False),
    "subscriptions outlive a revocation": (Subscribing, "drop_forbidden", _forget),
    "a revocation changes no grant": (Grant, "without", lambda self, _: self),
    "two users have one name": (Registry, "namesakes", lambda *_: ()),
    "the end of a grant is forgotten": (Admission, "note_expiry", _forget),
    "a timer is lost when it is armed anew": (Session, "arm", _armed_once),
    "writing needs no grant": (Grant, "may_write", lambda *_: True),
    "reading needs a grant for a part only": (
        Grant,
        "may_read",
        lambda self, pattern: any(overlaps(one, pattern) for one in self.read),
    ),
    "one session of a user is reached": (
        Registry,
        "of",
        lambda self, user: tuple(self._users.get(user, ()))[:1],
    ),
    "who unwatches is told on": (PresenceBook, "unwatch", _forget),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_noticed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub with any of these faults is told from a right one, soon."""
    kind, name, instead = FAULTS[fault]
    monkeypatch.setattr(kind, name, instead)
    with pytest.raises((AssertionError, KeyError)):
        run_state_machine_as_test(
            HubMachine,
            settings=settings(
                # Most take a few. Which ones come depends on what else is imported.
                max_examples=500,
                stateful_step_count=50,
                phases=(Phase.generate,),
                report_multiple_bugs=False,
            ),
        )
