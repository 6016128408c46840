"""How users register hooks, and what the machine is told of them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from hubbub.core.effects import Done, HookKind, RunHook, Who
from hubbub.transports.hooks import (
    Calling,
    Connecting,
    Hooks,
    Leaving,
    Publishing,
    Refuse,
    Subscribing,
    judged,
)

WHO = Who(session=3, user="ann", address="127.0.0.1", anonymous=False, admin=True)


def _nothing(asked: object) -> None:
    """A hook that has no objection."""


def test_no_hooks() -> None:
    """The machine learns that there are none."""
    assert Hooks().table() == dict.fromkeys(HookKind, ())


def test_with_and_without_patterns() -> None:
    """A decorator may have a pattern or not, and brackets or not; the order is kept."""
    hooks = Hooks()

    @hooks.on_connect
    def connecting(asked: Connecting) -> None: ...

    @hooks.on_subscribe("chat.*")
    async def subscribing(asked: Subscribing) -> None: ...

    @hooks.on_subscribe
    def subscribing_to_others(asked: Subscribing) -> None: ...

    @hooks.on_publish()
    def publishing(asked: Publishing) -> object:
        return None

    @hooks.on_call("add")
    def add(asked: Calling) -> int:
        return 3

    @hooks.on_call("math.>")
    def math(asked: Calling) -> int:
        return 4

    @hooks.on_disconnect()
    async def leaving(asked: Leaving) -> None: ...

    assert hooks.table() == {
        HookKind.CONNECT: (">",),
        HookKind.SUBSCRIBE: ("chat.*", ">"),
        HookKind.PUBLISH: (">",),
        HookKind.CALL: ("add", "math.>"),
        HookKind.DISCONNECT: (">",),
    }
    for kind, number, function, argument in [
        (HookKind.CONNECT, 0, connecting, Connecting(WHO)),
        (HookKind.SUBSCRIBE, 0, subscribing, Subscribing(WHO, "a.b")),
        (HookKind.SUBSCRIBE, 1, subscribing_to_others, Subscribing(WHO, "a.b")),
        (HookKind.PUBLISH, 0, publishing, Publishing(WHO, "a.b", {"x": 1})),
        (HookKind.CALL, 1, math, Calling(WHO, "f", [2])),
        (HookKind.DISCONNECT, 0, leaving, Leaving(WHO)),
    ]:
        effect = RunHook(1, kind, number, WHO, "a.b", {"x": 1}, "f", [2])
        assert hooks.asked(effect) == (function, argument)
    assert Leaving(WHO).user == "ann"


def test_a_decorator_gives_the_function_back() -> None:
    """So that it can still be called by its name, and registered twice."""
    hooks = Hooks()
    assert hooks.on_publish(_nothing) is _nothing
    assert hooks.on_call("a")(hooks.on_call("b")(_nothing)) is _nothing
    assert hooks.table()[HookKind.CALL] == ("b", "a")


MISTAKES: dict[str, tuple[Callable[[Hooks], object], type[Exception], str]] = {
    "covered": (
        lambda hooks: (hooks.on_publish("a.>")(_nothing), hooks.on_publish("a.b")(_nothing)),
        ValueError,
        "on_publish('a.b') would never be asked: the one for 'a.>' comes first",
    ),
    "two of a kind": (
        lambda hooks: (hooks.on_connect(_nothing), hooks.on_connect(_nothing)),
        ValueError,
        "make one function of both",
    ),
    "no pattern": (
        lambda hooks: hooks.on_subscribe("a..b")(_nothing),
        ValueError,
        "on_subscribe: the pattern",
    ),
    "a number": (
        lambda hooks: hooks.on_call(3)(_nothing),  # type: ignore[call-overload]
        TypeError,
        "on_call: a pattern is text, not a int",
    ),
    "two patterns": (
        lambda hooks: hooks.on_publish("a", "b"),  # type: ignore[call-overload]
        TypeError,
        "on_publish takes one pattern, or stands without brackets",
    ),
    "a pattern where there are none": (
        lambda hooks: hooks.on_connect("a"),  # type: ignore[call-overload]
        TypeError,
        "on_connect takes nothing, or stands without brackets",
    ),
    "no function": (
        lambda hooks: hooks.on_publish("a")("b"),  # type: ignore[type-var]
        TypeError,
        "on_publish: a hook is a function, not a str",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_at_once(mistake: str) -> None:
    """What can't work is told where it is registered, and registers nothing."""
    make, error, text = MISTAKES[mistake]
    hooks = Hooks()
    with pytest.raises(error, match=re.escape(text)):
        make(hooks)
    assert sum(map(len, hooks.table().values())) <= 1


def test_a_refusal_is_fit_for_the_wire() -> None:
    """Its code is a short word, its text not longer than an answer may be."""
    assert (Refuse().code, Refuse().text) == ("forbidden", "Not allowed")
    assert str(Refuse("too_loud", "Please don't shout"))
    for code in ("", "Too loud", "3", "a" * 65):
        with pytest.raises(ValueError, match="code="):
            Refuse(code, "x")
    with pytest.raises(ValueError, match="at most 500"):
        Refuse("x", "x" * 501)


@pytest.mark.parametrize("kind", HookKind)
def test_what_results_mean(kind: HookKind) -> None:
    """None allows; what else may be returned depends on the kind, and a bool surely means something else."""
    assert judged(kind, None) == (Done(None) if kind is HookKind.CALL else Done())
    if kind is HookKind.DISCONNECT:
        assert judged(kind, False) == Done()
        return
    if kind is HookKind.CALL:
        assert judged(kind, False) == Done(False)
        return
    with pytest.raises(TypeError, match="it returned False: return None to allow, or raise Refuse"):
        judged(kind, False)
    if kind is HookKind.PUBLISH:
        assert judged(kind, "changed") == Done("changed")
    else:
        with pytest.raises(TypeError, match="it returned 'changed'"):
            judged(kind, "changed")
