"""What a client does when a connection ends or does not come about: each row of the table of close codes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.core import Limits, text_response
from hubbub.core.backoff import Backoff
from hubbub.core.client import HubClient
from hubbub.core.client_events import CLOSED, Connect
from hubbub.core.client_options import HubClientOptions
from hubbub.core.client_states import CLIENT, ClientState, ClientStep
from hubbub.core.frames import COME_BACK, CloseCode, ComeBack
from hubbub.core.messages import ErrorAnswer
from hubbub.transports.simulated import seeded_entropy
from support.pair import Pair
from support.scripted_hub import ScriptedHub

ROWS = sorted(COME_BACK.items())

FOREIGN = [1010, 1012, 1014, 3000, 4000, 4999, None]
"""Codes that no hub sends; None is a Close frame without one."""


def ready() -> ScriptedHub:
    """A client that is let in, and that fetches its tokens."""
    hub = ScriptedHub(fetches=True)
    fetch(hub, "first")
    hub.let_in()
    return hub


def fetch(hub: ScriptedHub, token: str) -> None:
    """The function that fetches tokens gives one."""
    effect = hub.fetches.pop()
    hub.client.fetched(effect.id, token, hub.now)
    hub.settle()


def end(hub: ScriptedHub, code: CloseCode | int | None) -> None:
    """The connection ends with a code; 1006 is without a Close frame."""
    if code == CloseCode.ABNORMAL_CLOSURE:
        hub.cut()
    elif code is None:
        hub.line.server.close(hub.now, None)
        hub.settle()
    else:
        hub.close(code)


@pytest.mark.parametrize(("code", "row"), ROWS)
def test_each_row_of_the_table(code: CloseCode, row: ComeBack) -> None:
    """After each close code the client does what the table says, and never something else later."""
    hub = ready()
    waiting = hub.client.call("f", None, hub.now)
    end(hub, code)
    lost = hub.now
    assert isinstance(hub.answers[waiting], ErrorAnswer)
    if row is ComeBack.NO:
        assert hub.state is ClientState.OVER
        assert hub.client.ending is not None
        assert hub.client.ending.code == code
        assert hub.client.next_timeout() is None
        assert not hub.fetches
        return
    change = next(one for one in hub.changes if one.state is ClientState.WAITING)
    assert change.code == (None if code == CloseCode.ABNORMAL_CLOSURE else code)
    assert change.delay is not None
    if row in (ComeBack.YES, ComeBack.RENEWED):
        assert change.delay == 0.0
    else:
        assert 0.0 < change.delay <= 5.0
        assert not hub.fetches
        hub.advance(change.delay)
    assert hub.now == pytest.approx(lost + change.delay)
    fetch(hub, "second")
    (first,) = hub.take("token")
    assert first["token"] == "second"


@pytest.mark.parametrize("code", FOREIGN)
def test_other_codes(code: int | None) -> None:
    """A code that no hub sends comes from another program, such as a proxy: back off."""
    hub = ready()
    end(hub, code)
    assert hub.state is ClientState.WAITING
    assert 0.0 < (hub.changes[-1].delay or 0.0) <= 5.0


@pytest.mark.parametrize("code", [1001, 1006])
def test_the_hint(code: int) -> None:
    """The hub said after how long to come back: then, and not before, even if it is gone without a word."""
    hub = ready()
    hub.say({"type": "reconnect", "after": 7.5})
    hub.advance(1.0)
    end(hub, code)
    assert hub.changes[-1].delay == pytest.approx(6.5)
    hub.advance(6.4)
    assert not hub.fetches
    hub.advance(0.2)
    assert len(hub.fetches) == 1


@pytest.mark.parametrize(("after", "delay"), [(1e9, 300.0), (-5.0, 0.0)])
def test_a_hint_without_sense(after: float, delay: float) -> None:
    """A hub can keep a client away for `max_hint` at most."""
    hub = ready()
    hub.say({"type": "reconnect", "after": after})
    end(hub, 1001)
    lost = next(one for one in hub.changes if one.state is ClientState.WAITING)
    assert lost.delay == delay


def test_a_plain_token_that_ended() -> None:
    """After 4001 there is no other, so the client ends."""
    hub = ScriptedHub(token="t")
    hub.let_in()
    hub.close(4001)
    assert hub.state is ClientState.OVER
    assert hub.client.ending is not None
    assert "nothing fetches a newer one" in hub.client.ending.reason


def test_at_once_is_not_at_once_for_ever() -> None:
    """A hub that lets us in and closes at once is asked again after delays, which grow."""
    hub = ScriptedHub(token="t")
    delays: list[float] = []
    for _ in range(6):
        hub.let_in()
        hub.cut()
        lost = [one for one in hub.changes if one.state is ClientState.WAITING][-1]
        assert lost.delay is not None
        delays.append(lost.delay)
        hub.advance(lost.delay)
    assert delays[0] == 0.0
    assert all(0.0 < delay <= 5.0 * 2**n for n, delay in enumerate(delays[1:]))


def test_delays_begin_anew() -> None:
    """After a connection that held for `settled_after` the next attempt is at once again."""
    hub = ScriptedHub(token="t")
    hub.let_in()
    hub.cut()
    hub.let_in()
    hub.cut()
    assert hub.changes[-1].delay
    hub.advance(10.0)
    hub.let_in()
    hub.advance(10.0)
    hub.cut()
    assert [one for one in hub.changes if one.state is ClientState.WAITING][-1].delay == 0.0


@given(st.integers(0, 2**32), st.floats(0.1, 10.0), st.floats(1.0, 4.0))
def test_delays_are_bounded(seed: int, first: float, factor: float) -> None:
    """While nobody listens each delay is drawn below its ceiling, which grows up to the cap."""
    backoff = Backoff(first=first, factor=factor, cap=first * 8)
    options = HubClientOptions(patient=True, backoff=backoff)
    client = HubClient(options, entropy=seeded_entropy(seed))
    now = 0.0
    for attempt in range(12):
        effect = client.next_effect()
        assert isinstance(effect, Connect)
        assert effect.attempt == attempt + 1
        client.failed(effect.id, "nobody listens", now)
        at = client.next_timeout()
        assert at is not None
        assert 0.0 <= at - now <= min(first * factor**attempt, first * 8) * (1 + 1e-9)
        client.handle_timeout(now)  # too early, unless the delay is nothing
        now = max(now, at)
        client.handle_timeout(now)


def test_what_the_hub_sends_is_too_large() -> None:
    """It would be the next time, too: the client ends, and says why."""
    hub = ScriptedHub(line_limits=Limits(max_size=200))
    hub.let_in()
    hub.line.server.send("x" * 1000, hub.now)
    hub.settle()
    assert hub.state is ClientState.OVER
    assert hub.client.ending is not None
    assert "1009" in hub.client.ending.reason


def test_what_the_hub_sends_is_no_websocket() -> None:
    """It may have been a proxy: back off."""
    hub = ScriptedHub()
    hub.let_in()
    hub.line.client.receive_data(b"\xff\xff\xff\xff", hub.now)
    hub.settle()
    assert hub.state is ClientState.WAITING
    assert "1002" in hub.changes[-1].reason
    assert hub.changes[-1].delay


def test_the_first_connection() -> None:
    """If it fails the client ends, unless it is patient; and for good where trying again is vain."""
    hub = ScriptedHub(reachable=False)
    assert hub.state is ClientState.OVER
    hub = ScriptedHub(reachable=False, patient=True)
    assert hub.state is ClientState.WAITING
    hub.reachable = True
    hub.advance(5.0)
    hub.let_in()
    client = HubClient(HubClientOptions(patient=True), entropy=seeded_entropy(1))
    effect = client.next_effect()
    assert effect is not None
    client.failed(effect.id, "the certificate is not trusted", 0.0, final=True)
    assert client.state is ClientState.OVER


@pytest.mark.parametrize(("status", "state"), [(503, ClientState.WAITING), (403, ClientState.OVER)])
def test_a_handshake_that_is_refused(status: int, state: ClientState) -> None:
    """An adapter may hand over a connection that is not open yet; what then comes is judged here."""
    client = HubClient(HubClientOptions(patient=True), entropy=seeded_entropy(1))
    effect = client.next_effect()
    assert effect is not None
    pair = Pair()
    assert client.connected(effect.id, pair.client, 0.0)
    assert client.state is ClientState.CONNECTING
    pair.flush()
    pair.server.next_event()
    pair.server.reject(text_response(status, "no"), 0.0)
    pair.flush()
    client.work(0.0)
    assert client.state is state


def test_a_connection_that_nobody_wants() -> None:
    """One that comes late is closed; an answer to an effect that is over changes nothing."""
    hub = ScriptedHub(token="t")
    hub.let_in()
    pair = Pair()
    assert not hub.client.connected(1, pair.client, hub.now)
    hub.client.failed(1, "late", hub.now)
    hub.client.fetched(1, "late", hub.now)
    assert hub.state is ClientState.READY
    hub.client.abort(hub.now)
    hub.settle()
    assert hub.state is ClientState.OVER
    hub.client.abort(hub.now)
    hub.client.close(hub.now)
    hub.client.handle_timeout(hub.now + 1000.0)
    assert hub.client.next_effect() is None


def test_a_lost_handshake() -> None:
    """A connection that is lost before it is open is no reason to come back at once."""
    client = HubClient(HubClientOptions(patient=True), entropy=seeded_entropy(1))
    effect = client.next_effect()
    assert effect is not None
    pair = Pair()
    client.connected(effect.id, pair.client, 0.0)
    pair.client.connection_lost(0.0)
    client.work(0.0)
    assert client.state is ClientState.WAITING
    assert client.next_timeout()


def test_the_table_of_states() -> None:
    """From each state but the last one there is a way to it, and from there none."""
    for state in ClientState:
        ways = {step for one, step in CLIENT if one is state}
        assert (ClientStep.END in ways) is (state is not ClientState.OVER)
        if state is ClientState.OVER:
            assert not ways


def test_everything_is_told() -> None:
    """When the client ends, each request is answered, and each subscription has ended with the reason."""
    hub = ScriptedHub(token="t")
    hub.let_in()
    stream = hub.subscribed("alerts")
    waiting = [hub.publish("alerts"), hub.client.ping(hub.now)]
    hub.settle()
    hub.close(4003, "go")
    for number in waiting:
        answer = hub.answers[number]
        assert isinstance(answer, ErrorAnswer)
        assert answer.code == CLOSED
    assert stream.ended
    assert stream.failure is not None
    assert "4003 'go'" in stream.failure.message
