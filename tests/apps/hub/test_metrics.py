"""What Prometheus is told of a hub."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable

import msgspec
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from hubbub.apps.hub.http_api import HttpApi
from hubbub.apps.hub.metrics import Histogram, Metrics, counted
from hubbub.core.hub import Hub
from hubbub.core.hub_events import Counters
from support.http_asking import ask
from support.hub_peers import hub, hub_config, named, peer
from support.loops import until
from support.net import adapter, address

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def _figures(page: str) -> dict[str, float]:
    """Every figure of a page: its name with its labels, and its value."""
    return {
        f"{sample.name}{sorted(sample.labels.items()) or ''}": sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def _page(metrics: Metrics) -> dict[str, float]:
    kind, page = metrics.page("")
    assert kind.startswith("text/plain")
    return _figures(page.decode())


@pytest.fixture
def metrics() -> Metrics:
    """Those of a hub that nobody uses."""
    made = Metrics()
    made.watch(Hub(now=0.0, entropy=os.urandom))
    return made


def test_every_counter_is_shown() -> None:
    """No field of the hub's counters is left out, and none is there that is gone."""
    assert counted() == set(Counters.__struct_fields__)


def test_each_counter_has_its_own_figure() -> None:
    """Each of them changes exactly one figure, by as much."""
    machine = Hub(now=0.0, entropy=os.urandom)
    metrics = Metrics()
    metrics.watch(machine)
    ours = {name for name in _page(metrics) if name.startswith("hubbub_")}
    before = _page(metrics)
    for number, field in enumerate(Counters.__struct_fields__, start=1):
        setattr(machine.counters, field, number)
    after = _page(metrics)
    changed = sorted(after[name] - before[name] for name in ours if after[name] != before[name])
    assert changed == list(range(1, len(Counters.__struct_fields__) + 1))
    assert msgspec.structs.astuple(machine.counters)[0] == 1


def test_both_forms(metrics: Metrics) -> None:
    """Prometheus' own parsers read the older form and OpenMetrics; names have a unit and no twin."""
    kind, page = metrics.page(f"{OPENMETRICS},text/plain;q=0.5")
    assert kind.startswith("application/openmetrics-text")
    # It has no types.
    parse: Callable[[str], Iterable[Metric]] = openmetrics.text_string_to_metric_families
    families = list(parse(page.decode()))
    names = [family.name for family in families]
    assert len(set(names)) == len(names)
    older = {
        family.name for family in text_string_to_metric_families(metrics.page("*/*")[1].decode())
    }
    assert {"hubbub_sessions", "hubbub_loop_lag_seconds", "process_cpu_seconds"} <= older
    assert all(family.documentation for family in families)


def test_a_page_without_a_hub() -> None:
    """Before there is one, the process is told of."""
    figures = _page(Metrics())
    assert 0 < figures["process_cpu_seconds_total"] < 1000
    assert figures["process_max_fds"] >= 256
    assert 2**20 < figures["process_resident_memory_bytes"] < 2**32
    assert abs(figures["process_start_time_seconds"] - time.time()) < 60
    assert not [name for name in figures if name.startswith("hubbub_sessions")]


def test_a_histogram() -> None:
    """A duration counts in the first bucket that is not below it, and in all above."""
    metrics = Metrics()
    for receivers, seconds in [(1, 0.0001), (9, 0.0002), (10, 5.0), (999, 0.0), (10**6, 0.3)]:
        metrics.fanned_out(receivers, seconds)
    figures = _page(metrics)

    def bucket(size: str, bound: str) -> float:
        labels = [("le", bound), ("receivers", size)]
        return figures[f"hubbub_fan_out_seconds_bucket{labels}"]

    assert [bucket("1-9", bound) for bound in ("0.0001", "0.00025", "1.0", "+Inf")] == [1, 2, 2, 2]
    assert [bucket("10-99", bound) for bound in ("1.0", "+Inf")] == [0, 1]
    assert bucket("100-999", "0.0001") == 1
    assert bucket("1000+", "1.0") == 1
    assert figures["hubbub_fan_out_seconds_sum[('receivers', '10-99')]"] == 5.0


def test_what_a_histogram_costs() -> None:
    """Less than 5 µs for each duration, since one is noted in every turn that published."""
    histogram = Histogram((0.001, 0.01, 0.1))
    best = 1.0
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(1000):
            histogram.observe(0.02)
        best = min(best, time.perf_counter() - began)
    assert best < 0.005


async def test_how_late_the_loop_is() -> None:
    """What a pause takes longer than it should is noted; one that is too short counts as nothing."""
    times = iter([0.0, 0.25, 10.0, 10.5, 20.0, 20.2, 30.0])
    metrics = Metrics(clock=lambda: next(times))
    left = [None, None, None]

    async def sleep(seconds: float) -> None:
        assert seconds == 0.25
        if not left:
            raise asyncio.CancelledError
        left.pop()

    with pytest.raises(asyncio.CancelledError):
        await metrics.measure_lag(sleep)
    figures = _page(metrics)
    assert figures["hubbub_loop_lag_seconds_count"] == 3
    assert figures["hubbub_loop_lag_seconds_sum"] == 0.25
    assert figures["hubbub_loop_lag_seconds_bucket[('le', '0.001')]"] == 2


async def test_the_figures_of_a_conversation() -> None:
    """What peers do shows in the figures that are named for it."""
    config = hub_config()
    metrics = Metrics()
    api = HttpApi(key_hash=None, rules=config.rules, limits=config.limits, metrics=metrics)
    async with hub(adapter("asyncio"), config, http=api, on_fan_out=metrics.fanned_out) as server:
        api.serve(server)
        async with named(server, "ann") as ann, named(server, "bob") as bob, peer(server) as eve:
            await ann.subscribe("alerts")
            await bob.subscribe("alerts")
            for number in range(3):
                await ann.publish("alerts", number)
            await ann.ask(action="nonsense")
            await eve.send(token="wrong")
            await eve.closed()
            await until(lambda: server.hub.links == 2)
            port = address(server)[1]
            assert (await ask(port, "GET", "/api/topics")).status == 403
            await until(lambda: server.hub.links == 2)
            figures = _figures((await ask(port, "GET", "/metrics")).body.decode())
        for name, value in {
            "connections": 3,  # the one that asks included
            "sessions": 2,
            "users": 2,
            "sessions_limit": 20_000,
            "outbox_bytes": 0,
            "draining": 0,
            "accepted_total": 5,
            "admitted_total": 2,
            "auth_failures_total": 1,
            "messages_in_total": 7,
            "publications_total": 3,
            "deliveries_total": 6,
            "errors_total": 1,
            "turned_away_total": 0,
            "openings_refused_total": 0,
            "dropped_total[('policy', 'disconnect')]": 0,
            "fan_out_seconds_count[('receivers', '1-9')]": 3,
        }.items():
            assert figures[f"hubbub_{name}"] == value, name
        assert figures["hubbub_bytes_in_total"] > 300
        assert figures["hubbub_bytes_out_total"] > 300
        assert figures["hubbub_messages_out_total"] >= 13
