"""The strategies give what they say, right and wrong; and the model of the hub notices what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import cycle
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from hubbub.core import (
    Accepted,
    ClientOptions,
    Closed,
    Denied,
    Done,
    Failed,
    Grant,
    HookKind,
    HubConfig,
    HubLimits,
    Outcome,
    Rule,
    RunHook,
    ServerOptions,
)
from hubbub.core.auth import External, check_name
from hubbub.core.codecs.native import decode, encode_request, encode_value
from hubbub.core.messages import Malformed, Request
from hubbub.core.presence import PresenceBook
from hubbub.core.publish_requests import PublishRequests
from hubbub.core.registry import Registry
from hubbub.core.scripts import Close, Connect, Cut, Script, Send
from hubbub.core.strategies import (
    HookFunctions,
    HubModel,
    chunkings,
    commands,
    frames,
    grants,
    messages,
    names,
    networks,
    patterns,
    requests,
    rules,
    schedules,
    sessions,
    streams,
    texts,
    topics,
)
from hubbub.core.subscribing import Subscribing
from hubbub.core.subscriptions import SubscriptionTable
from hubbub.core.topics import check_pattern, check_topic, is_pattern
from hubbub.transports.simulated import Network
from support import machines
from support.wire import HOST, request, response

LIMITS = HubLimits()
ONCE = settings(max_examples=10_000, phases=[Phase.generate], database=None)
FEW = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])


# Names.


@FEW
@given(topics(), patterns(), names())
def test_names_are_lawful(topic: str, pattern: str, name: str) -> None:
    """What is called a topic can be published to, a pattern subscribed to, a name borne."""
    check_topic(topic)
    check_pattern(pattern)
    check_name(name, LIMITS)


def test_names_are_of_ones_own_words() -> None:
    """Words may be given, and one that can't stand in a name is refused at once."""
    assert find(topics(["door"], max_tokens=2), lambda name: "." in name) == "door.door"
    assert is_pattern(
        find(patterns(["door"]), lambda name: name.startswith("door.") and ">" in name)
    )
    with pytest.raises(ValueError, match="white space"):
        topics(["two words"])
    with pytest.raises(ValueError, match="wildcard"):
        patterns(["*"])


@FEW
@given(grants(), rules(), rules(history=False))
def test_grants_and_rules_can_be_configured(
    grant: Grant, some: tuple[Rule, ...], others: tuple[Rule, ...]
) -> None:
    """They are what a configuration takes, and without history none keeps any."""
    assert HubConfig(rules=some).rules == some
    assert not any(rule.logged for rule in others)
    assert grant.until is None


# Requests.


@FEW
@given(messages())
def test_messages_can_be_written(message: Any) -> None:
    """What is called a message is JSON, and comes back."""
    assert json.loads(encode_value(message)) == message


@FEW
@given(commands(), requests(wrong=False))
def test_requests_are_understood(command: Request, one: dict[str, Any]) -> None:
    """A hub reads each that is said to be right."""
    assert decode(encode_request(command).decode(), LIMITS) == command
    assert not isinstance(decode(json.dumps(one), LIMITS), Malformed)


CODES = ["bad_request", "unknown_action", "too_large", "too_deep", "right"]


def _code(text: str) -> str:
    """What a codec says of it: the code of the error, or `right`."""
    found = decode(text, LIMITS)
    return found.code.value if isinstance(found, Malformed) else "right"


@pytest.mark.parametrize("code", CODES)
def test_some_requests_are_wrong(code: str) -> None:
    """Among requests are those that a codec refuses, for each of its reasons, and right ones."""
    find(requests(), lambda one: _code(json.dumps(one)) == code, settings=ONCE)


@pytest.mark.parametrize("code", ["bad_json", "right"])
def test_some_texts_are_no_json(code: str) -> None:
    """Among texts are requests, and what is no JSON."""
    find(texts(), lambda text: _code(text) == code, settings=ONCE)


# Frames.


