"""Runs users' functions where there is no event loop: plain ones, and async ones that wait for nothing.

An async function is driven as far as it goes by itself. It may await other coroutines, but nothing that
only a loop can bring: no sleep, no socket, no lock that is taken. In a test such a thing is replaced by a
fake of it anyway.
"""

import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from inspect import isawaitable, iscoroutine
from types import TracebackType
from typing import Any, Final

from msgspec import UNSET

from ...core.codecs import native
from ...core.effects import Denied, Done, Failed, HookKind, Outcome, RunHook
from ...core.errors import LocalProtocolError
from ...core.grants import Grant
from ..hooks import Hooks, Refuse, judged

__all__ = ["HookFunctions", "LoopNeeded", "logger", "token_outcome", "without_loop"]

HookFunctions = Mapping[HookKind, Mapping[str, Callable[[RunHook], Outcome]]]
"""For each kind of hook and each of its patterns, what answers."""

logger: Final = logging.getLogger("hubbub.simulated")
"""Where it is logged that a user's function raised something."""

_LOOPS: Final = frozenset({"asyncio", "trio", "anyio", "sniffio", "uvloop"})
"""Modules that say so themselves if there is no loop."""


class LoopNeeded(Exception):
    """A user's function waits for something that only an event loop could bring."""


def without_loop(hooks: Hooks) -> HookFunctions:
    """Users' hooks as functions that take an effect and answer it at once.

    A hook that raises anything but `Refuse` is logged, and its outcome is `Failed`, as on a server.

    Raises:
        LoopNeeded: by a function that it gives: the hook waits for an event loop.
    """

    def run(effect: RunHook) -> Outcome:
        function, argument = hooks.asked(effect)
        what = f"the on_{effect.kind.value} hook {_name(function)}"

        def judge(value: object) -> Outcome:
            done = judged(effect.kind, value)
            if done.value is not UNSET:
                native.encode_value(done.value)
            return done

        return _outcome(what, lambda: function(argument), judge)

    return {kind: dict.fromkeys(patterns, run) for kind, patterns in hooks.table().items()}


def token_outcome(authenticate: Callable[[str], object], token: str) -> Outcome:
    """What a user's authenticator says of a token.

    Raises:
        LoopNeeded: it waits for an event loop.
    """

    def judge(value: object) -> Outcome:
        if not isinstance(value, Grant | None):
            raise TypeError(f"it returned a {type(value).__name__}: return a Grant, or None")
        return Done(value)

    return _outcome(f"authenticate, {_name(authenticate)},", lambda: authenticate(token), judge)


def _outcome(what: str, call: Callable[[], object], judge: Callable[[object], Outcome]) -> Outcome:
    try:
        value = call()
        if isawaitable(value):
            value = _driven(what, value)
        return judge(value)
    except LoopNeeded:
        raise
    except Refuse as refusal:
        return Denied(refusal.code, refusal.text)
    except (TypeError, LocalProtocolError) as error:
        logger.error("%s: %s", what, error, exc_info=error)  # noqa: TRY400 - it may be None's
        return Failed(str(error))
    except Exception as error:
        if _of_a_loop(error.__traceback__):
            raise _needed(what) from error
        logger.exception("%s raised %s", what, type(error).__name__)
        return Failed(f"raised {type(error).__name__}")


def _driven(what: str, answer: Awaitable[object]) -> object:
    """What an awaitable gives, if it gives it by itself."""
    work: Coroutine[Any, Any, object] = answer if iscoroutine(answer) else _waiting(answer)
    try:
        work.send(None)
    except StopIteration as end:
        value: object = end.value
        return value
    work.close()
    raise _needed(what)


async def _waiting(answer: Awaitable[object]) -> object:
    return await answer


def _needed(what: str) -> LoopNeeded:
    return LoopNeeded(
        f"{what} waits for an event loop, and a simulation has none: let it await nothing but other "
        "coroutines, and replace what it waits for by a fake that answers at once"
    )


def _of_a_loop(trace: TracebackType | None) -> bool:
    """Whether what was raised comes from an event loop's library, which found no loop."""
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    module: str = trace.tb_frame.f_globals.get("__name__", "")
    return module.partition(".")[0] in _LOOPS


def _name(function: object) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)
