"""Bodies of ordinary HTTP requests: how they are framed, what bounds them, and that cuts don't matter."""

from __future__ import annotations

import random
import time
import tracemalloc

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubbub.core import (
    End,
    Event,
    HttpRequested,
    Limits,
    Refused,
    Requested,
    ServerOptions,
    WebSocket,
    text_response,
)
from hubbub.core.strategies import chunkings
from support.machines import events, output, read_answer, server
from support.mutations import mutate_http
from support.wire import HOST, head, pieces, request

HTTP = ServerOptions(http=True)
CHUNKED = ("Transfer-Encoding", "chunked")
MIB = 2**20


def post(*lines: tuple[str, str], version: str = "1.1", method: str = "POST") -> bytes:
    """The head of a request with these lines."""
    return head(f"{method} /api/publish HTTP/{version}", [("Host", HOST), *lines])


def limited(**limits: int) -> ServerOptions:
    """Options with these limits."""
    return ServerOptions(http=True, limits=Limits(**limits))


def verdict(data: bytes, options: ServerOptions = HTTP) -> bytes | int | None:
    """The body, or the status that refuses it, or None while more is needed."""
    ws = server(options)
    ws.receive_data(data, 0.0)
    told = events(ws)
    if not told:
        return None
    (event,) = told
    if isinstance(event, HttpRequested):
        return event.body
    assert isinstance(event, Refused)
    answer = read_answer(output(ws), "POST")
    assert answer.status == event.response.status
    assert event.request is None or event.request.path == "/api/publish"
    return answer.status


# How a body is framed.


