"""One stream of frames read in several ways, and what each reader says, made comparable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from wsproto import events
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.extensions import Extension

from hubbub.core.deflate import Inflater
from hubbub.core.events import BinaryMessage, Close, TextMessage
from hubbub.core.limits import Limits
from hubbub.core.splitter import Failure, FrameSplitter, Item, PingFrame, PongFrame

WIDE = Limits(max_size=None, max_fragments=2**31)
"""No stream here reaches a limit, so that wsproto, which has none, may say the same."""

TIGHT = Limits(max_size=300, max_fragments=4)
"""Nearly every stream here reaches one."""


class Setting(NamedTuple):
    """Who reads, and what was agreed."""

    client: bool = False
    deflate: bool = False
    takeover: bool = True
    limits: Limits = WIDE
    fragments: bool = False

    def inflater(self) -> Inflater | None:
        """A new one, where compression was agreed."""
        if not self.deflate:
            return None
        return Inflater(15, context_takeover=self.takeover, max_size=self.limits.max_size)

    def splitter(
        self, kind: type[FrameSplitter] = FrameSplitter, *, fast_path: bool = True
    ) -> FrameSplitter:
        """A new one of ours."""
        return kind(
            client=self.client,
            limits=self.limits,
            inflater=self.inflater(),
            fragments=self.fragments,
            fast_path=fast_path,
        )

    def plain(self) -> PlainReader:
        """A new bare wsproto with our extension."""
        return PlainReader(client=self.client, extension=self.inflater())


class Reading(NamedTuple):
    """What a reader says of one chunk, and where it stands behind it."""

    items: tuple[Item, ...]
    unfinished: bool
    open_part: bytes
    """What is there of a message that is not ended."""
    sound: bool
    """Whether the promise of `only_messages` was kept."""


class Reader(Protocol):
    """Both kinds."""

    def receive(self, data: bytes) -> list[Item]:
        """Everything that `data` completes."""
        ...


class PlainReader:
    """wsproto's `Connection` by itself; the parts of messages are joined in the most naive way."""

    def __init__(self, *, client: bool = False, extension: Extension | None = None) -> None:
        role = ConnectionType.CLIENT if client else ConnectionType.SERVER
        self.connection = Connection(role, [] if extension is None else [extension])
        self.parts: list[str | bytes] = []
        self._ended = False

    def receive(self, data: bytes) -> list[Item]:
        """Everything that `data` completes, in order."""
        items: list[Item] = []
        if self._ended:
            return items
        self.connection.receive_data(data)
        for event in self.connection.events():
            if isinstance(event, (events.TextMessage, events.BytesMessage)):
                self._join(event, items)
            elif isinstance(event, events.Ping):
                items.append(PingFrame(bytes(event.payload)))
            elif isinstance(event, events.Pong):
                items.append(PongFrame(bytes(event.payload)))
            else:
                assert isinstance(event, events.CloseConnection)
                items.append(self._end(event))
        return items

    def _join(self, event: events.TextMessage | events.BytesMessage, items: list[Item]) -> None:
        data = event.data
        self.parts.append(data if isinstance(data, str) else bytes(data))
        if event.message_finished:
            if isinstance(event, events.TextMessage):
                items.append(TextMessage("".join(str(part) for part in self.parts)))
            else:
                items.append(BinaryMessage(self.open_part))
            self.parts = []

    def _end(self, event: events.CloseConnection) -> Item:
        self._ended = True
        self.parts = []
        code, reason = int(event.code), event.reason or ""
        # After its own verdict wsproto stays open; after the peer's Close frame it doesn't.
        if self.connection.state is ConnectionState.OPEN:
            return Failure(code, reason)
        return Close(None if code == 1005 else code, reason)

    @property
    def unfinished(self) -> bool:
        """Whether a frame or a message was begun and not ended."""
        frames = self.connection._proto._frame_decoder
        message = self.connection._proto._message_decoder
        begun = len(frames.buffer) > 0 or frames.header is not None or message.opcode is not None
        return begun and not self._ended

    @property
    def open_part(self) -> bytes:
        """What is there of a message that is not ended."""
        return b"".join(part.encode() if isinstance(part, str) else part for part in self.parts)


class CountingSplitter(FrameSplitter):
    """Counts the frames that took the fast path."""

    taken = 0

    def _split(self, data: bytes, at: int, end: int, items: list[Item]) -> int:
        stop = super()._split(data, at, end, items)
        type(self).taken += stop > 0
        return stop


def follow(reader: FrameSplitter | PlainReader, chunks: Iterable[bytes]) -> list[Reading]:
    """What `reader` says of each chunk."""
    readings: list[Reading] = []
    for chunk in chunks:
        items = reader.receive(chunk)
        sound = True
        if isinstance(reader, FrameSplitter):
            open_part = bytes(reader._parts or b"")
            if reader.only_messages:
                sound = all(
                    isinstance(item, (TextMessage, BinaryMessage)) and item.final for item in items
                )
        else:
            open_part = reader.open_part
        readings.append(Reading(tuple(items), reader.unfinished, open_part, sound))
    return readings


def read_all(reader: Reader, chunks: Iterable[bytes]) -> list[Item]:
    """What `reader` says of all chunks together."""
    return [item for chunk in chunks for item in reader.receive(chunk)]


def comparable(readings: Sequence[Reading]) -> list[Reading]:
    """The same without the words of 1007 and 1009: wsproto's hold positions, which follow the cuts.

    Close frames with code 1014, which only wsproto refuses, become that refusal.
    """
    return [
        reading._replace(items=tuple(_plain_item(item) for item in reading.items))
        for reading in readings
    ]


def _plain_item(item: Item) -> Item:
    if isinstance(item, Failure) and item.code in (1007, 1009):
        return Failure(item.code, "")
    if isinstance(item, Close) and item.code == 1014:
        return Failure(1002, "CLOSE with unknown reserved code")
    return item


def assert_equal_readings(setting: Setting, chunks: Sequence[bytes]) -> None:
    """The fast path says what our splitter says without it, and what wsproto says by itself."""
    fast = follow(setting.splitter(), chunks)
    slow = follow(setting.splitter(fast_path=False), chunks)
    assert fast == slow
    if setting.limits is WIDE and not setting.fragments:
        assert comparable(fast) == comparable(follow(setting.plain(), chunks))
