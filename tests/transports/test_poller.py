"""Both pollers tell the same of the same sockets. On Linux that of other systems is one on epoll, too."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.transports.poller import READ, WRITE, EpollPoller, Poller, SelectorPoller, make_poller
from support.loops import descriptors

KINDS: dict[str, Callable[[], Poller]] = {"epoll": EpollPoller, "selector": SelectorPoller}


@pytest.fixture(params=KINDS)
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    """Each of them."""
    made = KINDS[request.param]()
    yield made
    made.close()


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two that are connected over TCP: ours, and the peer's."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = socket.create_connection(listening.getsockname())
        ours = listening.accept()[0]
    with ours, peer:
        ours.setblocking(False)
        yield ours, peer


def _reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def _due(poller: Poller, watching: dict[int, int]) -> dict[int, tuple[bool, bool]]:
    """For each socket that is told, whether to read and whether to write, as an adapter takes it."""
    return {
        fd: (bool(watching[fd] & READ and events & ~WRITE), bool(events & WRITE))
        for fd, events in poller.ready()
    }


def _awake(poller: Poller) -> bool:
    """Whether a loop that waits for the poller would be woken."""
    return bool(select.select([poller.fileno()], [], [], 0)[0])


Sockets = tuple[socket.socket, socket.socket]


def test_the_best_of_this_system() -> None:
    """On Linux that is epoll."""
    made = make_poller()
    assert isinstance(made, EpollPoller)
    made.close()


def test_nothing_is_ready(poller: Poller, sockets: Sockets) -> None:
    """Then nothing is told, without waiting, and a loop is not woken."""
    assert poller.ready() == []
    assert not _awake(poller)
    fd = sockets[0].fileno()
    poller.watch(fd, 0, READ)
    assert poller.ready() == []
    assert not _awake(poller)


def test_readiness_lasts(poller: Poller, sockets: Sockets) -> None:
    """It is told again and again until the bytes are read."""
    ours, peer = sockets
    fd = ours.fileno()
    poller.watch(fd, 0, READ)
    peer.send(b"xx")
    for _ in range(3):
        assert _awake(poller)
        assert poller.ready() == [(fd, READ)]
    ours.recv(1)
    assert poller.ready() == [(fd, READ)]
    ours.recv(1)
    assert poller.ready() == []
    assert not _awake(poller)


def test_what_is_watched_for_may_change(poller: Poller, sockets: Sockets) -> None:
    """Only what is watched for is told: to read, to write, both, nothing, and to read again."""
    ours, peer = sockets
    fd = ours.fileno()
    peer.send(b"x")
    before = 0
    for events in (READ, WRITE, READ | WRITE, 0, WRITE, 0, READ):
        poller.watch(fd, before, events)
        before = events
        assert poller.ready() == ([(fd, events)] if events else [])
        assert _awake(poller) is bool(events)


def test_nothing_before_and_nothing_now(poller: Poller, sockets: Sockets) -> None:
    """A socket that is not watched at all may be said to be so."""
    poller.watch(sockets[0].fileno(), 0, 0)
    assert poller.ready() == []


@pytest.mark.parametrize("end", ["FIN", "RST"])
def test_a_peer_that_leaves(poller: Poller, sockets: Sockets, end: str) -> None:
    """Whoever watches for anything is told, so that it reads or writes and learns why."""
    ours, peer = sockets
    fd = ours.fileno()
    if end == "RST":
        _reset(peer)
    else:
        peer.close()
    for events in (READ, READ | WRITE, WRITE):
        poller.watch(fd, 0, events)
        reads, writes = _due(poller, {fd: events})[fd]
        assert reads is bool(events & READ)
        assert writes is bool(events & WRITE)
        poller.watch(fd, events, 0)
        assert poller.ready() == []
        assert not _awake(poller)


def test_a_number_that_is_used_again(poller: Poller) -> None:
    """A new socket may have the number of one that was watched and closed."""
    for _ in range(3):
        ours, peer = socket.socketpair()
        with ours, peer:
            poller.watch(ours.fileno(), 0, READ)
            assert poller.ready() == []
            peer.send(b"x")
            assert poller.ready() == [(ours.fileno(), READ)]
            poller.watch(ours.fileno(), READ, 0)


def test_what_cannot_be_watched(poller: Poller) -> None:
    """It raises OSError, as a number that is no descriptor does."""
    ours, peer = socket.socketpair()
    number = ours.fileno()
    ours.close()
    peer.close()
    with pytest.raises((OSError, ValueError)) as caught:
        poller.watch(number, 0, READ)
    assert isinstance(caught.value, OSError)


def test_many_are_ready(poller: Poller) -> None:
    """However many are ready and stay so, each is told before any is told a third time."""
    with ExitStack() as stack:
        told: dict[int, int] = {}
        for _ in range(600):
            ours, peer = socket.socketpair()
            stack.enter_context(ours)
            stack.enter_context(peer)
            poller.watch(ours.fileno(), 0, WRITE)
            told[ours.fileno()] = 0
        rounds = 0
        while not all(told.values()):
            rounds += 1
            assert rounds < 10, f"{sum(not count for count in told.values())} are never told"
            found = poller.ready()
            assert 0 < len(found) <= 256
            for fd, _ in found:
                told[fd] += 1
        assert max(told.values()) <= 2


def test_closing(sockets: Sockets) -> None:
    """A closed poller leaves no descriptor, and the sockets are as they were."""
    for make in KINDS.values():
        before = descriptors()
        poller = make()
        assert descriptors() == before + 1
        assert poller.fileno() >= 0
        poller.watch(sockets[0].fileno(), 0, READ)
        poller.close()
        assert descriptors() == before
    sockets[1].send(b"x")
    assert sockets[0].recv(1) == b"x"


ACTIONS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["watch", "send", "read", "end", "fill", "drain"]),
        st.sampled_from([0, READ, WRITE, READ | WRITE]),
    ),
    max_size=40,
)


@given(actions=ACTIONS)
def test_both_tell_the_same(actions: list[tuple[int, str, int]]) -> None:
    """After any changes to any sockets both tell an adapter to do the same."""
    pollers: list[Poller] = [EpollPoller(), SelectorPoller()]
    with ExitStack() as stack:
        for poller in pollers:
            stack.callback(poller.close)
        pairs = [socket.socketpair() for _ in range(4)]
        for sock in sum(pairs, ()):
            stack.enter_context(sock).setblocking(False)
        watching = {ours.fileno(): 0 for ours, _ in pairs}
        for number, action, events in actions:
            ours, peer = pairs[number]
            try:
                match action:
                    case "watch":
                        for poller in pollers:
                            poller.watch(ours.fileno(), watching[ours.fileno()], events)
                        watching[ours.fileno()] = events
                    case "send":
                        peer.send(b"x")
                    case "read":
                        ours.recv(100)
                    case "end":
                        peer.shutdown(socket.SHUT_WR)
                    case "fill":
                        ours.send(bytes(1_000_000))
                    case _:
                        peer.recv(1_000_000)
            except OSError:
                pass  # it is full, empty or ended
            assert _due(pollers[0], watching) == _due(pollers[1], watching)
            assert _awake(pollers[0]) == _awake(pollers[1])
