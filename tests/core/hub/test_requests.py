"""What each request does, what it is answered with, and why it may be refused."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.core import Deflate, LocalProtocolError
from hubbub.core.effects import Done
from hubbub.core.messages import Published
from hubbub.core.records import Heads
from hubbub.core.rules import DEFAULT_RULES, Rule
from support.hub_pair import HubPair, Message, config, everything, tokens

STAMP = "2023-11-14T22:13:20.000+00:00"
VALUES: list[Any] = [
    None,
    True,
    0,
    -1.5,
    "",
    "h\u00e4 \U0001f600",
    [],
    {},
    [1, {"a": [None]}],
    2**63,
    -(2**63),
]


@pytest.mark.parametrize("message", VALUES)
def test_a_publication_reaches_its_subscribers(message: Any) -> None:
    """Whatever JSON says, as a notification with its time; the answer tells how many, the publisher included."""
    pair = HubPair()
    ann, bob, eve = pair.named("ann"), pair.named("bob"), pair.named("eve")
    ann.subscribe("alerts")
    bob.subscribe("alerts", "other")
    eve.subscribe("other")
    answer = ann.publish("alerts", message)
    assert answer == {"type": "published", "topic": "alerts", "recipients": 2}
    told = {"type": "notification", "topic": "alerts", "message": message, "timestamp": STAMP}
    assert ann.take() == bob.take() == [told]
    assert eve.take() == []


def test_in_a_room_a_publication_carries_its_sender() -> None:
    """And is called chat."""
    pair = HubPair()
    ann = pair.named("ann")
    ann.subscribe("room.lobby")
    pair.named("bob").publish("room.lobby", "hi")
    chat = {"type": "chat", "topic": "room.lobby", "sender": "bob", "message": "hi"}
    assert ann.take() == [{**chat, "timestamp": STAMP}]
    pair.hub.publish("room.lobby", "news", pair.now)
    pair.hub.publish("room.lobby", "hello", pair.now, sender="desk")
    pair.settle()
    news, hello = ann.take()
    assert (news["type"], hello["type"], hello["sender"]) == ("notification", "chat", "desk")


def test_overlapping_subscriptions_deliver_once() -> None:
    """However many of a session's names match; and it counts as one recipient."""
    pair = HubPair()
    ann = pair.named("ann")
    ann.subscribe("a.b", "a.*", "a.>", "*.b", ">", "a.b")
    assert ann.publish("a.b")["recipients"] == 1
    assert len(ann.take()) == 1
    ann.ask(action="unsubscribe", topics=["a.*", ">"])
    assert ann.publish("a.b")["recipients"] == 1
    assert ann.publish("a.c")["recipients"] == 1
    assert ann.publish("b.c")["recipients"] == 0


def test_subscribing_is_all_or_nothing() -> None:
    """One topic that may not be read, and none is subscribed to."""
    pair = HubPair(config(auth=tokens(everything("alice", read=("a", "b.*")))))
    alice = pair.user("alice")
    answer = alice.ask(action="subscribe", topics=["a", "b.>"])
    assert (answer["type"], answer["code"], answer["field"]) == ("error", "forbidden", "topics")
    assert alice.ask(action="subscribe", topics=["a", "b..c"])["code"] == "bad_topic"
    assert list(pair.hub.topics()) == []
    alice.subscribe("a", "b.*", "b.c")
    assert sorted(pair.hub.topics()) == [("a", 1), ("b.*", 1), ("b.c", 1)]


def test_a_repeated_subscribe_is_answered_again() -> None:
    """And changes nothing."""
    pair = HubPair()
    ann, bob = pair.named("ann"), pair.named("bob")
    for _ in range(2):
        ann.subscribe("room.a", "b")
        bob.subscribe("room.a")
    assert [message["message"] for message in ann.take()] == ["bob joined the chat"]
    assert pair.hub.presence("room.a") == {"ann": 1, "bob": 1}


def test_unsubscribing_ends_what_is_queued() -> None:
    """Of the topics that no other subscription reaches; names that were none are passed over."""
    pair = HubPair()
    ann = pair.named("ann")
    ann.subscribe("a", "b", "c.d", "c.*")
    ann.stall()
    for topic in ("a", "b", "c.d", "a", "c.e"):
        pair.hub.publish(topic, topic, pair.now)
    ann.send(action="unsubscribe", topics=["a", "c.d", "never", "not a topic"])
    ann.read_on()
    assert ann.messages() == ["b", "c.d", "c.e"]
    assert pair.hub.outbox_bytes == 0
    assert ann.publish("a")["recipients"] == 0


