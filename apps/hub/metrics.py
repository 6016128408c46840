"""What Prometheus is told of a hub.

The machine counts by itself, and most figures are only read when somebody asks. Measured here are the
two that no counter shows: how long a fan-out takes, and how late the loop is.
"""

import contextlib
import resource
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from ...core.hub import Hub
from ...core.hub_events import Counters
from ..serving import Sleep

__all__ = ["Histogram", "Metrics", "counted"]

_FAN_OUT: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_LAG: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

_SIZES: Final = (10, 100, 1000)
"""Receivers below which a fan-out belongs to one class, and then to the next."""

_CLASSES: Final = ("1-9", "10-99", "100-999", "1000+")

_LAG_EVERY: Final = 0.25
"""Seconds between two looks at how late the loop is."""

_COUNTED: Final[dict[str, tuple[str, str]]] = {
    "connections": ("accepted", "Sockets that were taken."),
    "sessions": ("admitted", "Peers that were let in."),
    "turned_away": ("turned_away", "Peers that were refused because a limit was reached."),
    "openings_refused": (
        "openings_refused",
        "Opening requests that were answered with an error.",
    ),
    "auth_failures": ("auth_failures", "Peers whose credentials were missing or not valid."),
    "requests": ("messages_in", "Messages that peers sent."),
    "bytes_in": ("bytes_in", "Bytes that peers sent."),
    "publications": ("publications", "Messages that were published."),
    "deliveries": ("deliveries", "Publications times their receivers."),
    "bytes_out": ("bytes_out", "Bytes that left."),
    "messages_out": ("messages_out", "Publications and answers that left."),
    "errors": ("errors", "Requests that were refused with an error."),
    "announcements_dropped": (
        "announcements_dropped",
        "Coming and going that was not told to a slow session.",
    ),
    "gaps": ("gaps", "Times that a session was told that history no longer has what it missed."),
    "unsent": ("unsent", "Publications that waited for a session when it ended."),
    "hook_failures": ("hook_failures", "Functions of the user's that failed or took too long."),
    "store_failures": ("store_failures", "Times that the store could not do what was asked."),
    "store_damages": ("store_damages", "Logs that the store found damaged, and other damage."),
    "events_dropped": ("events_dropped", "Events for logs that nobody took in time."),
}
"""Fields of `Counters`, what they are called here, and what they count."""

_DROPPED: Final = {
    "dropped_disconnect": "disconnect",
    "dropped_oldest": "drop-oldest",
    "dropped_latest": "latest",
}
"""Fields of `Counters` that are one figure with a label: the policy that acted."""


def counted() -> set[str]:
    """The fields of `Counters` that are shown."""
    return {*_COUNTED, *_DROPPED}


class Histogram:
    """Counts durations by their size. That costs a third of a microsecond for each.

    Args:
        bounds: the largest duration of each bucket, in seconds; above the last is one more.
    """

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def add_to(self, family: HistogramMetricFamily, labels: Iterable[str] = ()) -> None:
        """Show it."""
        names = [*map(str, self._bounds), "+Inf"]
        buckets = list(zip(names, accumulate(self._counts), strict=True))
        family.add_metric(list(labels), buckets, self._sum)


class Metrics(Collector):
    """The figures of one hub and its process.

    No name is a family's twice: OpenMetrics takes `x` and `x_total` for one.

    Args:
        clock: seconds from any fixed origin.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started_at = time.time()
        self._hub: Hub | None = None
        self._fan_outs = [Histogram(_FAN_OUT) for _ in _CLASSES]
        self._lag = Histogram(_LAG)
        self.refused = 0
        """HTTP requests without the right API key."""
        self._registry = CollectorRegistry()
        self._registry.register(self)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def watch(self, hub: Hub) -> None:
        """Show this hub."""
        self._hub = hub

    # What is measured.

    def fanned_out(self, receivers: int, seconds: float) -> None:
        """What was published in one turn of the loop has been written."""
        self._fan_outs[bisect_right(_SIZES, receivers)].observe(seconds)

    async def measure_lag(self, sleep: Sleep) -> None:
        """Note again and again by how much the loop is late."""
        while True:
            before = self._clock()
            await sleep(_LAG_EVERY)
            self._lag.observe(max(0.0, self._clock() - before - _LAG_EVERY))

    # What is shown.

    def page(self, accept: str) -> tuple[str, bytes]:
        """All of it, in the form that a client prefers: its media type, and the text.

        Args:
            accept: the client's Accept header.
        """
        encode, kind = choose_encoder(accept)
        text: bytes = encode(self._registry)
        return kind, text

    def collect(self) -> Iterator[Metric]:
        """The hub's own figures."""
        hub = self._hub
        if hub is not None:
            yield from _gauges(hub)
            yield from _counters(hub.counters)
        yield _counter("http_refused", "HTTP requests without the right API key.", self.refused)
        fan_out = HistogramMetricFamily(
            "hubbub_fan_out_seconds",
            "From when what is published in a turn of the loop is queued until it is written, "
            "by the number of deliveries.",
            labels=["receivers"],
        )
        for name, histogram in zip(_CLASSES, self._fan_outs, strict=True):
            histogram.add_to(fan_out, [name])
        yield fan_out
        lag = HistogramMetricFamily("hubbub_loop_lag_seconds", "By how much the loop is late.")
        self._lag.add_to(lag)
        yield lag
        yield from _process(self._started_at)


def _process(started_at: float) -> Iterator[Metric]:
    """What the library's own collector tells, but for `process_open_fds`.

    To count descriptors it lists a folder, which takes 15 ms where there are 15,000 of them.
    """
    yield CounterMetricFamily(
        "process_cpu_seconds", "CPU time, of the user and the system.", value=time.process_time()
    )
    yield GaugeMetricFamily(
        "process_start_time_seconds", "When it began, in seconds since 1970.", value=started_at
    )
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield GaugeMetricFamily("process_max_fds", "Descriptors that it may have.", value=soft)
    with contextlib.suppress(OSError):  # a system without /proc
        virtual, resident = Path("/proc/self/statm").read_text().split()[:2]
        page = resource.getpagesize()
        for name, text, pages in (
            ("virtual", "Virtual memory.", virtual),
            ("resident", "Resident memory.", resident),
        ):
            yield GaugeMetricFamily(f"process_{name}_memory_bytes", text, value=int(pages) * page)


def _gauges(hub: Hub) -> Iterator[Metric]:
    limits = hub.limits
    sessions = sum(1 for _ in hub.sessions())
    for name, text, value in (
        ("connections", "Sockets, those that open or close included.", hub.links),
        ("sessions", "Peers that are let in.", sessions),
        ("sessions_limit", "Sessions that there may be at most.", limits.max_connections),
        ("users", "Users that are let in.", hub.users),
        ("outbox_bytes", "Bytes that wait in the queues of all sessions.", hub.outbox_bytes),
        ("outbox_bytes_limit", "Bytes above which queues are cut.", limits.total_outbox_size),
        ("draining", "1 while the hub takes nobody any more.", int(hub.draining)),
    ):
        yield GaugeMetricFamily(f"hubbub_{name}", text, value=value)


def _counters(counters: Counters) -> Iterator[Metric]:
    for field, value in msgspec.structs.asdict(counters).items():
        if field in _COUNTED:
            name, text = _COUNTED[field]
            yield _counter(name, text, value)
    dropped = CounterMetricFamily(
        "hubbub_dropped", "Publications that slow sessions lost.", labels=["policy"]
    )
    for field, policy in _DROPPED.items():
        dropped.add_metric([policy], getattr(counters, field))
    yield dropped


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"hubbub_{name}", text, value=value)
