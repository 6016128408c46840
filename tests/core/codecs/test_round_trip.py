"""What one side writes, the other reads, and it is the same."""

from __future__ import annotations

import json
from typing import get_args

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hubbub.core.codecs.native import decode, decode_answer, encode, encode_request
from hubbub.core.hub_limits import HubLimits
from hubbub.core.messages import Answer, History, Notification, Push, Request
from support.messages import answers, pushes, requests

LIMITS = HubLimits()


@given(requests)
def test_a_request_comes_back(request: Request) -> None:
    """Whatever a client asks, the server reads just that."""
    assert decode(encode_request(request).decode(), LIMITS) == request


@given(answers | pushes)
def test_an_answer_or_push_comes_back(message: Answer | Push) -> None:
    """Whatever a server tells, the client reads just that."""
    assert decode_answer(encode(message).decode()) == message


@given(requests)
def test_a_request_is_one_json_object(request: Request) -> None:
    """Another JSON reader sees the fields that are not at their defaults, and the action first."""
    seen = json.loads(encode_request(request))
    tag = request.__struct_config__.tag
    if tag is not None:
        assert next(iter(seen.items())) == ("action", tag)
        del seen["action"]
    fields = msgspec.structs.fields(request)
    assert list(seen) == [
        field.name
        for field in fields
        if field.required or getattr(request, field.name) != field.default
    ]


@given(answers | pushes)
def test_an_answer_is_one_json_object(message: Answer | Push) -> None:
    """Another JSON reader sees an object with its type first, in the order of the fields."""
    seen = json.loads(encode(message))
    assert next(iter(seen.items())) == ("type", message.__struct_config__.tag)
    order = [field.name for field in msgspec.structs.fields(message)]
    assert [name for name in order if name in seen] == list(seen)[1:]


@given(st.data(), requests)
def test_the_order_of_keys_says_nothing(data: st.DataObject, request: Request) -> None:
    """A request whose keys come in any order, with unknown ones between them, is the same request."""
    fields = json.loads(encode_request(request)) | {"unknown": [1], "another": {"topic": 1}}
    order = data.draw(st.permutations(list(fields)))
    assert decode(json.dumps({name: fields[name] for name in order}), LIMITS) == request


def test_every_kind_is_tried() -> None:
    """The strategies above make each kind of request, answer and push."""
    for strategy, union in ((requests, Request), (answers, Answer), (pushes, Push)):
        told = {kind.__name__ for kind in get_args(union)} - {"Malformed"}
        named = repr(strategy)
        assert {name for name in told if f"builds({name}," not in named} == set()


def test_history_is_given_as_it_was_written() -> None:
    """What a log kept as JSON goes into the answer as it is, and is read as what it was."""
    kept = Notification("alerts", None, "2025-01-02T03:04:05Z", offset=7, epoch="e")
    answer = encode(History("alerts", (msgspec.Raw(encode(kept)),), id=1))
    assert encode(kept) in answer
    assert decode_answer(answer.decode()) == History("alerts", (kept,), id=1)