def test_a_direct_message_reaches_all_sessions_of_a_user() -> None:
    """Also those of the sender's own; it needs a token, and an addressee."""
    pair = HubPair(config(auth=tokens("alice", "bob")))
    alice, bobs = pair.user("alice"), [pair.user("bob"), pair.user("bob")]
    answer = alice.ask(action="publish", to="bob", message={"a": 1})
    assert answer == {"type": "published", "to": "bob", "recipients": 2}
    told = {"type": "direct", "sender": "alice", "message": {"a": 1}, "timestamp": STAMP}
    assert [bob.take() for bob in bobs] == [[told], [told]]
    assert alice.ask(action="publish", to="nobody", message=1)["recipients"] == 0
    ann = pair.named("ann")
    answer = ann.ask(action="publish", to="bob", message=1)
    assert (answer["code"], answer["field"]) == ("forbidden", "to")
    assert alice.ask(action="publish", to="ann", message=1)["recipients"] == 1


def test_the_server_says_something_to_a_user() -> None:
    """Under a name that it gives."""
    pair = HubPair()
    ann = pair.named("ann")
    assert pair.hub.send_to("ann", "hi", pair.now, sender="desk") == 1
    assert pair.hub.send_to("bob", "hi", pair.now, sender="desk") == 0
    pair.settle()
    assert ann.take() == [{"type": "direct", "sender": "desk", "message": "hi", "timestamp": STAMP}]


def test_writing_needs_a_grant() -> None:
    """To the topic itself; wildcards are no topics."""
    pair = HubPair(config(auth=tokens(everything("alice", write=("a.*",)))))
    alice = pair.user("alice")
    assert alice.publish("a.b")["type"] == "published"
    assert alice.publish("a.b.c")["code"] == "forbidden"
    for topic in ("a.*", ">", "", "a b", "a..b", "x" * 129, "a\x00b"):
        answer = alice.publish(topic)
        assert (answer["code"], answer["field"]) == ("bad_topic", "topic")
        assert answer["message"].isprintable()


def test_a_message_may_be_too_large_for_its_topic() -> None:
    """`max_message` of the rule counts its JSON."""
    rules = [Rule(pattern="small.*", max_message=10), *DEFAULT_RULES]
    pair = HubPair(config(rules=rules))
    ann = pair.named("ann")
    assert ann.publish("small.a", "x" * 8)["type"] == "published"
    answer = ann.publish("small.a", "x" * 9)
    assert (answer["code"], answer["field"]) == ("message_too_large", "message")
    assert "10 bytes" in answer["message"]
    assert ann.publish("large", "x" * 1000)["type"] == "published"


def test_who_is_there_can_be_asked() -> None:
    """Where the rule tells it, and where the peer may read: each user once, with its connections."""
    pair = HubPair(config(auth=tokens("alice", everything("bob", read=("room.a",)))))
    alices = [pair.user("alice"), pair.user("alice")]
    bob = pair.user("bob")
    for peer in (*alices, bob):
        peer.subscribe("room.a")
    alices[0].subscribe("room.*")  # who follows a pattern is not present by it
    assert bob.ask(action="presence", topic="room.a") == {
        "type": "presence",
        "topic": "room.a",
        "members": [{"user": "alice", "connections": 2}, {"user": "bob", "connections": 1}],
        "count": 2,
    }
    assert alices[0].ask(action="presence", topic="room.empty")["count"] == 0
    for topic, code in (
        ("room.b", "forbidden"),
        ("a", "forbidden"),
        ("room.*", "bad_topic"),
        ("", "bad_topic"),
    ):
        answer = bob.ask(action="presence", topic=topic)
        assert (answer["code"], answer["field"]) == (code, "topic")
    assert alices[0].ask(action="presence", topic="a")["code"] == "no_presence"


def test_an_answer_about_presence_names_no_more_than_so_many() -> None:
    """Nor more than `answers_size` bytes; the count is right all the same."""
    pair = HubPair(config(max_members_told=3))
    for number in range(5):
        pair.named(f"n{number}").subscribe("room.a")
    asking = pair.named("asking")
    answer = asking.ask(action="presence", topic="room.a")
    assert [member["user"] for member in answer["members"]] == ["n0", "n1", "n2"]
    assert answer["count"] == 5
    pair = HubPair(config(answers_size=1000))
    for number in range(20):
        pair.named(f"{number:02}" + "x" * 60)
    for peer in tuple(pair.peers.values()):
        peer.subscribe("room.a")  # type: ignore[union-attr]
    answer = pair.named("asking").ask(action="presence", topic="room.a")
    assert 3 < len(answer["members"]) < 10
    assert answer["count"] == 20


