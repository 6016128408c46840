"""The same steps put the same bytes on the wire on every loop, and in the simulation that has none."""

from __future__ import annotations

from collections import Counter
from typing import Any

from support.lockstep import SLOW, Record, Step, played_without_loop
from support.lockstep_loop import played
from support.net import Net
from support.wire import frame, text

LONG = "The quick brown fox. " * 100
HUGE = b"\x00\x01\x02\x03" * 2**18
"""More than the buffers of the system and of the connection hold: a mebibyte."""

STEPS = [
    # Five connections: the second and the fifth are compressed, the fourth does not read.
    Step("open", number=0, data={}),
    Step("send", data="Grüße"),
    Step("open", number=1, data={"deflate": True}),
    Step("send", number=1, data=LONG),
    Step("send", "server", 1, LONG),
    Step("open", number=2, data={}),
    Step("open", number=3, data={"limits": SLOW}),
    Step("open", number=4, data={"deflate": True}),
    # Messages of both types, in both directions, and answers.
    Step("send", data="how are you?"),
    Step("send", "server", 0, "and you?"),
    Step("send", number=1, data="how are you, compressed?" * 9 + "?"),
    Step("send", data=b""),
    Step("send", "server", 0, ""),
    Step("send", data=bytes(125)),
    Step("send", data=bytes(126)),
    Step("send", "server", 0, bytes(65535)),
    Step("send", "server", 0, bytes(65536)),
    Step("send", number=1, data=bytes(100_000)),
    Step("send", number=4, data="x" * 100_000),
    Step("send", "server", 4, b"\xff" * 100_000),
    # Fragments.
    Step("send", data=["one, ", "", "two, ", "three?"]),
    Step("send", "server", 2, [b"\x01", b"\x02" * 70_000, b""]),
    Step("send", number=1, data=[LONG, LONG, LONG]),
    Step("send", "server", 4, [LONG.encode(), b"", LONG.encode()]),
    # Pings of both sides, with a payload or one of the entropy's, and pongs that answer none.
    Step("ping", data=b"are you there?"),
    Step("ping", "server", 0, b"are you?"),
    Step("ping", number=1),
    Step("ping", "server", 1),
    Step("ping", "server", 2),
    Step("ping", number=2, data=b""),
    Step("pong", data=b"here"),
    Step("pong", "server", 2, b"here, too"),
    # Pings and pongs between the fragments of a message, and what else a peer may send by hand.
    Step("raw", number=2, data=text("be", final=False)),
    Step("raw", number=2, data=frame(0x9, b"between")),
    Step("raw", number=2, data=frame(0xA, b"unasked")),
    Step("raw", number=2, data=frame(0x0, b"tween?")),
    # A broadcast, to all.
    Step("broadcast", data="to all"),
    Step("broadcast", data=LONG),
    Step("broadcast", data=LONG.encode()),
    # The fourth has not read; what it is sent soon waits, and a broadcast leaves it out.
    Step("send", "server", 3, HUGE),
    Step("send", "server", 3, bytes(100_000)),
    Step("broadcast", data="to all but the slow one"),
    Step("send", number=3, data="I can still talk"),
    Step("send", "server", 0, "so can others?"),
    Step("read", number=3),
    Step("broadcast", data="to all again"),
    Step("send", number=3, data="and I hear?"),
    # Ends: by each side, with and without a reason, in the middle of a message, by a protocol error.
    Step("close", number=0, data=(4000, "enough")),
    Step("broadcast", data="to the rest"),
    Step("close", "server", 1, (1001, "")),
    Step("send", number=2, data="one of us is left?"),
    Step("raw", number=2, data=text("unfinished", final=False)),
    Step("raw", number=2, data=b"\xff\xff\xff\xff"),
    Step("broadcast", data="to the two"),
    Step("raw", number=4, data=frame(0x1, b"\xff\xfe")),
    Step("send", "server", 3, "last?"),
    Step("close", "server", 3, (1000, "bye")),
    Step("open", number=5, data={"deflate": True}),
    Step("send", number=5, data="is anybody there?"),
    Step("close", number=5, data=(1000, "")),
]


def _told(record: Record) -> Counter[str]:
    """How many messages of each type, and other things, users were told."""
    logs = [log for heard in record.connections for log in (heard.server, heard.client)]
    return Counter(type(each).__name__ for log in logs for each in log)


def test_the_scenario() -> None:
    """It has everything in it: messages, pongs, an end of each connection, and who was left out."""
    record = played_without_loop(STEPS)
    assert len(STEPS) >= 60
    assert record.skipped == [[], [], [], [3], [], [0], [0, 1, 2]]
    told = _told(record)
    assert told["str"] > 40
    assert told["bytes"] > 15
    ends: list[Any] = [heard.client[-1] for heard in record.connections]
    assert [code for code, _ in ends] == [4000, 1001, 1002, 1000, 1007, 1000]
    assert (ends[0][1], ends[3][1]) == ("enough", "bye")
    assert ("pong", b"are you there?") in record.connections[0].client
    assert ("pong", None) in record.connections[1].server
    assert record.connections[3].client.count(HUGE) == 1
    assert played_without_loop(STEPS) == record


async def test_the_same_bytes(net: Net) -> None:
    """The stream of every connection, in each direction, is that of the simulation, to the byte."""
    expected = played_without_loop(STEPS)
    record = await played(net, STEPS)
    assert record.skipped == expected.skipped
    for number, (one, other) in enumerate(
        zip(record.connections, expected.connections, strict=True)
    ):
        assert one.server == other.server, number
        assert one.client == other.client, number
        assert one.to_server == other.to_server, number
        assert one.to_client == other.to_client, number
