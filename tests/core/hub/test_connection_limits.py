"""How many may be there: in all, of one user, from one address, and in the opening handshake."""

from __future__ import annotations

import pytest

from hubbub.core.auth import External
from hubbub.core.effects import Done
from hubbub.core.forwarded import PeerAddress, TrustedProxies
from hubbub.core.hub_events import TurnedAway
from support.hub_pair import HubPair, config, everything, tokens


def test_one_more_than_all_is_turned_away() -> None:
    """With 1013, and an event; when one has left there is room again."""
    pair = HubPair(config(max_connections=2))
    first = pair.named("a")
    pair.peer()  # nobody yet, and counted too
    third = pair.peer("/?name=c")
    assert third.code == 1013
    assert third.take() == []
    assert TurnedAway("192.0.2.1", "max_connections") in pair.take_events()
    assert pair.hub.counters.turned_away == 1
    first.close()
    pair.named("d")


def test_one_user_has_so_many_sessions() -> None:
    """One more of the same user is turned away, others are not."""
    pair = HubPair(config(auth=tokens("alice", "bob"), max_connections_per_user=2))
    alices = [pair.user("alice"), pair.user("alice")]
    third = pair.peer("/?token=t-alice")
    assert third.code == 1013
    assert third.take() == []
    by_message = pair.peer()
    by_message.send(token="t-alice")
    assert by_message.code == 1013
    pair.user("bob")
    alices[0].close()
    pair.user("alice")
    told = [event for event in pair.take_events() if isinstance(event, TurnedAway)]
    assert told == [TurnedAway("192.0.2.1", "max_connections_per_user")] * 2


@pytest.mark.parametrize("address", [("192.0.2.7", 1), ("2001:db8::1", 1, 0, 0), "", ()])
def test_one_address_has_so_many_sessions(address: PeerAddress) -> None:
    """Whatever kind of address it is; sockets without one count together."""
    pair = HubPair(config(max_connections_per_address=2))
    peers = [pair.peer(address=address) for _ in range(2)]
    assert pair.peer(address=address).code == 1013
    assert pair.peer(address=("192.0.2.8", 1)).closed is None
    peers[0].close()
    assert pair.peer(address=address).closed is None
    host = str(address[0]) if address else None
    assert TurnedAway(host, "max_connections_per_address") in pair.take_events()


def test_behind_a_proxy_the_clients_address_counts() -> None:
    """Not the proxy's, from which all come."""
    proxies = TrustedProxies(["192.0.2.1"])
    pair = HubPair(config(max_connections_per_address=1, trusted_proxies=proxies))

    def behind(address: str) -> int | None:
        return pair.peer(headers=(("X-Forwarded-For", address),)).code

    assert behind("203.0.113.1") is None
    assert behind("203.0.113.2") is None
    assert behind("203.0.113.1") == 1013
    assert [session.address for session in pair.hub.sessions()] == []
    pair.peer("/?name=ann", headers=(("X-Forwarded-For", "203.0.113.9"),))
    assert [session.address for session in pair.hub.sessions()] == ["203.0.113.9"]


def test_so_many_may_be_in_the_opening_handshake() -> None:
    """One more is closed at once, without a word; when one is through, or gone, there is room."""
    pair = HubPair(config(max_opening=2))
    slow = [pair.raw(), pair.raw()]
    third = pair.raw()
    pair.settle()
    assert third.ended
    assert not third.got
    assert pair.hub.counters.turned_away == 1
    assert pair.take_events() == [TurnedAway("192.0.2.1", "max_opening")]
    slow[0].cut_off()
    pair.peer()
    pair.advance(10.1)  # the other's time is up
    pair.raw()
    pair.peer()
    assert pair.hub.counters.turned_away == 1


def test_one_address_has_a_share_of_the_places_for_opening() -> None:
    """One more from there is closed at once, without a word, and told; others are not kept out."""
    pair = HubPair(config(max_opening=10, max_opening_per_address=2))
    slow = [pair.raw(), pair.raw()]
    third = pair.raw()
    pair.settle()
    assert third.ended
    assert not third.got
    assert pair.take_events() == [TurnedAway("192.0.2.1", "max_opening_per_address")]
    assert pair.hub.counters.turned_away == 1
    others = [pair.raw(("192.0.2.2", 1)), pair.raw(("2001:db8::1", 1, 0, 0)), pair.raw("")]
    pair.settle()
    assert not any(one.ended for one in others)
    slow[0].cut_off()
    pair.peer()  # which is through, and has no place any more
    pair.peer()
    assert pair.hub.counters.turned_away == 1


def test_a_trusted_proxy_is_not_one_client() -> None:
    """All its clients open through its address, and who they are only their requests tell."""
    proxies = TrustedProxies(["192.0.2.1", "unix"])
    limits = {"max_opening": 6, "max_opening_per_address": 1}
    pair = HubPair(config(trusted_proxies=proxies, **limits))  # type: ignore[arg-type]
    behind = [pair.raw(address) for address in (("192.0.2.1", 1), ("::ffff:192.0.2.1", 2), "", "")]
    pair.settle()
    assert not any(one.ended for one in behind)
    direct = [pair.raw(("192.0.2.2", 1)), pair.raw(("192.0.2.2", 2))]
    pair.settle()
    assert [one.ended for one in direct] == [False, True]
    pair.raw(("192.0.2.1", 1))
    last = pair.raw(("192.0.2.1", 1))
    pair.settle()
    assert last.ended  # max_opening holds for all
    assert [event.limit for event in pair.take_events() if isinstance(event, TurnedAway)] == [
        "max_opening_per_address",
        "max_opening",
    ]


def test_sockets_that_close_are_counted_too() -> None:
    """Who is turned away keeps a socket for some seconds: a flood of such is bounded as a whole."""
    pair = HubPair(config(max_connections=1, max_opening=2))
    pair.named("ann")
    flood = []
    for _ in range(5):
        peer = pair.peer()
        peer.reads = False  # nor does it answer the Close frame
        flood.append(peer)
        assert pair.hub.links <= 3
    assert [peer.ended for peer in flood] == [True, False, True, True, True] or pair.hub.links <= 3


def test_a_limit_is_no_reason_to_count_wrong() -> None:
    """After any mixture of endings all counts are zero, and all room is there again."""
    pair = HubPair(
        config(
            auth=External(),
            max_connections=3,
            max_opening=3,
            max_opening_per_address=2,
            max_connections_per_user=1,
            max_connections_per_address=2,
        )
    )
    for turn in range(30):
        address = (f"192.0.2.{turn % 3}", 1)
        if turn % 4 == 0:
            pair.raw(address)
        elif turn % 4 == 1:
            pair.peer(address=address)
        elif turn % 4 == 2:
            pair.peer("/?name=ann", address=address)
        else:
            pair.peer("/?token=x", address=address)
        for effect in tuple(pair.effects):
            pair.complete(Done(everything("alice")), effect)
        if turn % 5 == 0 and pair.peers:
            next(iter(pair.peers.values())).cut_off()
        if turn % 7 == 0:
            pair.advance(3.0)
    for peer in tuple(pair.peers.values()):
        peer.cut_off()
    pair.advance(100.0)
    hub = pair.hub
    assert (hub.links, hub.users, list(hub.sessions()), hub.idle) == (0, 0, [], True)
    registry = hub._registry
    assert (registry._opening, registry._addresses, registry._names) == (0, {}, {})
    assert registry._openings == {}
    assert (registry._users, registry._strangers, registry.connected) == ({}, {}, {})
    assert len(hub._deadlines) == 0