def _closed(stream: list[bytes], to_client: bool) -> Closed | None:
    """How a machine sees a connection end on which this comes."""
    if to_client:
        ws = machines.client(ClientOptions(host=HOST))
        ws.receive_data(response(), 0.0)
    else:
        ws = machines.server(ServerOptions())
        ws.receive_data(request(), 0.0)
        ws.next_event()
        ws.accept(0.0)
    for piece in stream:
        ws.receive_data(piece, 0.0)
    while (event := ws.next_event()) is not None:
        if isinstance(event, Closed):
            return event
        assert to_client or not isinstance(event, Accepted)
    return ws.closed


@FEW
@given(st.data(), st.booleans())
def test_streams_that_are_not_odd_break_no_rule(data: st.DataObject, to_client: bool) -> None:
    """However they are cut, a peer that reads them fails the connection for nothing."""
    stream = data.draw(streams(to_client=to_client, odd=False))
    closed = _closed(data.draw(chunkings(stream)), to_client)
    assert closed is None or closed.received_first or closed.code == 1006
    assert closed is None or "peer closed" in closed.cause or closed.received is not None


@pytest.mark.parametrize("to_client", [False, True])
@pytest.mark.parametrize("kind", [streams, frames])
def test_odd_frames_fail_a_connection(
    kind: Callable[..., st.SearchStrategy[bytes]], to_client: bool
) -> None:
    """Among those that may be odd are some that break the protocol."""

    def breaks(data: bytes) -> bool:
        closed = _closed([data], to_client)
        return closed is not None and closed.sent is not None and closed.sent.code == 1002

    assert find(kind(to_client=to_client), breaks, settings=ONCE)


@FEW
@given(st.data(), st.binary(max_size=200))
def test_chunkings_are_the_whole(data: st.DataObject, whole: bytes) -> None:
    """All pieces together are what was cut, and none is empty."""
    pieces = data.draw(chunkings(whole))
    assert b"".join(pieces) == whole
    assert all(pieces)


# Scripts.


def _is_script(script: Script, who: str, connect: Connect) -> None:
    """One client connects before it does anything, and comes back only after it was away."""
    away = True
    for step in script:
        assert step.who == who
        if away:
            assert step.action == connect
        away = isinstance(step.action, Cut | Close)
    assert [step.at for step in script] == sorted(step.at for step in script)


@FEW
@given(sessions("ann", request=st.just({"action": "ping"})))
def test_a_session_connects_first(script: Script) -> None:
    """A script of one client begins with a connection, and so does each return."""
    _is_script(script, "ann", Connect(name="ann"))
    sent = [step.action for step in script if isinstance(step.action, Send)]
    assert all(action.request == {"action": "ping"} for action in sent)


WAYS = {"phone": Connect(token="t"), "tablet": Connect(token="t")}


@settings(FEW, max_examples=20)
@given(schedules(), schedules(WAYS, request=texts()))
def test_schedules_are_sessions_in_order(by_name: Script, by_token: Script) -> None:
    """What several clients do is in the order of its moments, and for each of them a session."""
    for script, ways in (
        (by_name, {name: Connect(name=name) for name in ("ann", "bob", "cleo")}),
        (by_token, WAYS),
    ):
        assert [step.at for step in script] == sorted(step.at for step in script)
        for who, connect in ways.items():
            _is_script(tuple(step for step in script if step.who == who), who, connect)


@FEW
@given(networks(Network))
def test_networks_lose_nothing(network: Network) -> None:
    """They cut and delay, and no more."""
    assert network.cut_at is None
    assert network.silent_from is None


# The model.


TOKENS = {
    **HubModel.tokens,
    "t-dave": Grant(user="dave", read=(">",), until=1_800_000_020.0),
}


