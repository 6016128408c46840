"""What all sockets of a loop share: turns, slices, the alarm; and what an error costs."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, cast

import anyio
import pytest

from hubbub.apps.echo import echo
from hubbub.core import Requested, Response, ServerOptions, WebSocket
from hubbub.transports.asyncio import ServerConnection
from hubbub.transports.driver import Watched
from hubbub.transports.poller import READ
from hubbub.transports.simulated import seeded_entropy
from hubbub.transports.socket_link import SocketLink
from support.clients import client
from support.hand_driver import HandClock, HandDriver
from support.net import Net
from support.peers import raw_peer
from support.wire import request, text


@pytest.fixture
def hand() -> Iterator[HandDriver]:
    """A driver that is turned by hand."""
    driver = HandDriver(HandClock())
    driver.hold()
    yield driver
    if not driver.stopped:
        driver.release()


class Noted:
    """Something to serve that costs time and may fail, and notes what was done to it."""

    def __init__(self, driver: HandDriver, name: object = None, cost: float = 0.0) -> None:
        self.marked = False
        self.name = name
        self.timeout: float | None = None
        self.flushed: list[object] = []
        self.told: list[float] = []
        self.given_up = 0
        self.fails = False
        self.worse = False
        self._driver = driver
        self._cost = cost

    def on_ready(self, events: int, now: float) -> None:
        """See `Watched`."""
        if self.fails:
            raise RuntimeError("on_ready")

    def flush(self, now: float) -> bytes | None:
        """See `Watched`."""
        self._driver.clock.at += self._cost
        self.flushed.append(self.name)
        if self.fails:
            raise RuntimeError("flush")
        return None

    def send(self, data: bytes) -> int:
        """See `Watched`."""
        return len(data)

    def wrote(self, data: bytes, outcome: int | OSError, now: float) -> None:
        """See `Watched`."""

    def next_timeout(self) -> float | None:
        """See `Watched`."""
        return self.timeout

    def on_timeout(self, now: float) -> None:
        """See `Watched`."""
        self.told.append(now)
        if self.fails:
            raise RuntimeError("on_timeout")

    def give_up(self, now: float) -> None:
        """See `Watched`."""
        self.given_up += 1
        if self.worse:
            raise RuntimeError("give_up")


def _many(driver: HandDriver, count: int, log: list[object], prefix: str) -> list[Noted]:
    """Sockets whose flush takes a tenth of a millisecond, and that share a log."""
    many = [Noted(driver, f"{prefix}{number}", 0.0001) for number in range(count)]
    for one in many:
        one.flushed = log
        driver.mark(one)
    return many


# Turns and slices.


def test_a_socket_is_flushed_once_a_turn(hand: HandDriver) -> None:
    """However often it is marked."""
    one, two = Noted(hand), Noted(hand)
    for _ in range(3):
        hand.mark(one)
        hand.mark(two)
    assert hand.turn()
    assert (len(one.flushed), len(two.flushed)) == (1, 1)
    assert not hand.turn()
    hand.mark(one)
    assert hand.turn()
    assert len(one.flushed) == 2


def test_a_fan_out_is_cut_into_slices(hand: HandDriver) -> None:
    """After 5 ms the loop gets a turn; what became dirty meanwhile comes before the rest."""
    log: list[object] = []
    _many(hand, 2000, log, "old ")
    assert hand.turn()
    first = len(log)
    # A look at the clock now and then: not after each socket, and not much too late.
    assert 50 <= first < 600
    _many(hand, 3, log, "new ")
    assert hand.turn()
    assert log[first : first + 3] == ["new 0", "new 1", "new 2"]
    assert log[first + 3] == f"old {first}"
    turns = 2
    while hand.turn():
        turns += 1
    assert [name for name in log if str(name).startswith("old")] == [
        f"old {number}" for number in range(2000)
    ]
    assert 2000 / 600 <= turns <= 2000 / 50
    assert not hand.flush_due


def test_what_came_meanwhile_is_read_between_slices(hand: HandDriver) -> None:
    """Though the loop has not told that the poller is readable."""
    log: list[object] = []

    class Reader(Noted):
        def on_ready(self, events: int, now: float) -> None:
            log.append("read")
            hand.mark(self)
            ours.recv(16)

    ours, peer = socket.socketpair()
    with ours, peer:
        reader = Reader(hand, "answered")
        reader.flushed = log
        hand.watch(ours.fileno(), reader, 0, READ)
        _many(hand, 1000, log, "")
        peer.send(b"request")
        assert hand.turn()
        assert "read" not in log
        first = len(log)
        assert hand.turn()
        assert log[first : first + 3] == ["read", "answered", str(first)]
        hand.forget(ours.fileno(), reader, READ)


def test_a_small_fan_out_is_not_cut(hand: HandDriver) -> None:
    """What takes less than 5 ms is one slice."""
    log: list[object] = []
    _many(hand, 40, log, "")
    hand.turn()
    assert len(log) == 40
    assert not hand.flush_due


def test_marked_while_it_waits_for_its_slice(hand: HandDriver) -> None:
    """Who is marked again before its slice has come is flushed once; after it, again."""
    log: list[object] = []
    many = _many(hand, 1000, log, "")
    hand.turn()
    assert len(log) < 1000
    for one in many:
        hand.mark(one)
    while hand.turn():
        pass
    assert sorted(map(str, log[-1000:])) == sorted(f"{number}" for number in range(1000))


class Crowd:
    """A fan-out to many, each of whom takes a tenth of a millisecond to write to."""

    def __init__(self, driver: HandDriver, count: int, log: list[object]) -> None:
        self._driver = driver
        self._log = log
        self.left = [self._member(number) for number in range(count)]
        self.fails = False

    def _member(self, number: int) -> Noted:
        member = Noted(self._driver, number)

        def send(data: bytes) -> int:
            self._driver.clock.at += 0.0001
            self._log.append(number)
            return len(data)

        member.send = send  # type: ignore[method-assign]
        return member

    def take(self, most: int) -> list[tuple[Watched, bytes]]:
        """See `Bulk`."""
        if self.fails:
            raise RuntimeError("take")
        taken, self.left = self.left[:most], self.left[most:]
        return [(one, b"data") for one in taken]


def test_a_crowd_comes_last(hand: HandDriver) -> None:
    """It is written in slices, each behind all that is marked by then, in order and to its end."""
    log: list[object] = []
    hand.mark_bulk(Crowd(hand, 1000, log))
    _many(hand, 3, log, "first ")
    assert hand.turn()
    first = len(log)
    assert log[:4] == ["first 0", "first 1", "first 2", 0]
    assert first < 600
    _many(hand, 2, log, "new ")
    assert hand.turn()
    assert log[first : first + 2] == ["new 0", "new 1"]
    while hand.turn():
        pass
    assert [entry for entry in log if isinstance(entry, int)] == list(range(1000))


def test_a_crowd_is_not_starved(hand: HandDriver) -> None:
    """However much is marked in each turn, some of it is written too."""
    log: list[object] = []
    hand.mark_bulk(Crowd(hand, 100, log))
    for number in range(10):
        _many(hand, 100, log, f"{number} ")
        assert hand.turn()
    assert len([entry for entry in log if isinstance(entry, int)]) == 100


def test_a_crowd_that_fails(hand: HandDriver, caplog: pytest.LogCaptureFixture) -> None:
    """What raises is logged and not asked again; other crowds go on."""
    log: list[object] = []
    broken, whole = Crowd(hand, 10, log), Crowd(hand, 10, log)
    broken.fails = True
    hand.mark_bulk(broken)
    hand.mark_bulk(whole)
    assert hand.turn()
    assert log == list(range(10))
    assert not hand.turn()
    assert "an internal error" in caplog.text


# The alarm.


def test_the_alarm_is_for_the_earliest(hand: HandDriver) -> None:
    """A later deadline does not move it, an earlier one does, and each is told in its time."""
    many = [Noted(hand) for _ in range(3)]
    for one, at in zip(many, (20.0, 10.0, 30.0), strict=True):
        one.timeout = at
        hand.reschedule(one, at)
    assert hand.alarm == 10.0
    for expected in (10.0, 20.0, 30.0):
        hand.wake()
        assert hand.clock.at == expected
    assert [one.told for one in many] == [[20.0], [10.0], [30.0]]
    assert hand.alarm is None


def test_a_loop_that_is_early(hand: HandDriver) -> None:
    """Where the alarm comes within a millisecond of its moment, that moment is told."""
    one = Noted(hand)
    one.timeout = 10.0
    hand.reschedule(one, 10.0)
    hand.wake(early=0.0009)
    assert one.told == [10.0]


def test_a_deadline_that_was_moved_meanwhile(hand: HandDriver) -> None:
    """Nobody is told a time that has not come, though it waits for a later moment by now."""
    one = Noted(hand)
    hand.reschedule(one, 10.0)
    one.timeout = 130.0
    hand.wake()
    assert all(told <= 10.001 for told in one.told)


def test_an_answer_at_the_last_moment(hand: HandDriver) -> None:
    """A server that answers in the same turn in which the request's deadline comes has answered."""
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    peer.setblocking(False)
    with ours, peer:
        ws = WebSocket(ServerOptions(), now=0.0, entropy=seeded_entropy(1))
        link = SocketLink(hand, ours, ws, _Owner())
        link.start()
        peer.send(request())
        hand.poll()
        hand.turn()
        assert isinstance(ws.next_event(), Requested)
        assert hand.alarm == 10.0
        hand.clock.at = 10.0
        ws.reject(Response(403), hand.clock.at)
        hand.mark(link)
        hand.wake()
        hand.turn()
        assert peer.recv(4096).startswith(b"HTTP/1.1 403 ")
        link.lose(10.0)


