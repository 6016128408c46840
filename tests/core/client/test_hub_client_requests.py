"""Requests over several connections: what is sent again, what fails, and what is still answered at the end."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.core import Limits
from hubbub.core.client_options import ClientLimits
from hubbub.core.client_states import ClientState
from hubbub.core.errors import LocalProtocolError
from hubbub.core.messages import CallResult, ErrorAnswer, History, Presence, Published
from support.scripted_hub import Message, ScriptedHub


def ready(**options: Any) -> ScriptedHub:
    """A client that is let in."""
    hub = ScriptedHub(token="t", **options)
    hub.let_in()
    return hub


def again(hub: ScriptedHub, username: str = "ann") -> list[Message]:
    """The connection is lost, and there is another one; what is asked for on it."""
    hub.advance(hub.client.limits.settled_after)
    hub.cut()
    hub.let_in(username)
    found, hub.requests = hub.requests, []
    return found


def failed(hub: ScriptedHub, number: int) -> str:
    """The code with which a request failed."""
    answer = hub.answers[number]
    assert isinstance(answer, ErrorAnswer)
    return answer.code


def test_each_kind_of_request() -> None:
    """Each is asked for as the protocol says, and its answer comes back under its number."""
    hub = ready()
    client, now = hub.client, hub.now
    numbers = [
        client.publish("t", 1, now, key="k", idempotency_key="mine"),
        client.send_to("bob", 2, now),
        client.presence("room.a", now),
        client.history("log", now, before=9, limit=2),
        client.call("add", [1, 2], now),
    ]
    hub.settle()
    publish, direct, presence, history, call = hub.take(
        "publish", "publish", "presence", "history", "call"
    )
    assert (publish["key"], publish["idempotency_key"]) == ("k", "mine")
    assert direct["to"] == "bob"
    assert "idempotency_key" not in direct
    assert (history["before"], history["limit"]) == (9, 2)
    hub.answer(publish, type="published", topic="t", recipients=1, offset=4, epoch="e")
    hub.answer(direct, type="published", to="bob", recipients=2)
    hub.answer(presence, type="presence", topic="room.a", members=[], count=0)
    hub.answer(history, type="history", topic="log", publications=[])
    hub.answer(call, type="result", name="add", data=3)
    kinds = [type(hub.answers[number]) for number in numbers]
    assert kinds == [Published, Published, Presence, History, CallResult]
    hub.answer(call, type="result", name="add", data=3)  # twice: nobody waits for that


def test_publications_are_repeated() -> None:
    """With the same key, in their order, before what was not sent yet; until they are answered."""
    hub = ready()
    numbers = [hub.publish("t", message) for message in range(3)]
    first = hub.take("publish", "publish", "publish")
    hub.answer(first[0], type="published", topic="t", recipients=1)
    assert len({request["idempotency_key"] for request in first}) == 3
    assert again(hub) == first[1:]
    late = hub.publish("t", "late")
    last = hub.take("publish")
    assert again(hub) == [*first[1:], *last]
    for request in (*first[1:], *last):
        hub.answer(request, type="published", topic="t", recipients=1, duplicate=True)
    assert sorted(hub.answers) == [*numbers, late]
    assert again(hub) == []


def test_questions_are_asked_again() -> None:
    """They change nothing, so asking twice does no harm."""
    hub = ready()
    hub.client.presence("room.a", hub.now)
    hub.client.history("log", hub.now)
    hub.client.ping(hub.now)
    hub.settle()
    first = hub.take("presence", "history", "ping")
    assert again(hub) == first


def test_what_may_be_done_twice_is_not_repeated() -> None:
    """Messages to users and calls fail at once: they may or may not have been done."""
    hub = ready()
    numbers = [hub.client.send_to("bob", 1, hub.now), hub.client.call("f", None, hub.now)]
    hub.settle()
    hub.take("publish", "call")
    hub.cut()
    assert [failed(hub, number) for number in numbers] == ["unavailable"] * 2
    later = [hub.client.send_to("bob", 1, hub.now), hub.client.call("f", None, hub.now)]
    hub.let_in()
    hub.take("publish", "call")
    assert not set(later) & set(hub.answers)


def test_a_nameless_publisher() -> None:
    """It has another name on the next connection, where its keys mean nothing."""
    hub = ScriptedHub()
    hub.let_in()
    number = hub.publish("t")
    hub.cut()
    assert failed(hub, number) == "unavailable"


def test_a_publisher_who_is_somebody_else_now() -> None:
    """So is one whose token is another user's."""
    hub = ready()
    number = hub.publish("t")
    hub.take("publish")
    assert again(hub, "bob") == []
    assert failed(hub, number) == "unavailable"
    number = hub.publish("t")
    hub.take("publish")
    assert len(again(hub, "bob")) == 1


def test_a_key_that_the_hub_forgets() -> None:
    """It remembers keys for two minutes; a repeat after that might double, and is not made."""
    hub = ready()
    number = hub.publish("t")
    hub.take("publish")
    hub.advance(95.0)
    assert len(again(hub)) == 1
    assert again(hub) == []
    assert failed(hub, number) == "unavailable"


def test_what_was_never_sent() -> None:
    """It is sent whenever there is a connection, however long that takes."""
    hub = ready()
    hub.reachable = False
    hub.cut()
    number = hub.publish("t")
    hub.advance(500.0)
    hub.reachable = True
    hub.wait_for_request()
    hub.let_in()
    (request,) = hub.take("publish")
    hub.answer(request, type="published", topic="t", recipients=0)
    assert isinstance(hub.answers[number], Published)


