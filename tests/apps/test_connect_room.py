"""`hubbub connect --room`: what is said in a room of a hub, at a prompt and in a pipe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubbub.core.rules import DEFAULT_RULES, Rule
from hubbub.transports.asyncio import connect_hub
from support.hub_peers import hub, hub_config, token_auth
from support.net import adapter, url
from support.ran import Run, runner
from support.served_hub import Served
from support.terminals import CTRL_D, ENTER, at_terminal

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "connect.md").read_text()

CONFIG = hub_config(
    rules=(Rule(pattern="plain"), *DEFAULT_RULES), auth=token_auth("ann"), anonymous=True
)


@pytest.fixture
def served() -> Iterator[Served]:
    """A hub that knows ann."""
    with Served(CONFIG).running() as found:
        yield found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs `hubbub` in this process, with some input."""
    return runner(monkeypatch, capfd, tmp_path)


def test_in_a_pipe(served: Served, run: Run) -> None:
    """Each line is said, and what is said comes back as lines with its sender."""
    options = ("--room", "room.lobby", "--token", "token-ann", "--wait", "0.3")
    ran = run("connect", served.url, *options, typed="hello\nGrüße\n".encode())
    assert ran.code == 0
    assert ran.out == "ann: hello\nann: Grüße\n"
    assert ran.errors == f"hubbub: connected to {served.url} as ann\n"
    options = ("--room", "plain", "--name", "bob", "--wait", "0.3")
    assert run("connect", served.url, *options, typed=b"no room\n").out == "no room\n"


def test_what_can_not_be_said(served: Served, run: Run) -> None:
    """A room that cannot be ends it with 1 or 2, and says why."""
    ran = run("connect", served.url, "--room", "room.*", "--name", "bob", typed=b"hello\n")
    assert ran.code == 2
    assert "wildcard" in ran.last
    ran = run("connect", served.url, "--room", "room.lobby", "--token", "no", typed=b"hello\n")
    assert ran.code == 1
    assert "Invalid token" in ran.last


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--room", "r", "--binary"], "neither --binary nor --subprotocol"),
        (["--room", "r", "--subprotocol", "s"], "neither --binary nor --subprotocol"),
        (["--name", "bob"], "--name: is for --room"),
        (["--token-file", "f"], "--token-file: is for --room"),
        (["--room", "r", "--name", "bob", "--token", "t"], "--name: the token says"),
    ],
)
def test_what_makes_no_sense(run: Run, options: list[str], words: str) -> None:
    """It ends with 2 before anything is sent."""
    ran = run("connect", "localhost", *options)
    assert ran.code == 2
    assert words in ran.last


@pytest.mark.slow
async def test_at_a_terminal(tmp_path: Path) -> None:
    """Who comes and what is said stands above the prompt; the hub's refusals do, too."""
    async with (
        hub(adapter("asyncio")) as server,
        at_terminal(
            url(server), "--room", "room.lobby", "--name", "ann", state=tmp_path
        ) as terminal,
    ):
        await terminal.shows(f"hubbub: connected to {url(server)} as ann")
        await terminal.shows("> ")
        async with (
            connect_hub(url(server), name="bob") as bob,
            bob.subscribe("room.lobby") as heard,
        ):
            await terminal.shows("< * bob joined the chat\n")
            await bob.publish("room.lobby", "half \x1b[2J way")
            await terminal.shows(r"< bob: half \x1b[2J way" + "\n")
            terminal.type("hello" + ENTER)
            await terminal.shows("< ann: hello\n")
            assert getattr(await anext(heard), "message", None) == "half \x1b[2J way"
            assert getattr(await anext(heard), "message", None) == "hello"
            await bob.publish("room.lobby", {"n": 1})
            await terminal.shows('< bob: {"n":1}\n')
        await terminal.shows("< * bob left the chat\n")
        await server.disconnect("ann", "enough")
        assert await terminal.ends() == 1
        assert f"hubbub: gave up {url(server)}: closed with 4003 'enough'" in terminal.text


@pytest.mark.slow
async def test_the_command_of_the_docs(tmp_path: Path) -> None:
    """The command of the page joins the room that it names."""
    (command,) = re.findall(r"^\$ hubbub (connect .*--room.*)", PAGE, re.MULTILINE)
    async with hub(adapter("asyncio")) as server:
        arguments = command.replace("localhost:8765", url(server)).split()[1:]
        async with at_terminal(*arguments, state=tmp_path) as terminal:
            await terminal.shows("> ")
            terminal.type("hello" + ENTER)
            await terminal.shows("< ann: hello\n")
            terminal.type(CTRL_D)
            assert await terminal.ends() == 0
