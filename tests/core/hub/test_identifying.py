"""Who is there: by message, by header, by query, or by nothing at all."""

from __future__ import annotations

import json

import pytest

from hubbub.core.auth import AnonymousAccess, External
from hubbub.core.effects import Authenticate, Denied, Done, Failed, HookKind, Outcome
from hubbub.core.hub_events import AuthFailed, Joined, RequestFailed
from hubbub.core.session_states import SessionState
from support.hub_pair import WALL, HubPair, Message, Peer, config, everything, tokens

WAYS = ("message", "header", "query")


def come(pair: HubPair, token: str, way: str) -> tuple[Peer, bytes]:
    """A peer that shows a token in one of the ways, and the bytes that it got behind the 101."""
    if way == "header":
        peer = pair.peer(headers=(("Authorization", f"Bearer {token}"),), settle=False)
    elif way == "query":
        peer = pair.peer(f"/?token={token}", settle=False)
    else:
        peer = pair.peer(settle=False)
    got: list[bytes] = []
    receive = peer.receive

    def watched(data: bytes, now: float) -> None:
        got.append(data)
        receive(data, now)

    peer.receive = watched  # type: ignore[method-assign]
    pair.settle()
    if way == "message":
        peer.say(json.dumps({"token": token}))
    return peer, b"".join(got).partition(b"\r\n\r\n")[2]


def closing(peer: Peer) -> tuple[int, str] | None:
    """The Close frame that the peer got."""
    assert peer.closed is None or peer.closed.received is not None
    if peer.closed is None or peer.closed.received is None:
        return None
    assert peer.closed.received.code is not None
    return peer.closed.received.code, peer.closed.received.reason


@pytest.mark.parametrize("token", ["t-alice", "t-nobody", "t-over", "t" * 101])
def test_the_ways_of_showing_a_token_give_the_same_bytes(token: str) -> None:
    """Right, wrong, expired or too long: the socket is accepted, and the outcome is the same."""
    over = everything("over", until=WALL - 1)
    outcomes = []
    for way in WAYS:
        pair = HubPair(config(auth=tokens("alice", over), anonymous=False, max_token=100))
        peer, got = come(pair, token, way)
        outcomes.append((got, peer.take(), closing(peer)))
        assert (peer.session.state is SessionState.OPEN) == (token == "t-alice")
    assert outcomes[0] == outcomes[1] == outcomes[2]
    got, messages, close = outcomes[0]
    if token == "t-alice":
        assert messages == [{"type": "auth", "status": "ok", "username": "alice"}]
        assert close is None
    else:
        assert messages == [{"type": "auth", "status": "error", "message": "Invalid token"}]
        assert close == (1008, "Authentication failed")
    assert got.startswith(b"\x81")


@pytest.mark.parametrize("way", WAYS)
def test_nobody_is_asked_about_a_token_that_is_too_long(way: str) -> None:
    """Whoever decides about tokens gets none beyond `max_token`; one of just that length it gets."""
    pair = HubPair(config(auth=External(), anonymous=False, max_token=10))
    come(pair, "x" * 11, way)
    assert pair.effects == []
    assert AuthFailed(1, "192.0.2.1", "a token too long") in pair.take_events()
    come(pair, "x" * 10, way)
    (effect,) = pair.effects
    assert isinstance(effect, Authenticate)
    assert effect.token == "x" * 10


