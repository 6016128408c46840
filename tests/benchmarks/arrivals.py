"""Messages that go to all: published on one connection, and counted or timed as they arrive."""

from __future__ import annotations

import math
import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from .load import look
from .wire import TEXT, TEXT_ANSWER

_TIMEOUT = 20.0
_BUFFER = bytearray(65536)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is sent to publish one message, and how many bytes arrive for it."""

    sent: bytes = TEXT
    size: int = len(TEXT_ANSWER)
    """Of one delivery."""
    answer: int = 0
    """Of what the publisher is answered besides."""

    def sizes(self, connections: Sequence[socket.socket]) -> dict[int, int]:
        """Return what arrives at each connection, by its descriptor; the first one publishes."""
        sizes = dict.fromkeys((sock.fileno() for sock in connections), self.size)
        sizes[connections[0].fileno()] += self.answer
        return sizes


_PLAIN = Traffic()


def check_delivery(connections: Sequence[socket.socket]) -> None:
    """Publish one message and read it from each connection: it is the same from every server."""
    connections[0].sendall(TEXT)
    for sock in connections:
        if (answer := sock.recv(4096)) != TEXT_ANSWER:
            raise ConnectionError(f"the message was delivered as {answer!r}")


def keep_in_flight(
    connections: Sequence[socket.socket],
    in_flight: int,
    seconds: float,
    traffic: Traffic = _PLAIN,
) -> tuple[int, float]:
    """Keep so many messages on their way to all; return the deliveries and how long they took.

    The first connection publishes, and receives like the others. The next message follows when one
    has arrived everywhere. All have at the end.
    """
    publisher = connections[0]
    with polling(connections) as poller:
        readers = {sock.fileno(): sock.recv_into for sock in connections}
        arrived = dict.fromkeys(readers, 0)
        sizes = traffic.sizes(connections)
        # How many connections lack each message: the last of a batch to arrive completes them all.
        lacking = [len(connections)] * in_flight
        complete = 0
        began = time.perf_counter()
        end = began + seconds
        publisher.send(in_flight * traffic.sent)
        while complete < len(lacking):
            for number, _ in look(poller):
                size = sizes[number]
                before = arrived[number] // size
                arrived[number] += readers[number](_BUFFER)
                for message in range(before, arrived[number] // size):
                    lacking[message] -= 1
            finished = complete
            while complete < len(lacking) and not lacking[complete]:
                complete += 1
            if complete > finished and time.perf_counter() < end:
                publisher.send((complete - finished) * traffic.sent)
                lacking += [len(connections)] * (complete - finished)
        took = time.perf_counter() - began
    return complete * len(connections), took


def time_deliveries(
    connections: Sequence[socket.socket], rate: float, seconds: float, traffic: Traffic = _PLAIN
) -> list[float]:
    """Publish so many messages a second, whatever comes back; return how long each delivery took.

    A delivery takes from the moment at which its message was due to be sent: if the generator is
    late, that counts too.
    """
    publisher = connections[0]
    count = max(1, round(rate * seconds))
    taken: list[float] = []
    with polling(connections) as poller:
        readers = {sock.fileno(): sock.recv_into for sock in connections}
        arrived = dict.fromkeys(readers, 0)
        sizes = traffic.sizes(connections)
        began = time.perf_counter()
        due = [began + number / rate for number in range(count)]
        sent = 0
        while len(taken) < count * len(connections):
            now = time.perf_counter()
            while sent < count and due[sent] <= now:
                publisher.send(traffic.sent)
                sent += 1
            for number, _ in look(poller, due[sent] if sent < count else math.inf):
                size = sizes[number]
                before = arrived[number] // size
                arrived[number] += readers[number](_BUFFER)
                now = time.perf_counter()
                taken += [now - at for at in due[before : arrived[number] // size]]
    return taken


@contextmanager
def polling(connections: Sequence[socket.socket]) -> Iterator[select.epoll]:
    """Make the connections non-blocking for the block, and give what tells which are readable."""
    with select.epoll() as poller:
        for sock in connections:
            sock.setblocking(False)
            # Edges: the kernel need not look again at what was read.
            poller.register(sock, select.EPOLLIN | select.EPOLLET)
        yield poller
        for sock in connections:
            sock.settimeout(_TIMEOUT)