def test_withdrawing() -> None:
    """What was not sent yet is not sent; what was, is answered to nobody in particular."""
    hub = ready()
    sent = hub.publish("t", "sent")
    hub.client.withdraw(sent, hub.now)
    hub.cut()
    unsent = hub.publish("t", "unsent")
    hub.client.withdraw(unsent, hub.now)
    hub.take("publish", "token")
    hub.advance(0.0)
    hub.say({"type": "auth", "status": "ok", "username": "ann"})
    (request,) = hub.take("publish")
    assert request["message"] == "sent"


def test_bounds() -> None:
    """So many may wait, and so many characters; then the caller is told to wait."""
    hub = ready(limits=ClientLimits(max_requests=3, max_requests_size=1000))
    for _ in range(3):
        assert not hub.client.full
        hub.publish("t")
    assert hub.client.full
    with pytest.raises(LocalProtocolError, match="too many requests"):
        hub.publish("t")
    hub.subscribe("still")  # which is our own business
    hub.answer(hub.requests[0], type="published", topic="t", recipients=0)
    assert not hub.client.full
    hub.client.call("f", "x" * 1000, hub.now)
    assert hub.client.full


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (lambda client, now: client.publish("a b", 1, now), "white space"),
        (lambda client, now: client.publish("a.*", 1, now), "wildcard"),
        (lambda client, now: client.publish("a", object(), now), "JSON"),
        (lambda client, now: client.publish("a", 1, now, idempotency_key="x" * 65), "64 bytes"),
        (lambda client, now: client.history("a", now, before=0), "1 or more"),
        (lambda client, now: client.call("f", 2**64, now), "64 bits"),
    ],
)
def test_what_no_hub_would_take(ask: Any, why: str) -> None:
    """It is raised at once, and nothing is sent."""
    hub = ready()
    with pytest.raises(LocalProtocolError, match=why):
        ask(hub.client, hub.now)
    hub.settle()
    assert hub.take() == []


def test_a_connection_that_takes_nothing() -> None:
    """Requests wait here, and not in the connection, until there is room."""
    hub = ready(line_limits=Limits(ping_interval=None, write_limit=1000))
    ws = hub.client.connection
    assert ws is not None
    for _ in range(10):
        hub.client.publish("t", "x" * 500, hub.now)
    assert hub.client.wants_room
    assert ws.bytes_to_send < 2000
    hub.settle()
    assert not hub.client.wants_room
    hub.take(*["publish"] * 10)


# The end.


def test_closing_waits_for_answers() -> None:
    """Nothing new is taken; when the last answer is there, the client says goodbye."""
    hub = ready()
    stream = hub.subscribed("a")
    number = hub.publish("t")
    hub.client.close(hub.now)
    hub.client.close(hub.now)
    hub.settle()
    assert hub.state is ClientState.READY
    assert stream.ended
    assert stream.failure is None
    assert hub.client.closing
    for ask in (hub.publish, hub.subscribe):
        with pytest.raises(LocalProtocolError, match="closed"):
            ask("t")
    with pytest.raises(LocalProtocolError, match="closed"):
        hub.client.refresh(hub.now)
    (request,) = hub.take("publish")
    hub.answer(request, type="published", topic="t", recipients=0)
    assert isinstance(hub.answers[number], Published)
    assert hub.state is ClientState.OVER
    assert hub.client.ending is not None
    assert hub.client.ending.reason == ""
    assert hub.line.over


def test_answers_that_do_not_come() -> None:
    """After `leave_timeout` they are not waited for."""
    hub = ready(limits=ClientLimits(leave_timeout=3.0))
    number = hub.publish("t")
    hub.client.close(hub.now)
    hub.advance(2.9)
    assert hub.state is ClientState.READY
    hub.advance(0.2)
    assert hub.state is ClientState.OVER
    assert failed(hub, number) == "closed"


def test_closing_without_a_connection() -> None:
    """If somebody waits for an answer there is time for another connection; if nobody does, there is none."""
    hub = ready()
    number = hub.publish("t")
    hub.cut()
    hub.client.close(hub.now)
    hub.let_in()
    hub.answer(hub.requests[-1], type="published", topic="t", recipients=0)
    assert isinstance(hub.answers[number], Published)
    assert hub.state is ClientState.OVER
    hub = ready()
    hub.reachable = False
    hub.cut()
    hub.client.close(hub.now)
    hub.settle()
    assert hub.state is ClientState.OVER
    assert hub.changes[-1].reason == ""


def test_closing_when_nothing_can_be_repeated() -> None:
    """What fails on the new connection is not waited for either."""
    hub = ready()
    number = hub.publish("t")
    hub.take("publish")
    hub.advance(115.0)
    hub.cut()
    hub.client.close(hub.now)
    hub.let_in_only()
    assert failed(hub, number) == "unavailable"
    assert hub.state is ClientState.OVER


def test_withdrawing_the_last() -> None:
    """Nobody waits for anything any more: the client need not stay."""
    hub = ready()
    hub.cut()
    number = hub.publish("t")
    hub.client.close(hub.now)
    hub.settle()
    assert hub.state is not ClientState.OVER
    hub.client.withdraw(number, hub.now)
    hub.settle()
    assert hub.state is ClientState.OVER


def test_a_hub_that_does_not_say_goodbye() -> None:
    """The connection's own deadline ends it."""
    hub = ready()
    line = hub.line
    hub.client.close(hub.now)
    assert hub.state is ClientState.LEAVING
    assert repr(hub.client) == "<HubClient leaving>"
    line.client.connection_lost(hub.now)
    hub.client.work(hub.now)
    assert hub.state is ClientState.OVER