@pytest.mark.parametrize("way", WAYS)
def test_a_failure_is_counted_and_told_without_the_token(way: str) -> None:
    """An event says from where and why; what was tried stands nowhere."""
    pair = HubPair(config(auth=tokens("alice"), anonymous=False))
    come(pair, "secret-guess", way)
    (event,) = pair.take_events()
    assert event == AuthFailed(1, "192.0.2.1", "unknown token")
    assert "secret" not in repr(event)
    assert pair.hub.counters.auth_failures == 1
    assert pair.hub.counters.sessions == 0
    over = everything("over", until=WALL - 1)
    pair = HubPair(config(auth=External(), anonymous=False))
    come(pair, "t", way)
    pair.complete(Done(over))
    assert [event.reason for event in pair.take_events() if isinstance(event, AuthFailed)] == [
        "expired token"
    ]


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/?token=t-alice&token=t-alice", ()),
        ("/?token=t-alice", (("Authorization", "Bearer t-alice"),)),
        ("/?token=%ff", ()),
        ("/", (("Authorization", "Bearer"),)),
        ("/?token=" + "x" * 9000, ()),
    ],
)
def test_credentials_that_cannot_be_used_are_a_wrong_token(
    target: str, headers: tuple[tuple[str, str], ...]
) -> None:
    """Two of them, half of one, or too much: refused in the same words."""
    pair = HubPair(config(auth=tokens("alice"), anonymous=False))
    peer = pair.peer(target, headers=headers)
    assert peer.take() == [{"type": "auth", "status": "error", "message": "Invalid token"}]
    assert peer.code == 1008


def test_without_a_token_the_time_runs_out() -> None:
    """After 5 seconds the outcome says so, and the connection is closed with 1008."""
    pair = HubPair(config(auth=tokens("alice"), anonymous=False))
    peer = pair.peer()
    pair.advance(4.9)
    assert peer.take() == []
    pair.advance(0.2)
    assert peer.take() == [{"type": "auth", "status": "error", "message": "Authentication timeout"}]
    assert closing(peer) == (1008, "Authentication failed")
    assert pair.take_events() == [AuthFailed(1, "192.0.2.1", "no credentials in time")]


REQUESTS: list[Message] = [
    {"action": "subscribe", "topics": ["a"]},
    {"action": "unsubscribe", "topics": ["a"]},
    {"action": "publish", "topic": "a", "message": 1},
    {"action": "publish", "to": "alice", "message": 1},
    {"action": "ack", "topic": "a", "offset": 1},
    {"action": "presence", "topic": "room.a"},
    {"action": "history", "topic": "a"},
    {"action": "call", "name": "a"},
    {"action": "refresh", "token": "t-alice"},
    {"action": "ping"},
]


@pytest.mark.parametrize("request_", REQUESTS, ids=[str(r["action"]) for r in REQUESTS])
def test_no_request_comes_before_the_token(request_: Message) -> None:
    """Each is refused with `unauthenticated`, carries its id, changes nothing, and the 5 seconds run on."""
    pair = HubPair(config(auth=tokens("alice"), anonymous=False))
    peer = pair.peer()
    pair.advance(4.0)
    answer = peer.ask(**request_)
    assert answer["code"] == "unauthenticated"
    assert "token" in answer["message"]
    assert not pair.effects
    pair.advance(1.1)
    assert peer.code == 1008
    assert list(pair.hub.topics()) == []


def test_a_name_is_not_enough_where_tokens_are_needed() -> None:
    """By message it is told; in the query it means nothing."""
    pair = HubPair(config(auth=tokens("alice"), anonymous=False))
    peer = pair.peer("/?name=ann")
    assert peer.take() == []
    assert peer.ask(name="ann")["code"] == "anonymous_off"
    assert peer.ask(token="t-alice") == {"type": "auth", "status": "ok", "username": "alice"}


def test_nonsense_before_the_token_is_answered() -> None:
    """Bad JSON, binary messages, unknown actions: an error each, and then the token still counts."""
    pair = HubPair(config(auth=tokens("alice"), anonymous=False))
    peer = pair.peer()
    for nonsense in ("{", b"\x00", '{"action":"fly"}', "[]", '{"token":7}'):
        peer.say(nonsense)
    codes = [message["code"] for message in peer.take()]
    assert codes == ["bad_json", "unsupported", "unknown_action", "bad_request", "bad_request"]
    assert peer.ask(token="t-alice")["status"] == "ok"


