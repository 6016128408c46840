"""Names: chosen, given, taken, kept for others, and lost to who proves them."""

from __future__ import annotations

import pytest

from hubbub.core.auth import External
from hubbub.core.effects import Done, HookKind
from hubbub.core.hub_events import Left
from hubbub.core.hub_limits import HubLimits
from hubbub.core.registry import Registry
from hubbub.core.session_states import SessionState
from support.hub_pair import HubPair, config, everything, tokens


def test_a_name_is_chosen_by_message_or_by_query() -> None:
    """Both give the same answer, and the peer is anonymous."""
    pair = HubPair()
    first = pair.peer("/?name=ann")
    assert first.take() == [{"type": "auth", "status": "ok", "username": "ann"}]
    second = pair.peer()
    assert second.ask(name="J\u00f6rg M\u00fcller") == {
        "type": "auth",
        "status": "ok",
        "username": "J\u00f6rg M\u00fcller",
    }
    assert all(s.grant is not None and s.grant.anonymous for s in pair.hub.sessions())


@pytest.mark.parametrize("same", ["ann", "Ann", "ANN", "\uff21\uff4e\uff4e"])
def test_a_name_is_one_persons_while_connected(same: str) -> None:
    """Also one that looks nearly the same is taken; the peer may choose another, or come back later."""
    pair = HubPair()
    ann = pair.named("ann")
    other = pair.peer()
    answer = other.ask(name=same)
    assert (answer["code"], answer["field"]) == ("name_taken", "name")
    assert other.session.state is SessionState.IDENTIFYING
    assert other.ask(name="bob")["status"] == "ok"
    ann.close()
    pair.advance(1.0)
    assert pair.peer().ask(name=same)["status"] == "ok"


def test_a_name_that_is_taken_in_the_query_can_be_chosen_again() -> None:
    """The socket is open, and the error says what to do."""
    pair = HubPair()
    pair.named("ann")
    other = pair.peer("/?name=ann")
    assert [message["code"] for message in other.take()] == ["name_taken"]
    assert other.ask(action="ping") == {"type": "pong"}
    assert other.session.user == "User-1"


@pytest.mark.parametrize(
    "name",
    [
        "", " ", " ann", "ann ", "a  b", "a\x00b", "a\nb", "\u202eann", "\u200b", "x" * 65,
        "\x1b[31m", "\u0301a", "e\u0301", "\ufeffann", "\x7f",
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused_in_words_that_do_not_repeat_it(name: str) -> None:
    """Control characters, marks without a letter, invisible ones, and names that are too long."""
    pair = HubPair()
    peer = pair.peer()
    answer = peer.ask(name=name)
    assert answer["type"] == "error"
    assert answer["code"] in {"bad_name", "bad_json", "too_large"}
    assert answer["message"].isprintable()
    assert pair.hub.users == 0
    assert peer.ask(name="ann")["status"] == "ok"


def test_a_bad_name_in_the_query_is_refused_too() -> None:
    """As one in a message."""
    pair = HubPair()
    peer = pair.peer("/?name=a%00b")
    assert [message["code"] for message in peer.take()] == ["bad_name"]
    assert peer.ask(name="ann")["status"] == "ok"


def test_names_of_users_with_tokens_are_kept_for_them() -> None:
    """Whether they are there or not, nobody may be called so, or nearly so."""
    pair = HubPair(config(auth=tokens("alice", "User-1", "User-3")))
    assert pair.peer().ask(name="ALICE")["code"] == "name_taken"
    guests = [pair.peer() for _ in range(2)]
    for guest in guests:
        guest.ask(action="ping")
    assert [guest.session.user for guest in guests] == ["User-2", "User-4"]


def test_guests_get_names_that_nobody_has() -> None:
    """A number that somebody has chosen as a name is passed over, and numbers are not used again soon."""
    pair = HubPair()
    pair.named("user-2")
    users = []
    for _ in range(3):
        guest = pair.peer()
        guest.ask(action="ping")
        users.append(guest.session.user)
        guest.close()
        pair.advance(1.0)
    assert users == ["User-1", "User-3", "User-4"]


def test_who_proves_a_name_has_it() -> None:
    """An anonymous peer of that name is closed with 4003; users with tokens share one name."""
    pair = HubPair(config(auth=External()))
    stranger = pair.named("Alice")
    bystander = pair.named("bob")
    for _ in range(2):
        peer = pair.peer("/?token=x")
        pair.complete(Done(everything("alice")))
        assert peer.take()[0]["username"] == "alice"
    assert stranger.code == 4003
    assert bystander.closed is None
    (left,) = (event for event in pair.take_events() if isinstance(event, Left))
    assert (left.user, left.cause) == ("Alice", "the name belongs to another user")
    assert [session.user for session in pair.hub.sessions()] == ["bob", "alice", "alice"]
    assert pair.peer().ask(name="ALICE")["code"] == "name_taken"


def test_a_name_that_is_chosen_while_its_owner_waits_is_lost_as_soon() -> None:
    """The owner is let in when the hook has said so; until then the name was free."""
    pair = HubPair(config(auth=External()), hooks={HookKind.CONNECT: (">",)})
    owner = pair.peer("/?token=x")
    pair.complete(Done(everything("alice")))
    stranger = pair.peer("/?name=alice")
    owners, strangers = pair.effects
    pair.complete(Done(), strangers)
    assert stranger.take()[0]["username"] == "alice"
    pair.complete(Done(), owners)
    assert owner.take()[0]["username"] == "alice"
    assert stranger.code == 4003


def test_who_has_proved_its_name_by_a_refresh_keeps_it() -> None:
    """An anonymous session that showed a token of its own name is no stranger any more."""
    pair = HubPair(config(auth=External()))
    first = pair.named("alice")
    first.send(action="refresh", token="x")
    pair.complete(Done(everything("alice")))
    pair.peer("/?token=x")
    pair.complete(Done(everything("alice")))
    assert first.closed is None
    assert len(list(pair.hub.sessions())) == 2


def test_several_strangers_that_share_a_name_all_lose_it() -> None:
    """An authenticator may give many peers one name, and vouch for none of them."""
    pair = HubPair(config(auth=External()))
    strangers = []
    for _ in range(3):
        strangers.append(pair.peer("/?token=x"))
        pair.complete(Done(everything("guest", anonymous=True)))
    strangers.pop().close()
    pair.peer("/?token=x")
    pair.complete(Done(everything("guest")))
    assert [peer.code for peer in strangers] == [4003, 4003]
    assert pair.hub.users == 1


def test_there_is_always_a_name_for_a_guest() -> None:
    """Also where all short ones are reserved; and numbers are used again, but not soon."""
    pair = HubPair(config(auth=tokens(*(f"User-{number}" for number in range(1, 10_001)))))
    guest = pair.peer()
    guest.ask(action="ping")
    assert guest.session.user == "User-10001"
    guest.close()
    registry = Registry(HubLimits())
    names = [registry.guest_name(lambda name: name == "User-3") for _ in range(10_000)]
    assert names[:3] == ["User-1", "User-2", "User-4"]
    assert names[9997:] == ["User-9999", "User-1", "User-2"]
