"""What runs users' functions, by itself: faults that a whole server does not show."""

from __future__ import annotations

import contextvars
import logging
from typing import Any

import pytest

from hubbub.core.effects import Authenticate, Done, Failed, HookKind, Outcome, RunHook, Who
from hubbub.core.grants import Grant
from hubbub.transports.hooks import Hooks
from hubbub.transports.hub_effects import Effects
from support.hand_driver import HandClock, HandDriver
from support.loops import BACKENDS
from support.net import Net

ANN = Grant(user="ann")
WHO = Who(3, "ann", None, False, False)
CALL = RunHook(1, HookKind.CALL, 0, WHO, name="f")


class Runner:
    """Effects with what they need; completed outcomes by their number."""

    def __init__(self, hooks: Hooks | None = None) -> None:
        self.outcomes: dict[int, Outcome] = {}
        driver = HandDriver(HandClock())
        driver.hold()
        driver.release()  # no loop is needed here
        self.effects = Effects(
            hooks=hooks,
            authenticate=lambda token: ANN if token == "good" else None,
            http=None,
            store=None,
            driver=driver,
            context=contextvars.copy_context(),
            spawn=self.spawn,
            complete=self.complete,
            ended=lambda: None,
            logger=logging.getLogger("hubbub.hub"),
            hook_timeout=1.0,
            store_timeout=1.0,
            most=1,
        )

    def spawn(self, *arguments: Any) -> None:
        """A nursery that is closed."""
        raise RuntimeError("closed")

    def complete(self, effect: int, outcome: Outcome) -> None:
        """Note it."""
        self.outcomes[effect] = outcome


def test_plain_functions_are_answered_at_once() -> None:
    """The outcome is there when `start` returns."""
    runner = Runner()
    for number, token in ((1, "good"), (2, "bad")):
        runner.effects.start(Authenticate(number, token, 3, None))
    assert runner.outcomes == {1: Done(ANN), 2: Done(None)}


def test_nothing_is_begun_when_the_server_is_closed() -> None:
    """Then every effect fails, and no function is called."""
    runner = Runner()
    runner.effects.closed = True
    runner.effects.start(Authenticate(1, "good", 3, None))
    assert runner.outcomes == {1: Failed("the server is closed")}


def test_a_task_that_cannot_be_made(caplog: pytest.LogCaptureFixture) -> None:
    """Where no task can run any more, the effect fails, and no coroutine is forgotten."""
    hooks = Hooks()

    @hooks.on_call("f")
    async def function(asked: object) -> None: ...

    runner = Runner(hooks)
    runner.effects.start(CALL)
    assert runner.outcomes == {1: Failed("it cannot run")}
    assert runner.effects.running == 0
    assert "the on_call hook of session 3 cannot run: RuntimeError" in caplog.text


@pytest.mark.parametrize("backend", BACKENDS[:1], indirect=True)
async def test_a_fault_of_the_machine(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and does not end the task with an exception, which on trio would end all of them."""
    server = net.serve_hub(host="127.0.0.1", port=0)
    async with server:

        def fail(effect: int, outcome: Outcome) -> None:
            raise KeyError("a fault")

        async def function() -> None: ...

        server._effects._complete = fail
        server._effects.running = 1
        await server._effects._wait(CALL, function())
    assert "an internal error after the on_call hook of session 3" in caplog.text
