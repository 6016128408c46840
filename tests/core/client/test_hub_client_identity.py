"""How a client says who it is, and what it makes of the answers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from hubbub.core.client_options import ClientLimits, HubClientOptions
from hubbub.core.client_states import ClientState
from hubbub.core.errors import LocalProtocolError
from hubbub.core.messages import AuthResult, ErrorAnswer
from support.scripted_hub import ScriptedHub


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ({"token": "secret"}, {"token": "secret"}),
        ({"name": "ann"}, {"name": "ann"}),
        ({}, {"action": "ping"}),
    ],
)
def test_the_first_message(options: dict[str, Any], first: dict[str, Any]) -> None:
    """It says who we are, or asks for an answer; nothing follows before the hub has answered."""
    hub = ScriptedHub(**options)
    hub.subscribe("alerts")
    hub.publish("alerts")
    (request,) = hub.requests
    number = request["id"]
    assert request == first | {"id": number}
    assert hub.state is ClientState.IDENTIFYING
    hub.let_in()
    hub.take("subscribe", "publish")
    assert hub.client.username == ("ann" if options else None)


def test_answers_that_belong_to_nothing() -> None:
    """Before the hub lets us in other answers, and what is no message at all, are passed over."""
    hub = ScriptedHub()
    hub.say(
        {"type": "pong", "id": 999},
        {"type": "published", "topic": "t", "recipients": 0},
        {"type": "from the future"},
        {"type": "chat"},
        {"no": "type"},
    )
    hub.line.server.send(b"binary", hub.now)
    hub.line.server.send("no JSON", hub.now)
    hub.settle()
    assert hub.state is ClientState.IDENTIFYING
    hub.let_in()
    hub.say({"type": "pong", "id": 999}, {"type": "error", "code": "bad_json", "message": "what?"})
    assert hub.state is ClientState.READY


def test_a_token_that_is_refused() -> None:
    """The close code decides; the reason is the hub's."""
    hub = ScriptedHub(token="t", patient=True)
    (first,) = hub.take("token")
    hub.answer(first, type="auth", status="error", message="Authentication failed")
    assert hub.state is ClientState.IDENTIFYING
    hub.close(1011)
    assert hub.state is ClientState.WAITING
    hub.advance(5.0)
    hub.take("token")
    hub.say({"type": "auth", "status": "error", "message": "Invalid token"})
    hub.close(1008)
    assert hub.state is ClientState.OVER
    assert hub.client.ending is not None
    assert hub.client.ending.reason == "not let in: Invalid token"
    assert hub.client.ending.error == "unauthenticated"


def test_a_name_that_is_taken() -> None:
    """By somebody else, the first time: that is the end."""
    hub = ScriptedHub(name="ann", patient=True)
    (first,) = hub.take("name")
    hub.refuse(first, "name_taken")
    assert hub.state is ClientState.OVER
    assert hub.client.ending is not None
    assert hub.client.ending.error == "name_taken"


def test_our_own_dead_connection_has_the_name() -> None:
    """After a lost connection it is asked for again on the same one, about once a second."""
    hub = ScriptedHub(name="ann")
    hub.let_in()
    hub.cut()
    asked: list[float] = []
    while len(asked) < 5:
        (request,) = hub.take("name")
        asked.append(hub.now)
        hub.refuse(request, "name_taken")
        assert hub.state is ClientState.IDENTIFYING
        hub.wait_for_request()
    assert all(1.0 <= later - sooner <= 5.0 for sooner, later in pairwise(asked))
    assert len(hub.attempts) == 2
    hub.let_in()
    assert hub.state is ClientState.READY


def test_a_name_that_stays_taken() -> None:
    """After `name_timeout` somebody else has it."""
    hub = ScriptedHub(name="ann", limits=ClientLimits(name_timeout=10.0))
    hub.let_in()
    hub.cut()
    began = hub.now
    while hub.state is not ClientState.OVER:
        hub.wait_for_request()
        (request,) = hub.take("name")
        hub.refuse(request, "name_taken")
    assert 10.0 <= hub.now - began <= 16.0


@pytest.mark.parametrize("code", ["full", "internal", "unavailable"])
def test_not_now(code: str) -> None:
    """The hub is at a limit or fails: back off."""
    hub = ScriptedHub(patient=True)
    (first,) = hub.take("ping")
    hub.refuse(first, code)
    assert hub.state is ClientState.WAITING
    assert hub.changes[-1].delay
    assert hub.line.over


@pytest.mark.parametrize("code", ["unauthenticated", "anonymous_off", "bad_name", "too_loud"])
def test_never(code: str) -> None:
    """Any other error, also one without an id, is the end."""
    hub = ScriptedHub(patient=True)
    hub.say({"type": "error", "code": code, "message": "no"})
    assert hub.state is ClientState.OVER
    assert hub.client.ending is not None
    assert hub.client.ending.error == code


def test_no_answer() -> None:
    """After `identify_timeout` the connection is not worth keeping."""
    hub = ScriptedHub(patient=True, limits=ClientLimits(identify_timeout=3.0))
    hub.advance(2.9)
    assert hub.state is ClientState.IDENTIFYING
    hub.advance(0.1)
    assert hub.state is ClientState.WAITING
    assert hub.line.over


