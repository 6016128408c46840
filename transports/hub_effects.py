"""Runs what a hub asks of the outside: users' functions, and the store."""

import logging
from collections.abc import Awaitable, Callable
from contextvars import Context
from inspect import isawaitable, iscoroutine
from pathlib import Path
from typing import Any, Final

from msgspec import UNSET

from ..core.codecs import native
from ..core.effects import (
    Append,
    Authenticate,
    Denied,
    Done,
    Effect,
    Failed,
    HttpRequest,
    Outcome,
    Read,
    Reopen,
    RunHook,
    Trim,
)
from ..core.errors import LocalProtocolError
from ..core.grants import Grant
from ..core.http import Request, Response
from .driver import Driver
from .hooks import Hooks, Refuse, judged
from .hub_log import one_line
from .stores.protocol import Store, StoreUnavailable

__all__ = ["AnswerHttp", "Authenticator", "Effects"]

Authenticator = Callable[[str], Grant | Awaitable[Grant | None] | None]
"""Whose token is it? None if nobody's. A plain function, an async one, or an object that is called."""

AnswerHttp = Callable[[Request, bytes, str | None], Response | Awaitable[Response]]
"""Answers a request: its head, its body, and the client's address, None on a Unix socket."""

Complete = Callable[[int, Outcome], None]

_MARGIN: Final = 0.1
"""Seconds after its time at which a task is cancelled: the machine has given up before."""

_StoreEffect = Append | Read | Reopen | Trim