def test_a_ping_is_answered() -> None:
    """With its id, if it has one."""
    pair = HubPair()
    ann = pair.named("ann")
    ann.send(action="ping")
    ann.send(action="ping", id="x" * 64)
    ann.send(action="ping", id=-(2**63))
    assert ann.take() == [
        {"type": "pong"},
        {"type": "pong", "id": "x" * 64},
        {"type": "pong", "id": -(2**63)},
    ]


NO_HISTORY: list[Message] = [
    {"action": "history", "topic": "a"},
    {"action": "subscribe", "topics": ["a"], "last": 0},
    {"action": "subscribe", "topics": ["a"], "since": {"a": {"offset": 1, "epoch": "x"}}},
    {"action": "subscribe", "topics": ["a"], "ack": True},
]


@pytest.mark.parametrize("request_", NO_HISTORY)
def test_a_topic_without_history_has_none(request_: Message) -> None:
    """What needs it is refused, and nothing is subscribed to."""
    pair = HubPair(config(auth=tokens("alice")))
    alice = pair.user("alice")
    assert alice.ask(**request_)["code"] == "no_history"
    assert list(pair.hub.topics()) == []


def test_an_acknowledgement_of_nothing_is_refused() -> None:
    """The client is told that it has no such subscription."""
    pair = HubPair(config(auth=tokens("alice")))
    alice = pair.user("alice")
    alice.subscribe("a")
    answer = alice.ask(action="ack", topic="a", offset=1)
    assert (answer["code"], answer["field"]) == ("not_subscribed", "topic")


def test_calls_of_functions_that_are_not_there() -> None:
    """Whatever the name is."""
    pair = HubPair()
    ann = pair.named("ann")
    for name in ("f", "*", "", "a b", "\x00"):
        answer = ann.ask(action="call", name=name)
        assert (answer["code"], answer["field"]) == ("unknown_call", "name")


def test_a_session_has_so_many_subscriptions() -> None:
    """Those that it has already are not counted twice."""
    pair = HubPair(config(max_subscriptions=3))
    ann = pair.named("ann")
    ann.subscribe("a", "b", "a")
    assert ann.ask(action="subscribe", topics=["c", "d"])["code"] == "too_many_subscriptions"
    ann.subscribe("a", "b", "c")
    assert ann.ask(action="subscribe", topics=["d"])["code"] == "too_many_subscriptions"
    ann.ask(action="unsubscribe", topics=["a"])
    ann.subscribe("d")


def test_the_hub_has_so_many_topics() -> None:
    """A topic that somebody is subscribed to already takes no room; one that all have left gives it back."""
    pair = HubPair(config(max_topics=2))
    ann, bob = pair.named("ann"), pair.named("bob")
    ann.subscribe("a", "b")
    bob.subscribe("a", "b")
    assert bob.ask(action="subscribe", topics=["c"])["code"] == "full"
    assert bob.ask(action="subscribe", topics=["a", "c"])["code"] == "full"
    ann.ask(action="unsubscribe", topics=["a"])
    assert bob.ask(action="subscribe", topics=["c"])["code"] == "full"
    bob.ask(action="unsubscribe", topics=["a"])
    bob.subscribe("c")


def test_a_repeat_with_the_same_key_is_not_published_twice() -> None:
    """It gets the answer of the first, marked; another user's key is another."""
    pair = HubPair()
    ann, bob = pair.named("ann"), pair.named("bob")
    ann.subscribe("a")
    first = ann.publish("a", 1, idempotency_key="k")
    again = ann.publish("a", 1, idempotency_key="k")
    assert again == {**first, "duplicate": True}
    assert ann.publish("b", 1, idempotency_key="k").get("duplicate") is None
    assert bob.publish("a", 2, idempotency_key="k").get("duplicate") is None
    assert ann.messages() == [1, 2]
    pair.advance(121.0)
    assert ann.publish("a", 3, idempotency_key="k").get("duplicate") is None


