"""Thousands of clients whose connections break at once, and who all come back to resume."""

from __future__ import annotations

import json
import select
import socket
import time
from typing import Any

from .contenders import Contender, hub_servers
from .hub_load import Pair, Talker, open_sessions
from .hub_wire import Frames, command, opening, publish
from .load import Busy, new_socket, reset_connections
from .machine import Cores, allow_files, pinned, settled_cpu_seconds
from .rounds import goals_on, rows_for
from .servers import serving
from .table import Goal, Row, percentile

_CLIENTS = 2_000
_TOPICS = 20
"""Each client has one of them, and one that all have."""
_MISSED = 50
"""Publications of each topic while they are away."""
_ALL = "kept.all"
_EVERY = 0.005
_PAUSE = 0.0005
_AT_ONCE = 16
_TIMEOUT = 120.0
_SPARE_FILES = 200
_BOTH = ("asyncio", "trio")


def measure(repeat: int, clients: int = _CLIENTS) -> list[Row]:
    """Return rows of how soon the last is back, and of a healthy pair's waiting meanwhile."""
    allow_files(2 * clients + _SPARE_FILES)
    wanted = hub_servers()
    what = f"{clients:,} clients come back at once"
    back = rows_for(
        f"{what}: all have what they missed", "s", wanted, goals_on(_BOTH, Goal(None, at_most=15))
    )
    waits = rows_for(
        f"{what}: a healthy pair, p99", "ms", wanted, goals_on(_BOTH, Goal(None, at_most=1000))
    )
    for at, contender in enumerate(wanted):
        busy = Busy()
        for _ in range(repeat):
            took, wait = _one(contender, clients, busy)
            back[at].figures.append(took)
            waits[at].figures.append(wait * 1000)
        back[at].idle = waits[at].idle = busy.idle
    return back + waits


def _topics(number: int) -> list[str]:
    return [_ALL, f"kept.part{number % _TOPICS}"]


def _one(contender: Contender, count: int, busy: Busy) -> tuple[float, float]:
    cores = Cores.available()
    with serving(contender, cores.server) as server, pinned(cores.generator):
        pair = Pair(server.port, count, "feed.pair", _EVERY)
        talker = Talker(server.port, count + 2)
        names = sorted({topic for number in range(_TOPICS) for topic in _topics(number)})
        since = {name: _publish(talker, name, 1) for name in names}
        clients = open_sessions(server.port, count, _topics)
        # They go without a word; the hub is told of it while messages come.
        reset_connections(clients)
        for name in names:
            _publish(talker, name, _MISSED)
        settled_cpu_seconds(server.pid)
        pair.begin()
        with busy.counted():
            storm = _Storm(server.port, count, since)
            took = storm.run(pair)
        waits = pair.finish()
        storm.leave()
        pair.close()
        talker.sock.close()
    return took, percentile(waits, 99)


def _publish(talker: Talker, topic: str, count: int) -> dict[str, Any]:
    """Publish so often; return the position of the last one."""
    talker.sock.sendall(count * publish(topic, 64))
    answers = [talker.hear() for _ in range(count)]
    return {"offset": answers[-1]["offset"], "epoch": answers[-1]["epoch"]}


class _Client:
    """One who comes back."""

    def __init__(self, sock: socket.socket, missing: int) -> None:
        self.sock = sock
        self.frames = Frames()
        self.missing = missing


class _Storm:
    """All who come back, at once."""

    def __init__(self, port: int, count: int, since: dict[str, dict[str, Any]]) -> None:
        self._port = port
        self._requests: list[bytes] = []
        for number in range(count):
            topics = _topics(number)
            subscribe = command(
                action="subscribe", topics=topics, since={name: since[name] for name in topics}
            )
            self._requests.append(opening(number) + subscribe)
        self._clients: dict[int, _Client] = {}

    def run(self, pair: Pair) -> float:
        """Return how long it took until all had everything."""
        began = time.perf_counter()
        waiting = 0
        with select.epoll() as poller:
            for number in range(len(self._requests)):
                sock = new_socket("127.0.0.1")
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.1", self._port))
                poller.register(sock, select.EPOLLOUT)
                self._clients[sock.fileno()] = _Client(sock, _MISSED * len(_topics(number)))
                waiting += 1
                pair.work()
            requests = dict(zip(self._clients, self._requests, strict=True))
            while waiting:
                events = poller.poll(0, _AT_ONCE)
                for number, event in events:
                    client = self._clients[number]
                    if event & select.EPOLLOUT:
                        client.sock.send(requests.pop(number))
                        poller.modify(number, select.EPOLLIN)
                    elif self._take(client):
                        poller.unregister(number)
                        waiting -= 1
                pair.work()
                if not events:
                    time.sleep(_PAUSE)
                    if time.perf_counter() > began + _TIMEOUT:
                        raise TimeoutError(f"{waiting} did not come back")
        return time.perf_counter() - began

    def _take(self, client: _Client) -> bool:
        """Read; whether it has all that it missed."""
        data = client.sock.recv(65536)
        if not data:
            raise ConnectionError("the server ended the stream of one who came back")
        for _, payload in client.frames.feed(data):
            if payload.startswith(b'{"type":"notification"'):
                client.missing -= 1
            elif payload.startswith(b'{"type":"subscribed"'):
                positions = json.loads(payload)["positions"]
                if not all(position["recovered"] for position in positions.values()):
                    raise ConnectionError(f"one could not resume: {positions}")
            elif not payload.startswith(b'{"type":"auth","status":"ok"'):
                raise ConnectionError(f"one who came back was told {payload!r}")
        if client.missing < 0:
            raise ConnectionError("one who came back got more than it missed")
        return not client.missing

    def leave(self) -> None:
        """Let all go."""
        reset_connections([client.sock for client in self._clients.values()])