def test_a_token_is_fetched_before_each_connection() -> None:
    """What the function gives is what is said; that it fails is worth another attempt, or not."""
    hub = ScriptedHub(fetches=True)
    assert hub.state is ClientState.FETCHING
    (effect,) = hub.fetches
    assert not effect.refresh
    with pytest.raises(LocalProtocolError, match="empty"):
        hub.client.fetched(effect.id, "", hub.now)
    hub.client.fetched(effect.id, "one", hub.now)
    hub.settle()
    assert hub.requests[0]["token"] == "one"
    hub.let_in()
    hub.cut()
    hub.client.fetched(effect.id, "late", hub.now)
    assert hub.state is ClientState.FETCHING
    hub.client.failed(hub.fetches.pop().id, "unreachable", hub.now)
    hub.settle()
    assert hub.state is ClientState.WAITING
    hub.advance(5.0)
    hub.client.fetched(hub.fetches.pop().id, "two", hub.now)
    hub.settle()
    assert hub.requests[0]["token"] == "two"
    hub.let_in()
    hub.cut()
    hub.advance(60.0)
    hub.client.failed(hub.fetches.pop().id, "the account is gone", hub.now, final=True)
    assert hub.state is ClientState.OVER


# Newer tokens.


def test_a_newer_token() -> None:
    """It is fetched and said on the same connection; who asked meanwhile gets the same answer."""
    hub = ScriptedHub(fetches=True)
    hub.client.fetched(hub.fetches.pop().id, "one", hub.now)
    hub.settle()
    hub.let_in()
    first, second = hub.client.refresh(hub.now), hub.client.refresh(hub.now)
    hub.settle()
    (effect,) = hub.fetches
    assert effect.refresh
    hub.client.fetched(effect.id, "two", hub.now)
    hub.settle()
    (request,) = hub.take("refresh")
    assert request["token"] == "two"
    hub.answer(request, type="auth", status="ok", username="ann")
    assert isinstance(hub.answers[first], AuthResult)
    assert isinstance(hub.answers[second], AuthResult)


def test_a_newer_token_that_is_refused() -> None:
    """The old one goes on; an error is told as it is."""
    hub = ScriptedHub(token="one")
    hub.let_in()
    refused = hub.client.refresh(hub.now, "two")
    hub.settle()
    (request,) = hub.take("refresh")
    hub.answer(request, type="auth", status="error", message="Invalid token")
    foreign = hub.client.refresh(hub.now, "eves")
    hub.settle()
    (request,) = hub.take("refresh")
    hub.refuse(request, "forbidden", "another user's")
    for number, code in ((refused, "unauthenticated"), (foreign, "forbidden")):
        answer = hub.answers[number]
        assert isinstance(answer, ErrorAnswer)
        assert answer.code == code
    assert hub.state is ClientState.READY
    with pytest.raises(LocalProtocolError, match="give the newer token"):
        hub.client.refresh(hub.now)


def test_the_connection_ends_before_the_answer() -> None:
    """The next one begins with the newer token, which answers who waits."""
    hub = ScriptedHub(token="one")
    hub.let_in()
    number = hub.client.refresh(hub.now, "two")
    hub.settle()
    hub.take("refresh")
    hub.cut()
    late = hub.client.refresh(hub.now, "three")
    assert hub.requests[0]["token"] == "two"
    hub.let_in()
    assert isinstance(hub.answers[number], AuthResult)
    assert isinstance(hub.answers[late], AuthResult)


def test_a_newer_token_that_can_not_be_fetched() -> None:
    """Who asked is told; where it is asked for regularly, it is asked for again soon."""
    hub = ScriptedHub(fetches=True, refresh_interval=100.0)
    hub.client.fetched(hub.fetches.pop().id, "one", hub.now)
    hub.settle()
    hub.let_in()
    hub.advance(100.0)
    effect = hub.fetches.pop()
    assert effect.refresh
    number = hub.client.refresh(hub.now)
    hub.client.failed(effect.id, "unreachable", hub.now)
    hub.settle()
    answer = hub.answers[number]
    assert isinstance(answer, ErrorAnswer)
    assert (answer.code, answer.message) == ("unavailable", "no newer token: unreachable")
    hub.advance(5.0)
    hub.client.fetched(hub.fetches.pop().id, "two", hub.now)
    hub.settle()
    (request,) = hub.take("refresh")
    hub.answer(request, type="auth", status="ok", username="ann")
    hub.advance(99.0)
    assert not hub.fetches
    hub.advance(1.0)
    assert hub.fetches


def test_nobody_waits_for_it_any_more() -> None:
    """A refresh that was withdrawn is not answered, and one that the end overtakes is."""
    hub = ScriptedHub(token="one")
    hub.let_in()
    gone = hub.client.refresh(hub.now, "two")
    hub.client.withdraw(gone, hub.now)
    hub.cut()
    kept = hub.client.refresh(hub.now, "three")
    hub.client.abort(hub.now)
    hub.settle()
    assert list(hub.answers) == [kept]
    nameless = ScriptedHub()
    nameless.let_in()
    with pytest.raises(LocalProtocolError, match="without a token"):
        nameless.client.refresh(hub.now, "two")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"token": "t", "fetches": True}, "token"),
        ({"token": "t", "name": "ann"}, "name"),
        ({"token": ""}, "token: is empty"),
        ({"name": ""}, "name: is empty"),
        ({"refresh_interval": 1.0}, "needs a function"),
        ({"fetches": True, "refresh_interval": 0.0}, "above 0"),
    ],
)
def test_options_that_contradict_each_other(wrong: dict[str, Any], why: str) -> None:
    """They are told at once; and tokens are in no text that may be logged."""
    with pytest.raises(ValueError, match=why):
        HubClientOptions(**wrong)
    assert "secret" not in repr(HubClientOptions(token="secret"))


@pytest.mark.parametrize(
    "wrong",
    [{"max_events": 0}, {"max_events": 1.5}, {"ack_interval": 0.0}, {"max_hint": float("inf")}, {"ack_batch": True}],
)  # fmt: skip
def test_limits_that_cannot_work(wrong: dict[str, Any]) -> None:
    """A field that cannot work is named."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ClientLimits(**wrong)
