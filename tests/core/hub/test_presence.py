"""Who is present, who is told of it, and that nothing is kept of whom nobody knows any more."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hubbub.core.presence import PresenceBook
from hubbub.core.rules import Rule
from support.hub_pair import HubPair, Message, Peer, config, tokens


def told(peer: Peer) -> list[str | tuple[str, str, int]]:
    """What a peer was told of coming and going: announcements, and changes of presence."""
    found: list[str | tuple[str, str, int]] = []
    for message in peer.take():
        if message["type"] == "system":
            found.append(message["message"])
        elif message["type"] == "presence":
            found.append((message["event"], message["user"], message["count"]))
    return found


def test_a_room_hears_who_comes_and_goes() -> None:
    """The others are told, not the one who comes; and only of a user's first and last session."""
    pair = HubPair(config(auth=tokens("alice", "bob")))
    bob = pair.user("bob")
    bob.subscribe("room.a")
    first, second = pair.user("alice"), pair.user("alice")
    first.subscribe("room.a")
    second.subscribe("room.a")
    assert told(bob) == ["alice joined the chat"]
    assert told(first) == told(second) == []
    first.ask(action="unsubscribe", topics=["room.a"])
    assert told(bob) == []
    second.close()
    assert told(bob) == ["alice left the chat"]


def test_who_asks_is_told_of_changes() -> None:
    """With `presence`, until it unsubscribes or asks again without."""
    rules = [Rule(pattern="quiet.*", presence=True)]
    pair = HubPair(config(rules=rules))
    ann, bob = pair.named("ann"), pair.named("bob")
    ann.subscribe("quiet.a", presence=True)
    bob.subscribe("quiet.a")
    assert told(ann) == [("join", "bob", 2)]
    bob.close()
    assert told(ann) == [("leave", "bob", 1)]
    ann.subscribe("quiet.a")
    eve = pair.named("eve")
    eve.subscribe("quiet.a")
    assert told(ann) == []
    ann.subscribe("quiet.a", presence=True)
    eve.ask(action="unsubscribe", topics=["quiet.a"])
    assert told(ann) == [("leave", "eve", 1)]
    ann.ask(action="unsubscribe", topics=["quiet.a"])
    eve.subscribe("quiet.a")
    assert told(ann) == []
    assert pair.hub._presence.watchers("quiet.a") == ()


def test_changes_are_told_of_topics_only() -> None:
    """Not of patterns, and not where the rule does not tell who is there; then nothing is subscribed to."""
    pair = HubPair()
    ann = pair.named("ann")
    for topics, code in (
        (["room.*"], "bad_topic"),
        (["a"], "no_presence"),
        (["room.a", "a"], "no_presence"),
    ):
        assert ann.ask(action="subscribe", topics=topics, presence=True)["code"] == code
    assert list(pair.hub.topics()) == []


def test_a_large_room_is_quiet() -> None:
    """Above `announce_max` members nobody is told by announcements; who asked still is."""
    rules = [Rule(pattern="room.*", presence=True, announce=True, announce_max=3)]
    pair = HubPair(config(rules=rules))
    watcher = pair.named("watcher")
    watcher.subscribe("room.a", presence=True)
    peers = [pair.named(f"n{number}") for number in range(4)]
    for peer in peers:
        peer.subscribe("room.a")
    assert told(watcher) == [
        "n0 joined the chat",
        ("join", "n0", 2),
        "n1 joined the chat",
        ("join", "n1", 3),
        ("join", "n2", 4),
        ("join", "n3", 5),
    ]
    for peer in peers:
        peer.close()
    assert told(watcher)[-2:] == ["n3 left the chat", ("leave", "n3", 1)]


def test_who_follows_a_pattern_hears_a_room_and_is_not_in_it() -> None:
    """Patterns make nobody present."""
    pair = HubPair()
    ann, bob = pair.named("ann"), pair.named("bob")
    ann.subscribe("room.*")
    bob.subscribe("room.a")
    assert told(ann) == ["bob joined the chat"]
    assert pair.hub.presence("room.a") == {"bob": 1}
    assert told(bob) == []


def test_announcements_have_their_topic_and_time() -> None:
    """As other messages of a room."""
    pair = HubPair()
    ann = pair.named("ann")
    ann.subscribe("room.a")
    pair.named("bob").subscribe("room.a")
    (message,) = ann.take()
    expected: Message = {
        "type": "system",
        "message": "bob joined the chat",
        "timestamp": "2023-11-14T22:13:20.000+00:00",
        "topic": "room.a",
    }
    assert message == expected


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from("ab"), st.sampled_from("xyz")), max_size=60)
)
def test_the_book_counts_as_a_counter_does(moves: list[tuple[bool, str, str]]) -> None:
    """Users are on a topic while they have a connection there, in order of coming."""
    book: PresenceBook[str] = PresenceBook()
    counts: Counter[tuple[str, str]] = Counter()
    order: list[tuple[str, str]] = []
    for come, topic, user in moves:
        place = (topic, user)
        if come:
            counts[place] += 1
            assert book.join(topic, user) == (counts[place] == 1)
            if place not in order:
                order.append(place)
        elif counts[place]:
            counts[place] -= 1
            assert book.leave(topic, user) == (counts[place] == 0)
            if not counts[place]:
                order.remove(place)
        for name in "ab":
            expected = [(user, counts[name, user]) for there, user in order if there == name]
            assert list(book.members(name)) == expected
            assert book.count(name) == len(expected)
    assert set(book.topics()) == {topic for topic, _ in order}


def test_watchers_are_told_once_and_forgotten() -> None:
    """In the order in which they asked."""
    book: PresenceBook[str] = PresenceBook()
    book.unwatch("a", "nobody")
    for watcher in ("x", "y", "x"):
        book.watch("a", watcher)
    assert book.watchers("a") == ("x", "y")
    book.unwatch("a", "x")
    book.unwatch("a", "x")
    assert book.watchers("a") == ("y",)
    book.unwatch("a", "y")
    assert book.watchers("a") == ()
    assert book._watchers == {}
