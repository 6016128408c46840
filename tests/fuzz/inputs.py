"""What is fed: valid streams of each area, by parts, so that damaged ones still reach deep."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

from hubbub.core import ClientOptions, Deflate, Limits, ServerOptions
from hubbub.core.extensions import Agreement
from support.corpus import OFFERS, REQUESTS, offer_request
from support.mutations import mutate, mutate_http
from support.wire import HOST, close, frame, head, request, response

Options = ServerOptions | ClientOptions


class Area(NamedTuple):
    """One kind of input."""

    name: str
    options: tuple[Options, ...]
    agreements: tuple[Agreement | None, ...]
    """For areas that begin behind the handshake: what was agreed with each of the options."""
    opened: bool
    """Whether inputs begin behind the handshake."""
    stream: Callable[[random.Random], bytes]


_SMALL = Limits(
    max_size=300,
    max_fragments=4,
    max_queue=3,
    max_queue_size=400,
    max_handshake_size=600,
    max_headers=12,
    max_host=20,
    max_body=50,
    max_request_body=8,
    max_pending_pongs=2,
    max_pending_pings=2,
    control_burst=6,
    control_rate=0.5,
    write_limit=100,
    max_write_buffer=2000,
    drain_size=200,
)
_TINY = Limits(
    max_size=1,
    max_fragments=1,
    max_queue=1,
    max_queue_size=1,
    max_handshake_size=250,
    max_pending_pongs=1,
    max_pending_pings=1,
    control_burst=1,
    control_rate=0.001,
    write_limit=1,
    max_write_buffer=1,
    drain_size=1,
    max_body=1,
)
_PATIENT = Limits(
    max_size=None,
    open_timeout=None,
    ping_interval=None,
    ping_timeout=None,
    message_timeout=None,
    write_timeout=None,
)
_HASTY = Limits(
    max_size=4096,
    open_timeout=0.5,
    ping_interval=0.5,
    ping_timeout=0.2,
    message_timeout=0.3,
    write_timeout=0.4,
    close_timeout=0.1,
    answer_timeout=0.1,
    drain_timeout=0.1,
)
_DEFLATE = Deflate(threshold=0)
_SMALL_DEFLATE = Deflate(
    server_max_window_bits=9,
    client_max_window_bits=9,
    client_no_context_takeover=True,
    level=1,
    mem_level=1,
    threshold=10,
)

SERVER_OPTIONS: tuple[ServerOptions, ...] = (
    ServerOptions(),
    ServerOptions(deflate=_DEFLATE, origins=None, subprotocols=("chat",)),
    ServerOptions(limits=_SMALL, deflate=_SMALL_DEFLATE, origins=(f"https://{HOST}",)),
    ServerOptions(limits=_SMALL, fragments=True, http=True),
    ServerOptions(limits=_HASTY, deflate=_DEFLATE, fragments=True, headers=(("Server", "x"),)),
    ServerOptions(limits=_HASTY, fast_path=False, http=True),
    ServerOptions(limits=_PATIENT, deflate=_DEFLATE, fast_path=False),
    ServerOptions(limits=_TINY),
)
CLIENT_OPTIONS: tuple[ClientOptions, ...] = (
    ClientOptions(host=HOST),
    ClientOptions(host=HOST, deflate=_DEFLATE, subprotocols=("chat", "superchat")),
    ClientOptions(host=HOST, limits=_SMALL, deflate=_SMALL_DEFLATE, origin="https://a.example"),
    ClientOptions(host=HOST, limits=_SMALL, fragments=True),
    ClientOptions(host=HOST, limits=_HASTY, deflate=_DEFLATE, fragments=True),
    ClientOptions(host=HOST, limits=_HASTY, fast_path=False),
    ClientOptions(host=HOST, limits=_PATIENT, deflate=_DEFLATE, fast_path=False),
    ClientOptions(host=HOST, limits=_TINY),
)


def _agreements(options: tuple[Options, ...]) -> tuple[Agreement | None, ...]:
    agreed: list[Agreement | None] = []
    for one in options:
        deflate = one.deflate
        if deflate is None:
            agreed.append(None)
            continue
        agreed.append(
            Agreement(
                server_max_window_bits=deflate.server_max_window_bits,
                client_max_window_bits=deflate.client_max_window_bits,
                server_no_context_takeover=deflate is _SMALL_DEFLATE,
                client_no_context_takeover=deflate.client_no_context_takeover,
            )
        )
    return tuple(agreed)


# Frames.


def _deflated(data: bytes, bits: int = 9, *, last_block: bool = False) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -bits)
    if last_block:
        return compressor.compress(data) + compressor.flush(zlib.Z_FINISH)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


_TEXTS = (
    b"",
    b"a",
    b"hello, world",
    "grüße, \U0001f600 und mehr".encode(),
    b"x" * 125,
    b"x" * 126,
    b'{"action":"publish","topic":"room.lobby","message":"hi"}',
    "ä".encode() * 150,
    b"y" * 299,
    b"y" * 301,
)
_BAD_TEXTS = (
    b"\xff",
    b"ok \xc3",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xc0\x80 overlong",
    b"\x80",
)


def _frame_phrases(mask: bytes | None) -> list[bytes]:
    """Valid frames and runs of frames, and wrong ones that begin well."""

    def one(opcode: int, payload: bytes = b"", *, final: bool = True, rsv: int = 0) -> bytes:
        return frame(opcode, payload, final=final, rsv=rsv, mask=mask)

    phrases: list[bytes] = []
    for payload in _TEXTS:
        middle = len(payload) // 2
        small = _deflated(payload)
        cut = len(small) // 2
        phrases += [
            one(1, payload),
            one(2, payload),
            one(1, payload[:middle], final=False) + one(0, payload[middle:]),
            one(2, payload[:middle], final=False) + one(9, b"p") + one(0, payload[middle:]),
            one(1, small, rsv=4),
            one(2, small, rsv=4),
            one(1, small[:cut], final=False, rsv=4) + one(10, b"") + one(0, small[cut:]),
            one(2, _deflated(payload, 15, last_block=True), rsv=4),
        ]
    phrases += [one(1, bad) for bad in _BAD_TEXTS]
    phrases += [one(1, _deflated(bad), rsv=4) for bad in _BAD_TEXTS]
    phrases += [
        one(1, b"\xc3", final=False) + one(0, b"\xa4"),
        one(1, b"\xf0\x9f", final=False) + one(9) + one(0, b"\x98\x80"),
        one(2, final=False) + one(0, final=False) * 3 + one(0),
        one(2, final=False) + one(0, final=False) * 6,
        one(2, _deflated(bytes(200_000), 15), rsv=4),  # a bomb
        one(1, _deflated(b"z" * 301), rsv=4),
        one(2, b"\xff\xff\xff", rsv=4),  # no deflate
        one(0, b"nothing before"),
        one(1, final=False) + one(1),
        one(9),
        one(9, b"ping"),
        one(9, b"p" * 125),
        one(9, b"p" * 126),
        one(9, final=False),
        one(10),
        one(10, b"pong"),
        one(10, b"\0\0\0\0"),
        one(9, b"ping") * 8,
        one(10, b"pong") * 8,
        one(1, b"a") * 5,
        one(2, b"b", rsv=2),
        one(1, b"b", rsv=7),
        one(9, b"b", rsv=4),
        one(3, b"reserved"),
        one(0xB, b"reserved"),
        one(1, b"q" * 70_000),
        one(8),
        one(8, b"\x03"),
        one(8, struct.pack("!H", 1000) + b"\xff"),
        one(8, struct.pack("!H", 1000) + b"r" * 123),
    ]
    for code in (1000, 1001, 1005, 1006, 1011, 1014, 1015, 999, 2999, 3000, 4999, 5000):
        phrases.append(close(code, mask=mask))
    phrases.append(close(1000, "done", mask=mask))
    # Lengths: not minimal, huge, negative.
    masked = 0 if mask is None else 0x80
    key = mask or b""
    for size in (5, 125):
        phrases.append(struct.pack("!BBH", 0x81, masked | 126, size) + key + b"a" * size)
        phrases.append(struct.pack("!BBQ", 0x81, masked | 127, size) + key + b"a" * size)
    for size in (2**16, 2**31, 2**62, 2**63 - 1, 2**63, 2**64 - 1):
        phrases.append(struct.pack("!BBQ", 0x82, masked | 127, size) + key + b"a" * 20)
    # The wrong side's masking.
    phrases.append(frame(1, b"masking", mask=b"abcd" if mask is None else None))
    return phrases


class _Frames:
    """A stream of frames; a few of them, mostly damaged somewhere."""

    def __init__(self, mask: bytes | None) -> None:
        self._phrases = _frame_phrases(mask)
        # Short enough that most lives are a few packets.
        self._common = [phrase for phrase in self._phrases if len(phrase) < 1000]

    def __call__(self, source: random.Random) -> bytes:
        draw = source.random
        phrases = self._common if draw() < 0.98 else self._phrases
        data = b"".join(
            [phrases[int(draw() * len(phrases))] for _ in range(1 + int(draw() * draw() * 8))]
        )
        if draw() < 0.6:
            data = mutate(source, data)
        return data


_MASKED = _Frames(b"\0\0\0\0")  # so that damage stays visible behind the mask
_RANDOMLY_MASKED = _Frames(b"\x37\xfa\x21\x3d")
_UNMASKED = _Frames(None)


def _client_frames(source: random.Random) -> bytes:
    return _MASKED(source) if source.random() < 0.5 else _RANDOMLY_MASKED(source)


# Handshakes.

_PLAIN_REQUESTS = [
    head("GET /healthz HTTP/1.1", [("Host", HOST)]),
    head("HEAD /healthz HTTP/1.1", [("Host", HOST)]),
    head("POST /healthz HTTP/1.1", [("Host", HOST), ("Content-Length", "3")]) + b"abc",
    head("GET / HTTP/1.1", [("Host", HOST), ("Accept", "*/*")]),
    head("GET / HTTP/1.0", []),
    head(
        "POST /publish HTTP/1.1",
        [("Host", HOST), ("Content-Length", "7"), ("Expect", "100-continue")],
    )
    + b"message",
    head("POST /publish HTTP/1.1", [("Host", HOST), ("Transfer-Encoding", "chunked")])
    + b"3;x=1\r\nabc\r\n4\r\nde\r\n\r\n0\r\nT: 1\r\n\r\n",
]
_BROWSER_REQUEST = request(
    ("Origin", f"https://{HOST}"),
    ("Pragma", "no-cache"),
    ("User-Agent", "Mozilla/5.0"),
    ("Accept-Language", "de"),
    ("Cookie", "session=0123456789abcdef"),
    ("Sec-WebSocket-Protocol", "chat, superchat"),
    ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
    target="/chat?token=secret",
)
_REQUESTS = [
    *[case.data for case in REQUESTS if len(case.data) < 2000],
    *[offer_request(offer) for offer in OFFERS if len(offer.offer) < 1000],
    *_PLAIN_REQUESTS * 3,
    *[_BROWSER_REQUEST] * 25,
    *[request()] * 25,
]
_RESPONSES = [
    *[response()] * 10,
    response(("Sec-WebSocket-Protocol", "chat")),
    response(("Sec-WebSocket-Protocol", "chat"), ("Sec-WebSocket-Protocol", "superchat")),
    response(("Sec-WebSocket-Protocol", "unknown")),
    *[
        response(("Sec-WebSocket-Extensions", f"permessage-deflate; {parameters}"))
        for parameters in (
            "server_max_window_bits=9",
            "server_max_window_bits=12; client_max_window_bits=9",
            "server_max_window_bits=15",
            "server_max_window_bits=9; client_max_window_bits=8",
            "server_no_context_takeover; server_max_window_bits=8",
            "client_max_window_bits",
            "x=1",
        )
    ],
    response(("Sec-WebSocket-Extensions", "x-other")),
    response(accept="AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    response(without=("Upgrade",)),
    response(connection="close"),
    response(upgrade="h2c"),
    response(status="101"),
    response(status="200 OK"),
    head("HTTP/1.1 100 Continue", []) + response(),
    head("HTTP/1.1 103 Early Hints", [("Link", "</a>")]) * 3 + response(),
    head("HTTP/1.1 404 Not Found", [("Content-Length", "5")]) + b"never",
    head("HTTP/1.1 404 Not Found", [("Content-Length", "50000")]) + b"never" * 30,
    head("HTTP/1.1 301 Moved", [("Location", "/b"), ("Content-Length", "0")]),
    head("HTTP/1.1 204 No Content", []),
    head("HTTP/1.1 304 Not Modified", []),
    head("HTTP/1.0 200 OK", []) + b"until the end",
    head("HTTP/1.1 200 OK", [("Transfer-Encoding", "chunked")])
    + b"3\r\nabc\r\n2;x=1\r\nde\r\n0\r\nT: 1\r\n\r\n",
    head("HTTP/1.1 503 Busy", [("Transfer-Encoding", "chunked")]) + b"zz\r\n",
    head("HTTP/1.1 426 Upgrade Required", [("Content-Length", "0"), ("Upgrade", "h2c")]),
    b"HTTP/1.1 999 \r\n\r\n",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"\x15\x03\x01\x00\x02\x02\x46",
]


def _requests(source: random.Random) -> bytes:
    return _handshake(source, _REQUESTS, _MASKED)


def _responses(source: random.Random) -> bytes:
    return _handshake(source, _RESPONSES, _UNMASKED)


def _handshake(source: random.Random, heads: list[bytes], frames: _Frames) -> bytes:
    draw = source.random
    data = heads[int(draw() * len(heads))]
    if draw() < 0.6:
        data = mutate_http(source, data)
    kind = draw()
    if kind < 0.25:
        data += frames(source)
    elif kind < 0.28:
        data += heads[int(draw() * len(heads))]  # pipelined
    elif kind < 0.285:
        data += bytes(20_000)
    return data


AREAS: dict[str, Area] = {
    area.name: area
    for area in (
        Area("handshake-server", SERVER_OPTIONS, (), False, _requests),
        Area("handshake-client", CLIENT_OPTIONS, (), False, _responses),
        Area("frames-server", SERVER_OPTIONS, _agreements(SERVER_OPTIONS), True, _client_frames),
        Area("frames-client", CLIENT_OPTIONS, _agreements(CLIENT_OPTIONS), True, _UNMASKED),
    )
}