class _Owner:
    def changed(self) -> None:
        """See `Owner`."""


# Errors.


@pytest.mark.parametrize("where", ["flush", "on_timeout", "on_ready"])
@pytest.mark.parametrize("worse", [False, True], ids=["", "giving up fails too"])
def test_an_error_is_one_sockets_own(
    hand: HandDriver, where: str, worse: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever one raises, the others of its turn are served, and the log has one line of it."""
    many = [Noted(hand, number) for number in range(5)]
    many[1].fails = True
    many[1].worse = worse
    with ExitStack() as stack:
        for one in many:
            ours, peer = map(stack.enter_context, socket.socketpair())
            hand.watch(ours.fileno(), one, 0, READ)
            stack.callback(hand.forget, ours.fileno(), one, READ)
            peer.send(b"x")
        for _ in range(2):
            for one in many:
                if where == "on_timeout":
                    one.timeout = 1.0
                    hand.reschedule(one, 1.0)
                elif where == "flush":
                    hand.mark(one)
            {"on_ready": hand.poll, "flush": hand.turn, "on_timeout": hand.wake}[where]()
    if where != "on_ready":
        done = {"flush": "flushed", "on_timeout": "told"}[where]
        assert [len(getattr(one, done)) for one in many] == [2] * 5
    assert [one.given_up for one in many] == [0, 2, 0, 0, 0]
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert all("internal error" in line for line in lines)
    assert len(lines) == 2 or worse


class Faulty:
    """A link that is like another, but for one thing that raises."""

    def __init__(self, link: Any, name: str) -> None:
        self._link = link
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name == self._name:
            raise RuntimeError(name)
        return getattr(self._link, name)


THINGS = ["receive_data", "data_to_send", "handle_timeout", "receive_eof", "wants_read", "end"]


@pytest.mark.parametrize("thing", THINGS)
async def test_a_link_that_raises(net: Net, thing: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its socket is closed with one line in the log, its handler ends, and all others go on."""
    armed, ended = anyio.Event(), anyio.Event()

    async def handler(connection: ServerConnection) -> None:
        if connection.request.path != "/bad":
            await echo(connection)
            return
        await connection.recv()
        connection.socket.link = cast("Any", Faulty(connection.socket.link, thing))
        armed.set()
        try:
            await echo(connection)
        finally:
            ended.set()

    async with net.serve(handler, "127.0.0.1", 0, ping_interval=0.05) as server:
        async with client(server) as good, raw_peer(server) as bad:
            await bad.upgrade(target="/bad")
            await bad.send(text("arm"))
            await armed.wait()
            await good.send("x")
            assert await good.recv() == "x"
            if thing != "handle_timeout":
                await bad.send(text("x"))
            if thing == "receive_eof":
                await bad.end()
            with anyio.fail_after(5):
                await bad.read_rest()
                await ended.wait()
            await good.send("y")
            assert await good.recv() == "y"
            assert len(server.connections) == 1
        began = time.monotonic()
    assert time.monotonic() - began < 0.9
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert lines == ["a connection is dropped after an internal error"]
