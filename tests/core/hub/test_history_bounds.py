"""The bounds of all logs together."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.core.rules import Rule
from support.histories import fill, offsets, position
from support.hub_pair import config, tokens
from support.logged_hub import LoggedHub

RULES = (
    Rule(pattern="all.*", history=1000),
    Rule(pattern="stored.*", history=1000, durable=True),
)


def logged_hub(**options: Any) -> LoggedHub:
    """A hub with these rules, and Ann who may do everything."""
    return LoggedHub(config(rules=RULES, auth=tokens("ann"), **options))


def test_all_logs_together() -> None:
    """Beyond the bound the largest logs let go of their oldest; small ones keep what they have."""
    total = 20_000
    hub = logged_hub(total_history_size=total)
    fill(hub, "all.small", 5)
    for _ in range(30):
        for topic in ("all.large", "all.larger", "all.larger"):
            fill(hub, topic, 1, size=400)
            found = sum(log.size for _, log in hub.hub._logs.topics())
            assert hub.hub._logs.size == found <= total
    logs = dict(hub.hub._logs.topics())
    assert logs["all.small"].first == 1
    assert logs["all.large"].first > 1
    assert abs(logs["all.large"].size - logs["all.larger"].size) < total // 4
    assert hub.hub._logs.size > total // 2
    ann = hub.user("ann")
    first = position(ann, "all.large", last=1000)["offset"] + 1
    assert offsets(ann.take()) == list(range(first, 31))


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from([10, 100, 3000])), max_size=60),
    st.integers(1000, 10_000),
)
def test_no_order_of_publishing_passes_the_bound(steps: list[tuple[int, int]], total: int) -> None:
    """Whichever topics grow when, all together stay within it."""
    hub = logged_hub(total_history_size=total)
    for number, size in steps:
        hub.hub.publish(f"all.{number}", "x" * size, hub.now)
        assert hub.hub._logs.size <= total
    assert hub.hub._logs.size == sum(log.size for _, log in hub.hub._logs.topics())


def test_the_number_of_logs() -> None:
    """Beyond the bound the quietest log in memory is forgotten; durable ones are not, and need room."""
    hub = logged_hub(max_logs=3)
    fill(hub, "all.a", 2)
    fill(hub, "all.b", 2)
    fill(hub, "stored.a", 2)
    fill(hub, "all.a", 1)
    fill(hub, "all.c", 1)
    assert sorted(topic for topic, _ in hub.hub._logs.topics()) == ["all.a", "all.c", "stored.a"]
    fill(hub, "stored.b", 1)
    fill(hub, "stored.c", 1)
    ann = hub.user("ann")
    assert ann.publish("all.a")["code"] == "unavailable"
    assert ann.publish("stored.d")["code"] == "unavailable"
    assert ann.ask(action="subscribe", topics=["all.a"], last=1)["code"] == "full"
    ann.subscribe("all.a")
    fill(hub, "stored.c", 1)
    assert len(hub.stored("stored.c")) == 2