def test_nobody_says_who_is_there_twice() -> None:
    """A second token or name is refused, and the first holds."""
    pair = HubPair(config(auth=tokens("alice", "bob")))
    peer = pair.user("alice")
    for fields in ({"token": "t-bob"}, {"token": "wrong"}, {"name": "ann"}):
        answer = peer.ask(**fields)
        assert answer["code"] == "already_authenticated"
        assert "refresh" in answer["message"]
    assert peer.session.user == "alice"
    peer = pair.peer()
    peer.ws.send('{"token":"t-alice","id":1}', pair.now)
    peer.ws.send('{"token":"t-bob","id":2}', pair.now)
    pair.settle()
    assert peer.answer(1)["username"] == "alice"
    assert peer.answer(2)["code"] == "already_authenticated"


def test_the_id_of_a_first_message_comes_back() -> None:
    """With what it says and with what refuses it."""
    pair = HubPair(config(auth=tokens("alice")))
    assert pair.peer().ask(token="t-alice")["status"] == "ok"
    assert pair.peer().ask(name="ann") == {"type": "auth", "status": "ok", "username": "ann"}
    wrong = pair.peer()
    assert wrong.ask(token="wrong") == {
        "type": "auth",
        "status": "error",
        "message": "Invalid token",
    }
    assert wrong.code == 1008


def test_without_authentication_a_token_is_wrong() -> None:
    """A hub that knows no tokens lets nobody in by one."""
    pair = HubPair(config())
    peer = pair.peer("/?token=any")
    assert peer.code == 1008


def test_where_anonymous_access_is_on_nothing_is_required() -> None:
    """The first message may be any request; the peer has a name of its own then, and no `auth` is sent."""
    pair = HubPair(config(auth=tokens("alice")))
    peers = [pair.peer() for _ in range(3)]
    pair.advance(60.0)
    for number, peer in enumerate(peers, 1):
        assert peer.ask(action="subscribe", topics=["a"])["type"] == "subscribed"
        assert peer.session.user == f"User-{number}"
        assert peer.take() == []
    events = pair.take_events()
    assert events == [Joined(n, f"User-{n}", "192.0.2.1", True) for n in (1, 2, 3)]


def test_anonymous_peers_may_do_what_the_configuration_says() -> None:
    """And nothing more."""
    access = AnonymousAccess(read=("public.>",), write=())
    pair = HubPair(config(auth=tokens("alice"), anonymous=access))
    peer = pair.named("ann")
    assert peer.ask(action="subscribe", topics=["public.*"])["type"] == "subscribed"
    assert peer.ask(action="subscribe", topics=[">"])["code"] == "forbidden"
    assert peer.publish("public.a")["code"] == "forbidden"


def test_nonsense_as_a_first_message_lets_nobody_in() -> None:
    """It is answered with an error; the peer is nobody still."""
    pair = HubPair(config())
    peer = pair.peer()
    peer.say("{")
    assert peer.take()[0]["code"] == "bad_json"
    assert peer.session.state is SessionState.IDENTIFYING
    assert peer.ask(name="ann")["status"] == "ok"


# Somebody outside is asked.


def test_the_outside_is_asked_about_a_token() -> None:
    """The effect has the token, and does not show it; nothing is read until it is answered."""
    pair = HubPair(config(auth=External(), anonymous=False))
    peer = pair.peer("/?token=secret")
    (effect,) = pair.effects
    assert effect == Authenticate(effect.id, "secret", 1, "192.0.2.1")
    assert "secret" not in repr(effect)
    peer.send(action="ping", id=1)
    assert not peer.session.wants_read
    assert peer.take() == []
    pair.complete(Done(everything("alice")))
    assert [message.get("username") for message in peer.take()] == ["alice", None]
    assert peer.session.wants_read