@pytest.mark.parametrize("tail", [b"", b"\r\nGET / HTTP/1.1\r\n\r\n"], ids=["", "more"])
@pytest.mark.parametrize(
    ("data", "body"),
    [
        (post(), b""),
        (post(("Content-Length", "0")), b""),
        (post(("Content-Length", "5")) + b"hello", b"hello"),
        (post(("Content-Length", "5"), method="GET") + b"hello", b"hello"),
        (post(("Content-Length", "00005")) + b"hello", b"hello"),
        (post(("Content-Length", "5"), ("Content-Length", "5")) + b"hello", b"hello"),
        (post(("Content-Length", "5, 5")) + b"hello", b"hello"),
        (post(("Content-Length", "5"), version="1.0") + b"hello", b"hello"),
        (post(("Content-Length", "4"), ("Upgrade", "h2c")) + b"\r\n\0\xff", b"\r\n\0\xff"),
        (post(CHUNKED) + b"0\r\n\r\n", b""),
        (post(CHUNKED) + b"000\r\n\r\n", b""),
        (post(CHUNKED) + b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (post(CHUNKED) + b"0005 \r\nhello\r\n0\r\n\r\n", b"hello"),
        (post(CHUNKED) + b"4\r\n\r\n0\r\r\n1\r\n\n\r\n0\r\n\r\n", b"\r\n0\r\n"),
        (post(CHUNKED) + b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2),
        (post(CHUNKED) + b'1;a;b=c;d="e"\r\nx\r\n0;z\r\n\r\n', b"x"),
        (post(CHUNKED) + b"1\r\nx\r\n0\r\nX-Sum: 1\r\nHost: b\r\n\r\n", b"x"),
        (post(("transfer-encoding", "CHUNKED")) + b"1\r\nx\r\n0\r\n\r\n", b"x"),
    ],
    ids=repr,
)
def test_a_body_is_read(data: bytes, body: bytes, tail: bytes) -> None:
    """The body is what was sent, without its coding, and what follows it is none of it."""
    assert verdict(data[:-1]) is None
    assert verdict(data + tail) == body


@pytest.mark.parametrize(
    ("data", "status"),
    [
        # Two opinions about the length: the ways to smuggle a request.
        (post(("Content-Length", "5"), CHUNKED), 400),
        (post(CHUNKED, ("Content-Length", "0")), 400),
        (post(("Content-Length", "5"), ("Content-Length", "6")), 400),
        (post(("Content-Length", "5, 6")), 400),
        (post(("Content-Length", "+5")), 400),
        (post(("Content-Length", "-5")), 400),
        (post(("Content-Length", "0x5")), 400),
        (post(("Content-Length", "")), 400),
        (post(("Content-Length", "5 5")), 400),
        (post(("Content-Length ", "5")), 400),
        (post(("Transfer-Encoding", "gzip, chunked")), 501),
        (post(("Transfer-Encoding", "chunked, identity")), 501),
        (post(("Transfer-Encoding", "xchunked")), 501),
        (post(("Transfer-Encoding", "chunked\x0b")), 400),
        (post(CHUNKED, CHUNKED), 501),
        (post(CHUNKED, version="1.0"), 400),
        # Sizes of chunks.
        (post(CHUNKED) + b"\r\n", 400),
        (post(CHUNKED) + b" 5\r\n", 400),
        (post(CHUNKED) + b"+5\r\n", 400),
        (post(CHUNKED) + b"0x5\r\n", 400),
        (post(CHUNKED) + b"1_0\r\n", 400),
        (post(CHUNKED) + b"g\r\n", 400),
        (post(CHUNKED) + b"5 ;a\r\n", 400),
        (post(CHUNKED) + b"0" * 20 + b"5\r\n", 400),
        (post(CHUNKED) + b"f" * 20 + b"\r\n", 413),
        # Ends of lines.
        (post(CHUNKED) + b"5\n", 400),
        (post(CHUNKED) + b"5\r\r\n", 400),
        (post(CHUNKED) + b"5;a\rb\r\n", 400),
        (post(CHUNKED) + b"5;a\0\r\n", 400),
        (post(CHUNKED) + b"1\r\nx\n", 400),
        (post(CHUNKED) + b"1\r\nxx\r\n", 400),
        (post(CHUNKED) + b"1\r\nx0\r\n", 400),
        (post(CHUNKED) + b"0\r\n\n", 400),
        # Trailers.
        (post(CHUNKED) + b"0\r\nno colon\r\n\r\n", 400),
        (post(CHUNKED) + b"0\r\nA: 1\n\r\n", 400),
        (post(CHUNKED) + b"0\r\nA: 1\r\n 2\r\n\r\n", 400),
        (post(CHUNKED) + b"0\r\nA: \0\r\n\r\n", 400),
    ],
    ids=repr,
)
def test_a_body_that_may_mean_two_things_is_refused(data: bytes, status: int) -> None:
    """Each is refused as soon as it is seen, and so it is with anything behind it."""
    assert verdict(data) == status
    assert verdict(data + b"5\r\nhello\r\n0\r\n\r\n") == status


# Bounds.


def chunks(*sizes: int) -> bytes:
    """Chunks of these sizes, without the last empty one."""
    return b"".join(b"%x\r\n%b\r\n" % (size, bytes(size)) for size in sizes)


def test_a_length_is_judged_at_the_head() -> None:
    """A body of exactly the limit is read; a longer one gets 413 before it comes."""
    options = limited(max_request_body=100)
    assert verdict(post(("Content-Length", "100")) + bytes(100), options) == bytes(100)
    assert verdict(post(("Content-Length", "101")), options) == 413
    assert verdict(post(("Content-Length", "9" * 20)), options) == 413


def test_chunks_are_judged_by_their_sum() -> None:
    """Chunks of exactly the limit are read; the size that passes it gets 413 before its data comes."""
    options = limited(max_request_body=100)
    assert verdict(post(CHUNKED) + chunks(60, 40) + b"0\r\n\r\n", options) == bytes(100)
    assert verdict(post(CHUNKED) + chunks(60) + b"29", options) is None
    assert verdict(post(CHUNKED) + chunks(60) + b"29\r\n", options) == 413
    assert verdict(post(CHUNKED) + chunks(60, 40) + b"1\r\n", options) == 413


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_framing_of_chunks_is_bounded(size: int) -> None:
    """Sizes, ends, extensions and trailers together may be as long as a head, and no byte longer."""
    options = limited(max_handshake_size=200)
    full = chunks(1) * 39  # 195 bytes
    for begun in (
        full + b"1\r\nx\r\n",
        full + b"1;abc",
        full + b"0\r\nAB",
        b"1;" + b"x" * 198,
        b"0\r\n" + b"A: b\r\n" * 32 + b"C: de",
    ):
        ws = server(options)
        for piece in pieces(post(CHUNKED) + begun, size):
            ws.receive_data(piece, 0.0)
        assert events(ws) == []
        ws.receive_data(b"0", 0.0)
        (event,) = events(ws)
        assert isinstance(event, Refused)
        assert event.response.status == 413
    ends_full = chunks(1) * 39 + b"0\r\n\r\n"
    assert verdict(post(CHUNKED) + ends_full, options) == bytes(39)


def test_trailers_are_counted() -> None:
    """There may be as many of them as of header lines."""
    options = limited(max_headers=5)
    data = post(CHUNKED) + b"0\r\n" + b"A: b\r\n" * 5
    assert verdict(data + b"\r\n", options) == b""
    assert verdict(data + b"A: b\r\n", options) == 431


@pytest.mark.parametrize("size", [MIB, 16384, 100])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_collected_once(size: int, chunked: bool) -> None:
    """1 MiB, in any pieces, holds no more than `worst_case_bytes` counts and takes no quadratic time."""
    body = bytes(MIB)
    if chunked:
        data = post(CHUNKED) + chunks(*[1024] * 1024) + b"0\r\n\r\n"
    else:
        data = post(("Content-Length", str(MIB))) + body
    parts = pieces(data, size)
    ws = server(HTTP)
    began = time.process_time()
    tracemalloc.start()
    for part in parts:
        ws.receive_data(part, 0.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - began < 2.0
    (event,) = events(ws)
    assert isinstance(event, HttpRequested)
    assert event.body == body
    one_piece = size if size > 65536 else 0
    assert peak < 3 * MIB + 300_000 + 3 * one_piece


def hostile_bodies() -> dict[str, bytes]:
    """Bodies that are not complete, or cost more than they weigh."""
    return {
        "a body": post(("Content-Length", "65536")) + bytes(65535),
        "tiny chunks": post(CHUNKED) + b"1\r\nx\r\n" * 1000,
        "a long line": post(CHUNKED) + b"1;" + b"x" * 10_000,
        "trailers": post(CHUNKED) + b"0\r\n" + b"a:\r\n" * 1000,
        "early bytes": post() + bytes(100_000),
        "a large body": post(("Content-Length", "65537")) + bytes(100_000),
    }


@pytest.mark.parametrize("name", hostile_bodies())
def test_no_body_holds_more_than_the_worst_case(name: str) -> None:
    """Where a body is the largest that a connection can hold, `worst_case_bytes` still bounds it."""
    limits = Limits(
        max_size=1,
        max_queue=1,
        max_queue_size=1,
        max_handshake_size=4096,
        max_request_body=65536,
        write_limit=1,
        max_write_buffer=1,
    )
    parts = pieces(hostile_bodies()[name], 50)
    ws = server(ServerOptions(http=True, limits=limits))
    tracemalloc.start()
    for part in parts:
        ws.receive_data(part, 0.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < limits.worst_case_bytes(1)


def test_the_worst_case_counts_a_body() -> None:
    """A body that may be larger than all messages makes the worst case larger."""
    usual = Limits().worst_case_bytes(1)
    assert Limits(max_request_body=64 * MIB).worst_case_bytes(1) > usual + 100 * MIB
    with pytest.raises(ValueError, match="max_request_body"):
        Limits(max_request_body=0)


@pytest.mark.parametrize(
    "line",
    [b"1;" + b" " * 15_000 + b"\x0b", b"0\r\na:" + b" " * 15_000 + b"\x0b", b"1;" + b" " * 15_000],
)
def test_blanks_cost_nothing(line: bytes) -> None:
    """Lines for which h11 would need more than a second are refused before it sees them, or are short."""
    began = time.process_time()
    verdict(post(CHUNKED) + line + b"\n\r\n\r\n")
    verdict(post(CHUNKED) + line + b"\r\n\r\n")
    assert time.process_time() - began < 0.1


# What holds for all of them.

SOURCES = (
    post() + b"more",
    post(("Content-Length", "30")) + b"012345678901234567890123456789" + b"x" * 60,
    post(("Content-Length", "50"), ("Expect", "100-continue")) + b"x",
    post(("Content-Length", "7"), ("Expect", "100-continue"), method="HEAD") + b"message" + post(),
    post(CHUNKED) + b"3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n" + b"x" * 60,
    post(CHUNKED, ("Expect", "100-continue")) + chunks(20, 20) + b"0\r\n\r\n",
    post(CHUNKED) + chunks(20, 21) + b"0\r\n\r\n",
    post(CHUNKED) + chunks(1) * 30 + b"0\r\nA: b\r\n\r\n",
    post(CHUNKED) + b"1;" + b"x" * 200 + b"\r\nx\r\n0\r\n\r\n",
    post(CHUNKED, ("Content-Length", "1")) + b"x",
    request(),
    head("GET /healthz HTTP/1.1", [("Host", HOST)]) + b"x",
)
TIGHT = ServerOptions(
    http=True,
    limits=Limits(max_handshake_size=180, max_headers=7, max_request_body=40, drain_size=50),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """One of the sources, or what damage makes of it."""
    data = draw(st.sampled_from(SOURCES))
    source = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(0, 2))):
        data = mutate_http(source, data)
    return data


Told = tuple[list[Event], bytes, End | None, bool, float | None]


def told(ws: WebSocket) -> Told:
    """All that can be seen."""
    return events(ws), output(ws), ws.end, ws.wants_read, ws.next_timeout()


def life(parts: list[bytes], options: ServerOptions) -> list[Told]:
    """What a machine tells that receives these parts, is answered, and comes to its end."""
    ws = server(options)
    for part in parts:
        ws.receive_data(part, 0.0)
    seen = [told(ws)]
    if seen[0][0] and isinstance(seen[0][0][-1], HttpRequested):
        assert not ws.wants_read
        assert ws.respond(text_response(200, "ok"), 1.0)
        seen.append(told(ws))
    ws.handle_timeout(10.0)
    seen.append(told(ws))
    return seen


@given(damaged(), st.sampled_from([HTTP, TIGHT]), st.data())
@settings(max_examples=400)
@example(SOURCES[4], TIGHT, None)
def test_the_cut_does_not_matter(
    stream: bytes, options: ServerOptions, data: st.DataObject | None
) -> None:
    """Whole, in single bytes or cut anywhere, a stream gives the same events, bytes, end and deadlines."""
    expected = life([stream], options)
    cut = pieces(stream, 2) if data is None else data.draw(chunkings(stream))
    assert life(cut, options) == expected
    if len(stream) < 2000:
        assert life(pieces(stream, 1), options) == expected


def by_h11(stream: bytes) -> bytes | None:
    """The body as plain h11 reads it; None if it is not complete, or malformed."""
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(stream)
    body = b""
    try:
        while not isinstance(event := reader.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                return None
            if isinstance(event, h11.Data):
                body += event.data
    except h11.RemoteProtocolError:
        return None
    return body


@given(damaged(), st.sampled_from([HTTP, TIGHT]))
@settings(max_examples=600)
def test_a_damaged_request_gets_one_answer(stream: bytes, options: ServerOptions) -> None:
    """Nothing raises, one answer comes at last, and a body that is reported is the one that h11 reads."""
    first, *later = life([stream], options)
    everything = [event for seen in (first, *later) for event in seen[0]]
    if isinstance(everything[0], HttpRequested):
        assert everything[0].body == by_h11(stream)
        assert len(everything[0].body) <= options.limits.max_request_body
    else:
        assert not any(isinstance(event, HttpRequested) for event in everything)
    if isinstance(everything[0], HttpRequested | Requested):
        everything = everything[1:]
    (last,) = everything
    sent = b"".join(seen[1] for seen in (first, *later))
    if isinstance(last, Refused):
        interim = b"HTTP/1.1 100 Continue\r\n\r\n"
        method = last.request.method if last.request is not None else "GET"
        answer = read_answer(sent.removeprefix(interim), method)
        assert answer.status == last.response.status
        assert answer.rest == b""
    else:
        assert sent == b""
        assert not stream
