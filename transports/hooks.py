"""Users' own functions that a hub asks: who may come in, what may be published, what a call answers.

.. code-block:: python

    hooks = Hooks()


    @hooks.on_publish("chat.*")
    async def no_shouting(publishing: Publishing) -> object:
        if str(publishing.message).isupper():
            raise Refuse("shouting", "Please don't shout")
        return None
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, overload

import msgspec

from ..core.effects import Done, HookKind, RunHook, Who
from ..core.topics import check_pattern, contains

__all__ = [
    "Calling",
    "Connecting",
    "Hooks",
    "Leaving",
    "Publishing",
    "Refuse",
    "Subscribing",
    "judged",
]

_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MAX_TEXT: Final = 500
"""Characters of what a refused peer is told."""

_WITHOUT_PATTERN: Final = (HookKind.CONNECT, HookKind.DISCONNECT)


class Refuse(Exception):
    """Raised by a hook: the request is refused, and its sender is told so.

    Args:
        code: of the error that the client gets, such as `forbidden`: small letters, digits and `_`.
        text: what the client is told, at most 500 characters.

    Raises:
        ValueError: the code is none, or the text is too long.
    """

    def __init__(self, code: str = "forbidden", text: str = "Not allowed") -> None:
        if not _CODE.fullmatch(code):
            raise ValueError(
                f"code={code!r}: use small letters, digits and '_', such as 'too_loud'"
            )
        if len(text) > _MAX_TEXT:
            raise ValueError(f"text: {len(text)} characters; at most {_MAX_TEXT} are sent")
        super().__init__(code, text)
        self.code = code
        self.text = text


class _Asked(msgspec.Struct, frozen=True):
    who: Who
    """Whose session it is."""

    @property
    def user(self) -> str:
        """The user's name."""
        return self.who.user


class Connecting(_Asked, frozen=True):
    """Somebody is known, and about to be let in."""


class Subscribing(_Asked, frozen=True):
    """Somebody who may read a topic is about to subscribe to it."""

    topic: str
    """The topic, or a pattern."""


class Publishing(_Asked, frozen=True):
    """Somebody who may write to a topic is about to publish."""

    topic: str
    message: Any  # any JSON value


class Calling(_Asked, frozen=True):
    """Somebody calls a function by its name."""

    name: str
    data: Any  # any JSON value
    """What came with the call; None if nothing did."""


class Leaving(_Asked, frozen=True):
    """Somebody who was let in has left."""


ConnectHook = TypeVar("ConnectHook", bound=Callable[[Connecting], object])
SubscribeHook = TypeVar("SubscribeHook", bound=Callable[[Subscribing], object])
PublishHook = TypeVar("PublishHook", bound=Callable[[Publishing], object])
CallHook = TypeVar("CallHook", bound=Callable[[Calling], object])
DisconnectHook = TypeVar("DisconnectHook", bound=Callable[[Leaving], object])

_Function = Callable[[Any], object]