def test_answers_come_in_the_order_of_requests() -> None:
    """Mixed with errors, and before the publications that wait."""
    pair = HubPair()
    ann = pair.named("ann")
    texts = [
        '{"action":"subscribe","topics":["a"],"id":1}',
        '{"action":"publish","topic":"a","message":"m","id":2}',
        '{"action":"fly","id":3}',
        "[",
        '{"action":"presence","topic":"a","id":5}',
        '{"action":"unsubscribe","topics":["b"],"id":6}',
        '{"action":"ping","id":7}',
    ]
    for text in texts:
        ann.ws.send(text, pair.now)
    pair.settle()
    got = ann.take()
    assert [message.get("id") for message in got[:7]] == [1, 2, 3, None, 5, 6, 7]
    assert [message["type"] for message in got[7:]] == ["notification"]


def test_the_server_publishes_past_all_grants() -> None:
    """With an answer that says how many; the message may be anything that JSON can say."""
    pair = HubPair()
    ann = pair.named("ann")
    ann.subscribe("a")
    assert pair.hub.publish("a", [1, "x", None], pair.now) == Published(topic="a", recipients=1)
    assert pair.hub.publish("b", 1, pair.now) == Published(topic="b", recipients=0)
    pair.settle()
    assert ann.messages() == [[1, "x", None]]


@pytest.mark.parametrize("topic", ["subscribed", "nobody"])
@pytest.mark.parametrize("message", [object(), "\ud800", {1: {2, 3}, "a": object()}, 2**70 * 1j])
def test_what_cannot_be_said_is_told_at_once(topic: str, message: Any) -> None:
    """Whether anybody listens or not; and nothing is changed."""
    pair = HubPair()
    ann = pair.named("ann")
    ann.subscribe("subscribed")
    user = "ann" if topic == "subscribed" else "nobody"
    with pytest.raises(LocalProtocolError, match="JSON"):
        pair.hub.publish(topic, message, pair.now)
    with pytest.raises(LocalProtocolError, match="JSON"):
        pair.hub.send_to(user, message, pair.now, sender="desk")
    with pytest.raises(LocalProtocolError, match="JSON"):
        pair.hub.send_to(user, 1, pair.now, sender="\ud800")
    pair.settle()
    assert ann.take() == []
    assert pair.hub.counters.publications == 0


@pytest.mark.parametrize("topic", ["", "a.*", ">", "a b", "x" * 129])
def test_a_topic_that_is_none_is_told_at_once(topic: str) -> None:
    """To the server too."""
    with pytest.raises(LocalProtocolError, match=r"^topic: "):
        HubPair().hub.publish(topic, 1, 0.0)


@pytest.mark.parametrize("key", ["x" * 65, "\u00e4" * 33])
def test_an_idempotency_key_that_is_too_long_is_told_at_once(key: str) -> None:
    """To the server too, whose keys are remembered as those of peers are."""
    pair = HubPair()
    with pytest.raises(LocalProtocolError, match=r"^idempotency_key: "):
        pair.hub.publish("a", 1, 0.0, idempotency_key=key)
    assert pair.hub.publish("a", 1, 0.0, idempotency_key="\u00e4" * 32)
    again = pair.hub.publish("a", 1, 0.0, idempotency_key="\u00e4" * 32)
    assert again == Published(topic="a", recipients=0, duplicate=True)


@pytest.mark.parametrize("size", [10, 5000])
def test_a_session_with_compression_says_and_hears_the_same(size: int) -> None:
    """Answers, publications and gaps, compressed where they are large enough."""
    pair = HubPair(config(options={"deflate": Deflate()}))
    peers = [pair.named("ann", deflate=Deflate()), pair.named("bob")]
    for peer in peers:
        peer.subscribe("a")
        assert peer.session.ws.compressed == (peer is peers[0])
    peers[1].publish("a", "x" * size)
    assert peers[0].take() == peers[1].take()
    assert peers[0].ask(action="presence", topic="room.b")["count"] == 0


def test_a_durable_topic_that_has_no_room_is_unavailable() -> None:
    """To the server too, by way of a completion; the topics that are there go on."""
    rules = [Rule(pattern="kept.*", durable=True, history=10)]
    pair = HubPair(config(rules=rules, max_logs=1), heads=Heads())
    ann = pair.named("ann")
    number = pair.hub.publish("kept.a", 1, pair.now)
    pair.settle()
    pair.complete(Done())
    assert pair.hub.next_completion() == (
        number,
        Published(topic="kept.a", recipients=0, offset=1, epoch=pair.hub._logs.of("kept.a").epoch),  # type: ignore[union-attr]
    )
    refused = pair.hub.publish("kept.b", 1, pair.now)
    assert pair.hub.next_completion() == (refused, None)
    assert pair.hub.next_completion() is None
    assert ann.publish("kept.b")["code"] == "unavailable"