@pytest.mark.parametrize(
    ("outcome", "message", "code"),
    [
        (Done(None), "Invalid token", 1008),
        (Denied("forbidden", "because"), "Invalid token", 1008),
        (Failed("the database is down"), "Authentication failed", 1011),
        (Done(), "Authentication failed", 1011),
        (Done("alice"), "Authentication failed", 1011),
        (Done(everything("")), "Authentication failed", 1011),
        (Done(everything("a\nb")), "Authentication failed", 1011),
        (Done(everything("\ud800")), "Authentication failed", 1011),
        (Done(everything("x" * 65)), "Authentication failed", 1011),
    ],
)
def test_what_the_outside_says_is_not_believed_blindly(
    outcome: Outcome, message: str, code: int
) -> None:
    """Nobody, a failure, or no good grant: the peer is told no more than it must know."""
    pair = HubPair(config(auth=External(), anonymous=False))
    peer = pair.peer("/?token=x")
    pair.complete(outcome)
    assert peer.take() == [{"type": "auth", "status": "error", "message": message}]
    assert closing(peer) == (code, "Authentication failed")
    failures = [event for event in pair.take_events() if isinstance(event, RequestFailed)]
    assert len(failures) == (code == 1011)


def test_an_authenticator_that_is_late_counts_as_failed() -> None:
    """After `hook_timeout`; what it says then is ignored, also for whoever comes next."""
    pair = HubPair(config(auth=External(), anonymous=False, auth_timeout=60.0))
    peer = pair.peer("/?token=x")
    (effect,) = pair.effects
    pair.advance(5.0)
    assert peer.take()[0]["message"] == "Authentication failed"
    assert peer.code == 1011
    other = pair.peer()
    pair.complete(Done(everything("alice")), effect)
    pair.complete(Done(everything("alice")), pair.effects[0]) if pair.effects else None
    assert other.session.state is SessionState.IDENTIFYING
    assert pair.hub.users == 0


def test_an_answer_counts_once() -> None:
    """A repeated one changes nothing."""
    pair = HubPair(config(auth=External()))
    peer = pair.peer("/?token=x")
    (effect,) = pair.effects
    pair.complete(Done(everything("alice")))
    pair.hub.complete(effect.id, Done(None), pair.now)
    pair.hub.complete(effect.id, Done(everything("bob")), pair.now)
    pair.hub.complete(999, Done(everything("bob")), pair.now)
    pair.settle()
    assert len(peer.take()) == 1
    assert peer.session.user == "alice"


def test_the_time_for_a_token_includes_the_time_for_finding_out() -> None:
    """A message with a token after 4 seconds leaves the authenticator one."""
    pair = HubPair(config(auth=External(), anonymous=False))
    peer = pair.peer()
    pair.advance(4.0)
    peer.send(token="x")
    pair.advance(1.5)
    assert peer.take()[0]["message"] == "Authentication timeout"
    pair.complete(Done(everything("alice")))
    assert pair.hub.users == 0


@pytest.mark.parametrize("how", ["cut off", "closed"])
def test_who_leaves_while_the_outside_is_asked_is_not_let_in(how: str) -> None:
    """The answer comes to nobody."""
    pair = HubPair(config(auth=External(), anonymous=False))
    peer = pair.peer("/?token=x")
    if how == "closed":
        peer.close()
        peer.session.receive_data(peer.unread, pair.now)  # though it does not want to read on
        peer.unread = b""
        pair.advance(1.5)
        assert peer.code == 1000
    else:
        peer.cut_off()
    pair.complete(Done(everything("alice")))
    pair.advance(20.0)
    assert pair.hub.users == pair.hub.links == 0
    assert pair.take_events() == []


def test_the_hook_is_asked_after_the_authenticator() -> None:
    """Its question has the user that the authenticator named."""
    pair = HubPair(config(auth=External()), hooks={HookKind.CONNECT: (">",)})
    peer = pair.peer("/?token=x")
    pair.complete(Done(everything("alice", admin=True)))
    (effect,) = pair.effects
    assert effect.kind is HookKind.CONNECT  # type: ignore[union-attr]
    who = effect.who  # type: ignore[union-attr]
    assert (who.session, who.user, who.address) == (1, "alice", "192.0.2.1")
    assert (who.anonymous, who.admin) == (False, True)
    pair.complete(Failed("it raised"))
    assert closing(peer) == (1011, "internal error")
    assert peer.take() == []
    assert pair.hub.counters.hook_failures == 1
    assert RequestFailed(1, "on_connect", "it raised") in pair.take_events()
