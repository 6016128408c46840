"""Simple requests are read without h11: what is read so is what h11 reads."""

from __future__ import annotations

import random

import pytest

from hubbub.core import Limits
from hubbub.core.http import BadMessage
from hubbub.core.http_parser import HeadReader, _check_head, _read_any, _read_simple
from support.corpus import OFFERS, REQUESTS, offer_request
from support.mutations import mutate_http
from support.wire import HOST, head, request

SOURCES = [
    *[case.data for case in REQUESTS if len(case.data) < 20_000],
    *[offer_request(offer) for offer in OFFERS],
    *[request(target="/chat?token=a%20b", host=f"{HOST}:8765")] * 20,
    *[request(("Cookie", "a=b; c=d"), ("X-Blank", ""), ("X-Wide", "  a\t "))] * 20,
    head("GET / HTTP/1.1", [("Host", HOST)]),
]


def compare(data: bytes) -> bool:
    """Read a head both ways; whether it was simple."""
    limits = Limits()
    try:
        complete = HeadReader(limits).receive(data)
        if complete is None:
            return False
        _check_head(complete[0], limits)
    except BadMessage:
        return False
    simple = _read_simple(complete[0])
    if simple is None:
        return False
    by_h11 = _read_any(complete[0], limits)  # it must not raise either
    assert simple == by_h11, data
    assert simple.headers.lines == by_h11.headers.lines, data
    return True


def test_the_corpus_is_read_alike() -> None:
    """What of the corpus is simple, h11 reads to the same request."""
    assert sum(map(compare, SOURCES)) > 50


@pytest.mark.slow
def test_damaged_requests_are_read_alike() -> None:
    """Of 20,000 damaged requests, h11 reads all that are still simple to the same request."""
    source = random.Random(9112)
    simple = sum(
        compare(mutate_http(source, SOURCES[turn % len(SOURCES)])) for turn in range(20_000)
    )
    assert simple > 2000


@pytest.mark.parametrize("place", ["name", "value", "target", "method"])
def test_every_byte_in_every_place_is_read_alike(place: str) -> None:
    """Each of the 256 bytes, inside and at both ends of each part, is judged alike by both."""
    for number in range(256):
        byte = bytes((number,))
        for part in (byte, b"a" + byte, byte + b"a", b"a" + byte + b"a"):
            method = part if place == "method" else b"GET"
            target = b"/" + part if place == "target" else b"/"
            name = part if place == "name" else b"X-Name"
            value = part if place == "value" else b"value"
            compare(
                method
                + b" "
                + target
                + b" HTTP/1.1\r\nHost: a\r\n"
                + name
                + b":"
                + value
                + b"\r\n\r\n"
            )
