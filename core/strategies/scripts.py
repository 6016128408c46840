"""What clients do over time, and the networks between them and a hub."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

from hypothesis import strategies as st

from ..scripts import Action, Close, Connect, Cut, Script, Send, Stall, Step
from .requests import requests

__all__ = ["networks", "schedules", "sessions"]

_PAUSES: Final = (0.0, 0.0, 0.0, 0.1, 0.5, 2.0, 30.0)
"""Seconds between two steps: often none, sometimes more than most timeouts."""

_CODES: Final = (1000, 1001, 3000, 4999)
_MOST: Final = 8
"""Requests on one connection."""


Requests = st.SearchStrategy[dict[str, Any]] | st.SearchStrategy[str]
"""What somebody says: requests, or texts that may be anything."""


def sessions(
    who: str = "ann",
    *,
    connect: Connect | None = None,
    request: Requests | None = None,
    most: int = 3,
) -> st.SearchStrategy[Script]:
    """Scripts of one client: it connects, asks for things, is cut or closes, and comes back.

    Args:
        who: what the steps call it.
        connect: how it connects; under the name `who` unless given.
        request: what it sends; `requests()` unless given.
        most: how many connections it has, at most.
    """
    connect = connect if connect is not None else Connect(name=who)
    return _session(who, connect, _connections(request, most))


_Timed = tuple[float, Action]
_Connections = Sequence[tuple[float, Sequence[_Timed], _Timed]]
"""For each connection how long it takes to come, what is done on it, and how it ends."""


# Composite, so that a report shows the steps and not how they were made.
@st.composite
def _session(
    draw: st.DrawFn, who: str, connect: Connect, connections: st.SearchStrategy[_Connections]
) -> Script:
    found: list[Step] = []
    at = 0.0
    for pause, middle, end in draw(connections):
        for wait, action in ((pause, connect), *middle, end):
            at = round(at + wait, 3)
            found.append(Step(at, who, action))
    if draw(st.booleans()):
        found.pop()  # it stays
    return tuple(found)


def _connections(request: Requests | None, most: int) -> st.SearchStrategy[_Connections]:
    said: st.SearchStrategy[Any] = request if request is not None else requests()
    pause = st.sampled_from(_PAUSES)
    send: st.SearchStrategy[Action] = st.builds(Send, said)
    stall: st.SearchStrategy[Action] = st.builds(Stall, st.sampled_from((0.5, 10.0)))
    end: st.SearchStrategy[Action] = st.just(Cut()) | st.builds(Close, st.sampled_from(_CODES))
    middle = st.lists(st.tuples(pause, st.one_of(send, send, send, send, stall)), max_size=_MOST)
    return st.lists(st.tuples(pause, middle, st.tuples(pause, end)), min_size=1, max_size=most)


def schedules(
    who: Sequence[str] | Mapping[str, Connect] = ("ann", "bob", "cleo"),
    *,
    request: Requests | None = None,
    most: int = 3,
) -> st.SearchStrategy[Script]:
    """Scripts of several clients, in the order of their moments.

    Args:
        who: what the steps call them, and how each connects; under its own name unless given.
        request: what they send; `requests()` unless given.
        most: how many connections each has, at most.
    """
    ways = who if isinstance(who, Mapping) else {name: Connect(name=name) for name in who}
    each = [sessions(name, connect=way, request=request, most=most) for name, way in ways.items()]
    return _together(each)


@st.composite
def _together(draw: st.DrawFn, each: Sequence[st.SearchStrategy[Script]]) -> Script:
    steps = [step for one in each for step in draw(one)]
    return tuple(sorted(steps, key=lambda step: step.at))  # which keeps the order of equals


_Network_co = TypeVar("_Network_co", covariant=True)


class _MakesNetworks(Protocol[_Network_co]):
    def __call__(
        self, *, latency: tuple[float, float], chunk: tuple[int, int], window: int
    ) -> _Network_co: ...


def networks(kind: _MakesNetworks[_Network_co]) -> st.SearchStrategy[_Network_co]:
    """Networks that deliver everything, in their own way: in pieces, late, a little at a time.

    Args:
        kind: `hubbub.transports.simulated.Network`, which the core does not know.
    """
    plenty = 1 << 30
    make: Callable[..., _Network_co] = kind
    return st.builds(
        make,
        latency=st.sampled_from(((0.0, 0.0), (0.01, 0.01), (0.0, 0.3), (0.1, 0.5))),
        chunk=st.sampled_from(((plenty, plenty), (1, 1), (1, 40), (20, 300), (100, 1500))),
        window=st.sampled_from((65536, 4096, 600)),
    )
