"""While the hook is asked whether somebody may come in, others come and go."""

from __future__ import annotations

from collections.abc import Mapping

from hubbub.core.auth import External
from hubbub.core.effects import Denied, Done, HookKind
from support.hub_pair import HubPair, Peer, config, everything, tokens

HOOKS = {HookKind.CONNECT: (">",)}


def waiting(pair: HubPair, *credentials: Mapping[str, str | int]) -> list[Peer]:
    """Peers that have said who they are, and about whom the hook is being asked."""
    peers = [pair.peer() for _ in credentials]
    for peer, said in zip(peers, credentials, strict=True):
        peer.send(**said)
    assert len(pair.effects) == len(peers)
    return peers


def test_the_limit_for_a_user_holds_whoever_waits() -> None:
    """Three sessions of a user wait for the hook at once, and two may be let in: the third is not."""
    pair = HubPair(
        config(auth=tokens("alice"), anonymous=False, max_connections_per_user=2), hooks=HOOKS
    )
    peers = waiting(pair, *[{"token": "t-alice"}] * 3)
    for _ in peers:
        pair.complete(Done())
    assert [peer.code for peer in peers] == [None, None, 1013]
    assert len(list(pair.hub.sessions())) == 2


def test_the_hooks_no_carries_the_id() -> None:
    """The error that answers a token or a name is told by its id, also where the hook refused."""
    pair = HubPair(config(auth=tokens("alice")), hooks=HOOKS)
    alice, ann = waiting(pair, {"token": "t-alice", "id": 5}, {"name": "ann", "id": "n"})
    pair.complete(Denied("no", "not today"))
    pair.complete(Denied("no", "not today"))
    told = {"type": "auth", "status": "error", "message": "not today"}
    assert alice.take() == [{**told, "id": 5}]
    assert ann.take() == [{**told, "id": "n"}]


def test_a_name_that_was_taken_meanwhile_is_refused_by_its_id() -> None:
    """Of two who chose one name while the hook was asked, the second is told, and may choose again."""
    pair = HubPair(hooks=HOOKS)
    first, second = waiting(pair, {"name": "ann", "id": 1}, {"name": "Ann", "id": 2})
    pair.complete(Done())
    pair.complete(Done())
    assert first.answer(1) == {"type": "auth", "status": "ok", "username": "ann"}
    assert second.answer(2)["code"] == "name_taken"
    assert second.code is None


def test_who_proves_a_name_has_it_though_somebody_chose_it_meanwhile() -> None:
    """A name that is chosen while the hook is asked about its owner is given up when the owner comes in.

    Not before: the hook may refuse the owner.
    """
    pair = HubPair(config(auth=External(), max_connections_per_user=1), hooks=HOOKS)
    owner, other = pair.peer(), pair.peer()
    owner.send(token="whatever")
    pair.complete(Done(everything("alice")))
    other.send(name="alice")
    asked_about_owner, asked_about_other = pair.effects
    pair.complete(Done(), asked_about_other)
    assert other.take() == [{"type": "auth", "status": "ok", "username": "alice"}]
    pair.complete(Done(), asked_about_owner)
    assert owner.take() == [{"type": "auth", "status": "ok", "username": "alice"}]
    assert other.code == 4003
    assert [session.grant for session in pair.hub.sessions()] == [everything("alice")]