class Hooks:
    """The functions that a hub asks, by kind and pattern; the first that matches is the one.

    A function takes one argument and may be plain or async. It returns None, or what its decorator says,
    or raises `Refuse`. An async one has `hook_timeout` seconds; a plain one holds up everybody while it
    runs, so it must not wait for anything. Whatever else it raises is logged, refuses the request with
    the error `internal`, and harms nobody else.

    One object may serve several hubs. What is registered after a server was made is not seen by it.
    """

    def __init__(self) -> None:
        self._functions: dict[HookKind, list[_Function]] = {kind: [] for kind in HookKind}
        self._patterns: dict[HookKind, list[str]] = {kind: [] for kind in HookKind}

    @overload
    def on_connect(self, function: ConnectHook, /) -> ConnectHook: ...
    @overload
    def on_connect(self) -> Callable[[ConnectHook], ConnectHook]: ...
    def on_connect(self, *given: Any) -> Any:
        """Ask before a session is let in. `Refuse` ends it with 1008, another exception with 1011.

        Who is allowed is nearly always let in. Not if somebody else came in meanwhile under the name
        that was chosen, if the user has as many sessions as one may have, or if an operator disconnected
        the user, or the client left.

        Raises:
            ValueError: there is one already.
        """
        return self._decorator(HookKind.CONNECT, given)

    @overload
    def on_subscribe(self, function: SubscribeHook, /) -> SubscribeHook: ...
    @overload
    def on_subscribe(self, pattern: str = ">", /) -> Callable[[SubscribeHook], SubscribeHook]: ...
    def on_subscribe(self, *given: Any) -> Any:
        """Ask before a session subscribes to a topic that the pattern matches.

        Raises:
            ValueError: no pattern, or an earlier hook's covers it.
        """
        return self._decorator(HookKind.SUBSCRIBE, given)

    @overload
    def on_publish(self, function: PublishHook, /) -> PublishHook: ...
    @overload
    def on_publish(self, pattern: str = ">", /) -> Callable[[PublishHook], PublishHook]: ...
    def on_publish(self, *given: Any) -> Any:
        """Ask before a message is published on a topic that the pattern matches.

        What the function returns, unless it is None, is published instead of the message. It must fit
        `max_message` of the topic's rule and `max_size`.

        Raises:
            ValueError: no pattern, or an earlier hook's covers it.
        """
        return self._decorator(HookKind.PUBLISH, given)

    @overload
    def on_call(self, function: CallHook, /) -> CallHook: ...
    @overload
    def on_call(self, name: str = ">", /) -> Callable[[CallHook], CallHook]: ...
    def on_call(self, *given: Any) -> Any:
        """Answer a client's call with what the function returns: any JSON value.

        Names are made like topics, so a pattern stands for several functions, such as `math.*`.

        Raises:
            ValueError: no name or pattern, or an earlier hook's covers it.
        """
        return self._decorator(HookKind.CALL, given)

    @overload
    def on_disconnect(self, function: DisconnectHook, /) -> DisconnectHook: ...
    @overload
    def on_disconnect(self) -> Callable[[DisconnectHook], DisconnectHook]: ...
    def on_disconnect(self, *given: Any) -> Any:
        """Tell that a session which was let in has ended. What the function returns is ignored.

        Raises:
            ValueError: there is one already.
        """
        return self._decorator(HookKind.DISCONNECT, given)

    # For servers.

    def table(self) -> Mapping[HookKind, tuple[str, ...]]:
        """What the machine needs to know: the patterns of each kind, the names of calls."""
        return {kind: tuple(patterns) for kind, patterns in self._patterns.items()}

    def asked(self, effect: RunHook) -> tuple[Callable[[Any], object], object]:
        """The function that an effect asks for, and its argument."""
        return self._functions[effect.kind][effect.hook], _argument(effect)

    # Inside.

    def _decorator(self, kind: HookKind, given: tuple[Any, ...]) -> Any:
        if len(given) == 1 and callable(given[0]):
            self._register(kind, ">", given[0])
            return given[0]
        if len(given) > (kind not in _WITHOUT_PATTERN):
            takes = "nothing" if kind in _WITHOUT_PATTERN else "one pattern"
            raise TypeError(f"on_{kind.value} takes {takes}, or stands without brackets")

        def register(function: _Function) -> _Function:
            self._register(kind, given[0] if given else ">", function)
            return function

        return register

    def _register(self, kind: HookKind, pattern: str, function: _Function) -> None:
        what = f"on_{kind.value}"
        if not isinstance(pattern, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{what}: a pattern is text, not a {type(pattern).__name__}")
        if not callable(function):  # pyright: ignore[reportUnnecessaryComparison]
            raise TypeError(f"{what}: a hook is a function, not a {type(function).__name__}")
        try:
            check_pattern(pattern)
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None
        for earlier in self._patterns[kind]:
            if contains(earlier, pattern):
                raise ValueError(
                    f"{what}({pattern!r}) would never be asked: the one for {earlier!r} comes first and "
                    "covers it. Register it before that one, or make one function of both"
                )
        self._patterns[kind].append(pattern)
        self._functions[kind].append(function)


def _argument(effect: RunHook) -> object:
    who = effect.who
    match effect.kind:
        case HookKind.CONNECT:
            return Connecting(who)
        case HookKind.SUBSCRIBE:
            assert effect.topic is not None
            return Subscribing(who, effect.topic)
        case HookKind.PUBLISH:
            assert effect.topic is not None
            return Publishing(who, effect.topic, effect.message)
        case HookKind.CALL:
            assert effect.name is not None
            return Calling(who, effect.name, effect.data)
        case HookKind.DISCONNECT:
            return Leaving(who)


def judged(kind: HookKind, value: object) -> Done:
    """What a hook's result means.

    Raises:
        TypeError: nothing that its decorator allows. A hook that says False surely means to refuse.
    """
    if kind is HookKind.CALL:
        return Done(value)
    if value is None or kind is HookKind.DISCONNECT:
        return Done()
    if kind is HookKind.PUBLISH and not isinstance(value, bool):
        return Done(value)
    raise TypeError(
        f"it returned {value!r:.40}: return None to allow, or raise Refuse(code, text) to refuse"
    )
