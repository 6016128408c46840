"""What happened in a simulation, as a hash, as lines, and as the last things on each connection."""

from collections import deque
from hashlib import blake2b
from struct import pack
from typing import Protocol

from .agenda import Agenda

__all__ = ["Record", "Recorded"]


class Recorded(Protocol):
    """A connection of which is taken down what happens on it."""

    number: int
    last: deque[tuple[float, str, str]]
    """What happened last: when, what, and the text."""


class Record:
    """Takes down what happens.

    Args:
        agenda: whose time it is.
    """

    def __init__(self, agenda: Agenda) -> None:
        self.lines: list[str] | None = None
        """A line for each thing, if it is set to a list."""
        self._agenda = agenda
        self._hash = blake2b(digest_size=16)

    @property
    def digest(self) -> str:
        """A hash of all bytes on each connection, all events and effects, and their times, so far."""
        return self._hash.hexdigest()

    def note(self, connection: Recorded, what: str, text: str) -> None:
        """Something happened on a connection."""
        now = self._agenda.now
        connection.last.append((now, what, text))
        if self.lines is not None:
            self.lines.append(f"{now:.6f} {connection.number} {what} {text}")

    def note_hub(self, what: str, text: str) -> None:
        """The hub asked, or told, or was answered."""
        line = f"{self._agenda.now!r} hub {what} {text}"
        self._hash.update(line.encode())
        if self.lines is not None:
            self.lines.append(f"{self._agenda.now:.6f} hub {what} {text}")

    def note_bytes(self, connection: Recorded, at_hub: bool, piece: bytes) -> None:
        """A piece arrived; an empty one is the end of the stream."""
        self._hash.update(pack("<dIB", self._agenda.now, connection.number, at_hub))
        self._hash.update(piece)

    def note_loss(self, connection: Recorded, at_hub: bool) -> None:
        """A socket is closed."""
        self._hash.update(pack("<dI", self._agenda.now, connection.number))
        self.note(connection, "loses its socket", "at the hub" if at_hub else "at the client")
