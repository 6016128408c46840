"""The states of a session: every move of the table happens, and no other."""

from __future__ import annotations

import pytest

from hubbub.core.auth import External
from hubbub.core.effects import Done, HookKind
from hubbub.core.session import Session
from hubbub.core.session_states import SESSION, SessionState, SessionStep
from support.hub_pair import HubPair, config, everything

Pair = tuple[SessionState, SessionStep]


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> set[Pair]:
    """The moves that sessions have made."""
    found: set[Pair] = set()
    step = Session.step

    def noted(session: Session, made: SessionStep) -> None:
        found.add((session.state, made))
        step(session, made)

    monkeypatch.setattr(Session, "step", noted)
    return found


def test_every_move_of_the_table_is_made(walked: set[Pair]) -> None:
    """Lives of sessions, each of which ends in another state, walk all of it."""
    asked = {HookKind.CONNECT: (">",), HookKind.PUBLISH: (">",)}

    def fresh() -> HubPair:
        return HubPair(config(auth=External(), anonymous=False, hook_timeout=9.0), hooks=asked)

    def admitted(pair: HubPair) -> None:
        pair.complete(Done(everything("alice")))
        pair.complete(Done())

    pair = fresh()
    pair.raw().cut_off()  # opening
    pair.peer().cut_off()  # identifying
    pair.peer("/?token=x").cut_off()  # admitting
    pair = fresh()
    pair.peer()
    pair.advance(5.0)  # no token in time: leaves while identifying
    pair.peer().send(token="x")
    pair.advance(5.0)  # no answer in time: leaves while admitting
    for end in (HubPair.settle, lambda pair: pair.hub.drain(pair.now)):
        for waiting in (False, True):
            pair = fresh()
            peer = pair.peer("/?token=x")
            admitted(pair)
            if waiting:
                peer.send(action="publish", topic="a", message=1)
                assert peer.session.state is SessionState.WAITING
            end(pair)
            peer.cut_off()
    pair = fresh()
    peer = pair.peer("/?token=x")
    admitted(pair)
    peer.send(action="publish", topic="a", message=1)
    pair.complete(Done())
    assert peer.session.state is SessionState.OPEN
    assert walked == set(SESSION)


@pytest.mark.parametrize("state", SessionState)
def test_every_state_can_be_reached_and_ended(state: SessionState) -> None:
    """No state is a trap, and none stands alone."""
    reached = {SessionState.OPENING}
    while True:
        more = {after for (before, _), after in SESSION.items() if before in reached}
        if more <= reached:
            break
        reached |= more
    assert state in reached
    assert state is SessionState.OVER or SESSION[state, SessionStep.END] is SessionState.OVER


def test_a_session_tells_no_names() -> None:
    """Its representation has its number and its state, and nothing that a peer chose."""
    pair = HubPair()
    peer = pair.named("ann")
    assert repr(peer.session) == "<Session 1 open>"


def test_a_session_leaves_its_time_to_the_hub() -> None:
    """`next_timeout` is None; the hub's covers all sessions."""
    pair = HubPair()
    peer = pair.peer()
    assert peer.session.next_timeout() is None
    assert pair.hub.next_timeout() is not None
