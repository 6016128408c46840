"""What it costs to store each publication before it is answered."""

from __future__ import annotations

import select
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from .contenders import Contender, hub_servers
from .hub_load import Talker, open_sessions
from .hub_wire import publish
from .load import Busy, look, reset_connections
from .rounds import run
from .servers import Server
from .table import Goal, Row

_PUBLISHERS = 50
_TOPIC = "durable.log"
_LONGER = 3
_SHARE = 0.5
_TOGETHER = 20
_WARM_UP = 0.1
_KINDS = ("durable", "in memory", "a commit for each")


def measure(repeat: int, seconds: float, publishers: int = _PUBLISHERS) -> list[Row]:
    """Return rows of publications a second, and of publications in a commit."""
    with _contenders() as wanted:
        what = f"{publishers} publishers of 64 B, one message each on its way"
        rates = [Row(what, str(one), "publications a second") for one in wanted]
        commits = [Row(f"{what}: together", str(one), "in a commit") for one in wanted]
        by_loop = {(one.name, one.loop): at for at, one in enumerate(wanted)}
        for at, one in enumerate(wanted):
            if one.name != "durable":
                continue
            rates[at].peers = {kind: rates[by_loop[kind, one.loop]] for kind in _KINDS[1:]}
            rates[at].goals = (Goal("in memory", at_least=_SHARE),)
            commits[at].goals = (Goal(None, at_least=_TOGETHER),)
        measured = partial(_one, seconds=seconds * _LONGER, count=publishers)
        run(wanted, repeat, measured, [rates, commits])
    # Without a store there are no commits.
    return rates + [row for row in commits if not row.who.startswith("in memory")]


@contextmanager
def _contenders() -> Iterator[list[Contender]]:
    """Each hub in three ways, with stores that are gone at the end."""
    with ExitStack() as stack:
        wanted: list[Contender] = []
        for contender in hub_servers():
            for kind in _KINDS:
                options: tuple[str, ...] = ()
                if kind != "in memory":
                    where = stack.enter_context(tempfile.TemporaryDirectory())
                    options = ("--store", str(Path(where) / "store"))
                if kind == "a commit for each":
                    options += ("--one-by-one",)
                wanted.append(replace(contender.with_options(*options), name=kind))
        yield wanted


def _one(server: Server, busy: Sequence[Busy], seconds: float, count: int) -> tuple[float, float]:
    """Return publications a second, and publications in a commit."""
    publishers = open_sessions(server.port, count, lambda _: [])
    watch = Talker(server.port, count)
    _publish(publishers, _WARM_UP)
    before = watch.counters()
    with busy[0].counted(), busy[1].counted():
        published, took = _publish(publishers, seconds)
    after = watch.counters()
    reset_connections([*publishers, watch.sock])
    commits = after["commits"] - before["commits"]
    return published / took, published / commits if commits else 0.0


def _publish(publishers: Sequence[socket.socket], seconds: float) -> tuple[int, float]:
    """Keep one publication of each on its way; return how many were answered, and how long it took."""
    sent = publish(_TOPIC, 64)
    by_number = {sock.fileno(): sock for sock in publishers}
    count = 0
    with select.epoll() as poller:
        began = time.perf_counter()
        end = began + seconds
        for sock in publishers:
            poller.register(sock, select.EPOLLIN)
            sock.sendall(sent)
        waiting = len(publishers)
        while waiting:
            going_on = time.perf_counter() < end
            for number, _ in look(poller):
                sock = by_number[number]
                # One is out, so one answer comes, in one piece.
                answer = sock.recv(4096)
                if b'"type":"published"' not in answer:
                    raise ConnectionError(f"a publication was answered with {answer!r}")
                count += 1
                if going_on:
                    sock.send(sent)
                else:
                    waiting -= 1
        took = time.perf_counter() - began
    return count, took