class Rich(HubModel):
    """A hub with most of what there is: rules of every kind, rates, tokens from outside, functions."""

    config = HubConfig(
        auth=External(),
        options=ServerOptions(
            limits=HubLimits(request_burst=5, request_rate=2.0, error_burst=10, max_subscriptions=4)
        ),
        rules=(
            Rule(pattern="room.den", presence=True, announce=True, announce_max=2, history=3),
            Rule(pattern="room.>", presence=True, announce=True, priority="high"),
            Rule(pattern="alerts.fire", history=5, max_message=6, durable=True),
            Rule(pattern="alerts.>", presence=True, slow="latest"),
        ),
    )
    tokens = TOKENS

    def hooks(self) -> HookFunctions:
        """They say no now and then, and change what is published."""
        asked = 0

        def answer(effect: RunHook) -> Outcome:
            nonlocal asked
            asked += 1
            if asked % 7 == 0:
                return Denied("not_now", "No")
            if effect.kind is HookKind.CALL:
                return Done([effect.name, effect.data])
            return Done({"was": effect.message}) if asked % 2 and effect.message else Done()

        return {
            HookKind.CONNECT: {">": answer},
            HookKind.SUBSCRIBE: {"*.lobby": answer, "alerts.>": answer},
            HookKind.PUBLISH: {"room.>": answer},
            HookKind.CALL: {"sum.*": answer},
            HookKind.DISCONNECT: {">": lambda _: Done()},
        }


class Strict(HubModel):
    """A hub for those with tokens, few of them, whose door is sometimes broken."""

    config = HubConfig(
        auth=External(),
        anonymous=None,
        options=ServerOptions(
            limits=HubLimits(max_connections_per_user=2, max_connections=3, max_topics=2)
        ),
    )
    may_fail = True

    def authenticate(self, token: str) -> Grant | None:
        """Half of the tokens have ended."""
        return self.tokens.get(token) if self.now % 2 < 1 else None

    def hooks(self) -> HookFunctions:
        """It lets two of three in."""
        three: tuple[Outcome, ...] = (Done(), Done(), Failed("broken"))
        outcomes = cycle(three)
        return {HookKind.CONNECT: {">": lambda _: next(outcomes)}}


def run(machine: type[HubModel], examples: int, *phases: Phase) -> None:
    """Run a state machine."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            phases=phases or tuple(Phase),
            report_multiple_bugs=False,
        ),
    )


@pytest.mark.slow
@pytest.mark.parametrize("machine", [HubModel, Rich, Strict])
def test_the_hub_does_what_the_model_says(machine: type[HubModel]) -> None:
    """A hub agrees with its model: plain, with everything, or with little."""
    run(machine, 20)


class Failing(HubModel):
    """A hub with a function that fails."""

    def hooks(self) -> HookFunctions:
        """It is asked about publications."""
        return {HookKind.PUBLISH: {">": lambda _: Failed("it is broken")}}


class Forgiving(Failing):
    """The same where that may be."""

    may_fail = True


def test_a_function_may_not_fail() -> None:
    """A function that raises fails the test, unless that is allowed."""
    with pytest.raises(AssertionError, match="a function has failed"):
        run(Failing, 100, Phase.generate)
    run(Forgiving, 5)


def _twice(self: SubscriptionTable[Any], topic: str) -> list[Any]:
    found = [
        session for name in (topic, *self._index.matching(topic)) for session in self.exact(name)
    ]
    return found + found[:1]


FAULTS: dict[str, tuple[type, str, Any]] = {
    "somebody gets it twice": (SubscriptionTable, "receivers", _twice),
    "presence outlives a session": (PresenceBook, "leave", lambda *_: False),
    "subscriptions outlive a revocation": (Subscribing, "drop_forbidden", lambda *_: None),
    "two people have one name": (Registry, "has_name", lambda *_: False),
    "no function is asked": (
        PublishRequests,
        "publish",
        lambda self, session, asked, now: self._place(
            session, asked, asked.topic or "a", asked.message, now
        ),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_noticed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub with any of these faults does not agree with the model."""
    kind, name, instead = FAULTS[fault]
    monkeypatch.setattr(kind, name, instead)
    with pytest.raises((AssertionError, KeyError)):
        run(Rich if "function" in fault else HubModel, 300, Phase.generate)


def test_steps_can_be_chosen() -> None:
    """A subclass takes fewer steps, its own are kept, and there is none that does not exist."""

    class Few(HubModel):
        steps: ClassVar[tuple[str, ...]] = ("come_with_name",)

        def wait(self, seconds: float) -> None:
            """Not a step."""

    class More(Few):
        steps = ("come_with_name", "leave")

    assert Few.leave is None
    assert Few.wait is not None
    assert More.leave is HubModel.leave
    with pytest.raises(ValueError, match="no step 'fly'; there are ask_what_was, "):

        class Wrong(HubModel):
            steps = ("fly",)
