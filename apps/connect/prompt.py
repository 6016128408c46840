"""Talking to a server at a terminal."""

import asyncio
import termios
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import Style

from ...core.errors import LocalProtocolError
from ...transports.exceptions import ConnectionClosed
from .history import open_history
from .messages import parse, shown
from .talking import Talk

__all__ = ["interact"]

STYLE: Final = Style([("sent", "ansigreen"), ("received", "ansicyan"), ("mistake", "ansired")])


async def interact(connection: Talk, *, binary: bool) -> None:
    """Send each line that is typed and show each message, until Ctrl-C, Ctrl-D or the connection's end."""
    session: PromptSession[str] = PromptSession(
        FormattedText([("class:sent", "hex> " if binary else "> ")]),
        style=STYLE,
        history=open_history(),
        # As Ctrl-D. A KeyboardInterrupt would leave the task of the prompt for the loop itself.
        interrupt_exception=EOFError,
    )
    showing = asyncio.create_task(_show(connection, session.app))
    try:
        # Whatever else is printed must not tear the prompt either.
        with _between_prompts(session.input.fileno()), patch_stdout():
            while (line := await _ask(session, showing)) is not None:
                try:
                    if line:
                        await connection.send(parse(line, binary=binary))
                except ConnectionClosed:
                    await asyncio.wait({showing})  # what came before the end
                    break
                except (ValueError, LocalProtocolError) as error:
                    _print(session.app, "mistake", "not sent: ", str(error))
    finally:
        showing.cancel()
        (outcome,) = await asyncio.gather(showing, return_exceptions=True)
    if isinstance(outcome, Exception):
        raise outcome


@contextmanager
def _between_prompts(descriptor: int) -> Generator[None]:
    """Keys that are pressed while no prompt reads them are kept for the next one, and not echoed.

    But Ctrl-C is still a signal then: it is the way out while a message cannot be sent.
    """
    before = termios.tcgetattr(descriptor)
    during = termios.tcgetattr(descriptor)
    during[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
    termios.tcsetattr(descriptor, termios.TCSANOW, during)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(descriptor, termios.TCSANOW, before)


async def _ask(session: PromptSession[str], showing: "asyncio.Task[None]") -> str | None:
    """The next line; None where there is none, or no connection for it."""
    asking = asyncio.create_task(session.prompt_async(set_exception_handler=False))
    try:
        await asyncio.wait({asking, showing}, return_when=asyncio.FIRST_COMPLETED)
        return asking.result() if asking.done() else None
    except EOFError:
        return None
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)  # it leaves the terminal as it was


async def _show(connection: Talk, app: Application[str]) -> None:
    with suppress(ConnectionClosed):
        while True:
            _print(app, "received", "< ", shown(await connection.recv()))


def _print(app: Application[str], kind: str, mark: str, text: str) -> None:
    """Print a line above the prompt, which is drawn anew below it.

    Not by prompt_toolkit's `in_terminal`: it gives the terminal's keys away meanwhile, and is slow.
    """
    if app.is_running:
        app.renderer.erase()
    print_formatted_text(
        app.output, FormattedText([(f"class:{kind}", mark), ("", f"{text}\n")]), STYLE
    )
    app.invalidate()
