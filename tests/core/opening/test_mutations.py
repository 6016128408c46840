"""Damaged requests and responses: an answer or an end, never an exception, however they are cut."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from hubbub.core import (
    Accepted,
    ClientOptions,
    Closed,
    Deflate,
    Event,
    Refused,
    Requested,
    ServerOptions,
    State,
    WebSocket,
)
from support.machines import client, events, output, read_answer, server
from support.mutations import mutate_http
from support.wire import HOST, head, request, response, text

COUNT = 2000
SERVER = ServerOptions(
    deflate=Deflate(), subprotocols=("chat", "superchat"), origins=("https://example.com",)
)
CLIENT = ClientOptions(host=HOST, deflate=Deflate(), subprotocols=("chat", "superchat"))

REQUESTS = (
    request(),
    request(
        ("Origin", "https://example.com"),
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
        ("User-Agent", "Mozilla/5.0"),
        ("Cookie", "session=0123456789abcdef"),
        target="/chat?room=lobby&token=secret",
    ),
    head("GET /healthz HTTP/1.1", [("Host", HOST)]),
)
RESPONSES = (
    response(),
    response(
        ("Sec-WebSocket-Protocol", "chat"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=10"),
    )
    + text("hello", mask=None),
    head("HTTP/1.1 404 Not Found", [("Content-Length", "5")]) + b"never",
    head("HTTP/1.1 200 OK", [("Transfer-Encoding", "chunked")])
    + b"3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n",
    head("HTTP/1.1 100 Continue", []) + response(),
)


def told(ws: WebSocket) -> tuple[list[Event], bytes, State]:
    """All that a machine has to say."""
    return events(ws), output(ws), ws.state


@pytest.mark.slow
def test_damaged_requests_get_one_answer() -> None:
    """Of 2,000 damaged requests each is answered with 101 or refused, or waits for more; cuts change nothing."""
    source = random.Random(6455)
    seen: Counter[int] = Counter()
    for turn in range(COUNT):
        data = mutate_http(source, REQUESTS[turn % len(REQUESTS)])
        whole, bytewise = server(SERVER), server(SERVER)
        whole.receive_data(data, 0.0)
        for at in range(len(data)):
            bytewise.receive_data(data[at : at + 1], 0.0)
        told_events, told_output, state = told(whole)
        assert told(bytewise) == (told_events, told_output, state), data
        if not told_events:
            # Not complete: then the deadline answers.
            assert told_output == b"", data
            whole.handle_timeout(10.0)
            told_events, told_output = events(whole), output(whole, 10.0)
            if not data:
                continue
        (event,) = told_events
        if isinstance(event, Requested):
            whole.accept(0.0)
            told_output = output(whole)
        else:
            assert isinstance(event, Refused), data
        head_only = data.startswith(b"HEAD")
        answer = read_answer(told_output, "HEAD" if head_only else "GET")
        seen[answer.status] += 1
        assert answer.status in {101, 200, 400, 403, 405, 408, 426, 431, 501, 505}, data
    # Damage that is always refused, or never, would prove little.
    assert {101, 200, 400, 403, 408, 426} <= set(seen), seen


@pytest.mark.slow
@pytest.mark.parametrize("how_it_ends", ["eof", "timeout"])
def test_damaged_responses_end_or_open(how_it_ends: str) -> None:
    """Of 2,000 damaged responses each opens, refuses or closes; cuts change nothing."""
    source = random.Random(7692)
    seen: Counter[str] = Counter()
    for turn in range(COUNT):
        data = mutate_http(source, RESPONSES[turn % len(RESPONSES)])
        whole, bytewise = client(CLIENT), client(CLIENT)
        whole.receive_data(data, 0.0)
        for at in range(len(data)):
            bytewise.receive_data(data[at : at + 1], 0.0)
        first = told(whole)
        assert told(bytewise) == first, data
        for ws in (whole, bytewise):
            if how_it_ends == "eof":
                ws.receive_eof(1.0)
            else:
                ws.handle_timeout(10.0)
        second = told(whole)
        assert told(bytewise) == second, data
        everything = first[0] + second[0]
        if how_it_ends == "eof":
            assert isinstance(everything[-1], Closed | Refused), data
        assert sum(isinstance(event, Closed | Refused) for event in everything) <= 1, data
        seen.update(type(event).__name__ for event in everything)
        if any(isinstance(event, Accepted) for event in everything):
            assert isinstance(everything[0], Accepted), data
    assert {"Accepted", "Refused", "Closed", "TextMessage"} <= set(seen), seen