class Effects:
    """The users' functions of one hub, its store, and the tasks of those that are async.

    Plain functions run at once. Nothing that a function raises gets out of here, except what ends a
    program.

    Args:
        hooks: the users' hooks.
        authenticate: whose token it is.
        http: what answers ordinary HTTP requests.
        store: where durable topics are kept; it is open.
        driver: that of the loop.
        context: the variables that the functions see; each sees a copy.
        spawn: makes a task.
        complete: takes an outcome for an effect.
        ended: called when a task has ended.
        logger: where to log.
        hook_timeout: seconds that a task of a user's function may take.
        store_timeout: the same, of the store.
        most: tasks of users' functions that may run at once; beyond it they fail at once. Each session
            waits for one at most, so only those whose sessions have left can be more.
    """

    def __init__(
        self,
        *,
        hooks: Hooks | None,
        authenticate: Authenticator | None,
        http: AnswerHttp | None,
        store: Store | None,
        driver: Driver,
        context: Context,
        spawn: Callable[..., None],
        complete: Complete,
        ended: Callable[[], None],
        logger: "logging.Logger | logging.LoggerAdapter[Any]",
        hook_timeout: float,
        store_timeout: float,
        most: int,
    ) -> None:
        self._hooks = hooks
        self._authenticate = authenticate
        self._http = http
        self._store = store
        self._driver = driver
        self._context = context
        self._spawn = spawn
        self._complete = complete
        self._ended = ended
        self._logger = logger
        self._hook_timeout = hook_timeout + _MARGIN
        self._store_timeout = store_timeout + _MARGIN
        self._most = most
        self.running = 0
        """Tasks that have not ended."""
        self.closed = False
        """Set when the server has ended: nothing is begun any more."""

    def start(self, effect: Effect) -> None:
        """Do it, or begin to."""
        if self.closed:
            self._complete(effect.id, Failed("the server is closed"))
            return
        try:
            # A copy, since one that is entered cannot be entered again.
            answer = self._context.copy().run(self._call, effect)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this effect's
            self._complete(effect.id, self._failure(effect, error))
            return
        if not isawaitable(answer):
            self._complete(effect.id, self._outcome(effect, answer))
        elif self.running >= self._most and not isinstance(effect, _StoreEffect):
            _close(answer)
            self._logger.error("%s: too many run already (%d)", _what(effect), self.running)
            self._complete(effect.id, Failed("too many run already"))
        else:
            self._begin(effect, answer)

    def _call(self, effect: Effect) -> object:
        match effect:
            case RunHook():
                assert self._hooks is not None  # the machine knows of no others
                function, argument = self._hooks.asked(effect)
                return function(argument)
            case Authenticate():
                assert self._authenticate is not None
                return self._authenticate(effect.token)
            case HttpRequest():
                assert self._http is not None
                return self._http(effect.request, effect.body, effect.address)
            case _:
                return self._ask_store(effect)

    def _ask_store(self, effect: _StoreEffect) -> Awaitable[object]:
        store = self._store
        assert store is not None  # the machine asks for none that it was not made with
        match effect:
            case Append():
                return store.append(effect.records, effect.acknowledged)
            case Read():
                return store.read(effect.topic, effect.after, effect.max_bytes)
            case Reopen():
                return store.reopen()
            case Trim():
                return store.trim(effect.topic, effect.retention)

    def _begin(self, effect: Effect, answer: Awaitable[object]) -> None:
        self.running += 1
        try:
            self._context.copy().run(self._spawn, self._wait, effect, answer)
        except Exception as error:  # noqa: BLE001 - such as a nursery that is closed
            self.running -= 1
            _close(answer)
            self._logger.warning("%s cannot run: %s", _what(effect), type(error).__name__)
            self._complete(effect.id, Failed("it cannot run"))

    async def _wait(self, effect: Effect, answer: Awaitable[object]) -> None:
        outcome: Outcome = Failed("cancelled")
        try:
            stores = isinstance(effect, _StoreEffect)
            seconds = self._store_timeout if stores else self._hook_timeout
            async with self._driver.fail_after(seconds):
                try:
                    outcome = self._outcome(effect, await answer)
                except Exception as error:  # noqa: BLE001 - as above
                    outcome = self._failure(effect, error)
        except TimeoutError:
            outcome = Failed("took too long")  # which the machine has said before
        finally:
            self.running -= 1
            self._end(effect, outcome)

    def _end(self, effect: Effect, outcome: Outcome) -> None:
        try:
            self._complete(effect.id, outcome)
            self._ended()
        except Exception:
            # A fault of the machine. On trio it would end all tasks, and the server with them.
            self._logger.exception("an internal error after %s", _what(effect))

    def _outcome(self, effect: Effect, value: object) -> Outcome:
        try:
            match effect:
                case RunHook():
                    done = judged(effect.kind, value)
                    if done.value is not UNSET:
                        native.encode_value(
                            done.value
                        )  # or it would fail where the machine cannot ask again
                    return done
                case Authenticate():
                    return Done(_of_type(value, Grant | None, "a Grant, or None"))
                case HttpRequest():
                    return Done(_of_type(value, Response, "a Response"))
                case Append():
                    return Done()
                case _:
                    return Done(value)
        except (TypeError, LocalProtocolError) as error:
            return self._failure(effect, error)

    def _failure(self, effect: Effect, error: Exception) -> Outcome:
        """Log it, in one line and without what may be secret; for hooks with where it happened."""
        if isinstance(error, Refuse) and isinstance(effect, RunHook | Authenticate):
            return Denied(error.code, error.text)
        if isinstance(error, StoreUnavailable):
            if isinstance(effect, Read | Trim):  # of others the hub tells itself
                self._logger.warning("%s failed: %s", _what(effect), one_line(error.reason))
            return Failed(error.reason)
        raised = f"raised {type(error).__name__}"
        if isinstance(effect, Authenticate):
            # No traceback: its last line is the exception's text, which may quote the token.
            self._logger.error("%s %s%s", _what(effect), raised, _where(error))
        else:
            self._logger.error("%s %s", _what(effect), raised, exc_info=error)
        return Failed(raised)


def _of_type(value: object, kind: Any, words: str) -> object:
    if not isinstance(value, kind):
        raise TypeError(f"it returned a {type(value).__name__}: return {words}")
    return value


def _close(answer: Awaitable[object]) -> None:
    """A coroutine that is never begun says so when it is thrown away; unless it is closed."""
    if iscoroutine(answer):
        answer.close()


def _what(effect: Effect) -> str:
    """What an effect asks for, for a log."""
    match effect:
        case RunHook():
            return f"the on_{effect.kind.value} hook of session {effect.who.session}"
        case Authenticate():
            return f"authenticate() for session {effect.session}"
        case HttpRequest():
            return "the answer to an HTTP request"
        case _:
            return f"the store's {type(effect).__name__.lower()}"


def _where(error: Exception) -> str:
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f" in {Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno}"
