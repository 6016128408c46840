"""`hubbub connect` at a terminal, a real pty: the prompt, what is shown there, and how one leaves."""

from __future__ import annotations

import asyncio
import re
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hubbub.apps.connect.history import state_folder
from hubbub.transports.asyncio import Server, ServerConnection, serve
from support.programs import serving
from support.terminals import CTRL_C, CTRL_D, DEADLINE, ENTER, UP, Terminal, at_terminal


class Peer:
    """A handler that does nothing by itself; a test holds its one connection."""

    def __init__(self) -> None:
        self.server: Server
        self._opened: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()
        self._closed = asyncio.Event()

    async def __call__(self, connection: ServerConnection) -> None:
        """Hold a connection until it is closed."""
        self._opened.set_result(connection)
        await connection.wait_closed()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"ws://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/"

    async def connection(self) -> ServerConnection:
        """The connection."""
        return await asyncio.wait_for(asyncio.shield(self._opened), DEADLINE)

    async def hears(self) -> str | bytes:
        """The next message."""
        return await asyncio.wait_for((await self.connection()).recv(), DEADLINE)


@asynccontextmanager
async def peer() -> AsyncIterator[Peer]:
    """Serve a `Peer`."""
    made = Peer()
    async with serve(made, "127.0.0.1", 0) as made.server:
        yield made


async def _leave(terminal: Terminal) -> None:
    terminal.type(CTRL_D)
    assert await terminal.ends() == 0


# Talking.


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["asyncio", "trio"])
async def test_a_conversation(transport: str, tmp_path: Path) -> None:
    """What is typed is sent on Enter, what comes is shown with a mark of its own."""
    async with (
        serving("echo", "--transport", transport) as program,
        at_terminal(program.url, state=tmp_path) as terminal,
    ):
        before = terminal.modes
        await terminal.shows(f"hubbub: connected to {program.url}; Ctrl-D ends\n")
        for words in ("hello", "Grüße, 世界"):
            await terminal.shows("> ")
            terminal.type(words + ENTER)
            await terminal.shows(f"> {words}\n" if words == "hello" else "\n")
            await terminal.shows(f"< {words}\n")
        await _leave(terminal)
        await terminal.shows("hubbub: closed\n")
        assert terminal.modes == before


async def test_the_command_of_the_docs(tmp_path: Path) -> None:
    """The first command of the page begins a conversation with the server that it names."""
    command = "hubbub connect localhost:8765"
    async with serving("chat") as program:
        here = command.replace("8765", str(program.port)).split()
        assert here[:2] == ["hubbub", "connect"]
        async with at_terminal(*here[2:], state=tmp_path) as terminal:
            await terminal.shows("> ")
            terminal.type("hello" + ENTER)
            await terminal.shows('"message":"hello"')
            await _leave(terminal)


async def test_a_message_while_typing(tmp_path: Path) -> None:
    """What comes meanwhile stands above the prompt, which keeps what is typed."""
    async with peer() as server, at_terminal(server.url, state=tmp_path) as terminal:
        await terminal.shows("> ")
        terminal.type("half a ")
        await terminal.shows("half a")
        await (await server.connection()).send("in between")
        await terminal.shows("< in between\n> half a")
        terminal.type("line" + ENTER)
        assert await server.hears() == "half a line"
        await _leave(terminal)


async def test_an_empty_line(tmp_path: Path) -> None:
    """Enter alone sends nothing."""
    async with peer() as server, at_terminal(server.url, state=tmp_path) as terminal:
        await terminal.shows("> ")
        terminal.type(ENTER + ENTER + "x" + ENTER)
        assert await server.hears() == "x"
        await _leave(terminal)


@pytest.mark.slow
async def test_a_flood(tmp_path: Path) -> None:
    """Thousands of messages at once are all shown, in their order."""
    async with peer() as server, at_terminal(server.url, state=tmp_path) as terminal:
        await terminal.shows("> ")
        for number in range(3000):
            await (await server.connection()).send(f"number {number};")
        await terminal.shows("< number 2999;\n")
        shown = re.findall(r"< number (\d+);\n", terminal.text)
        assert shown == [str(number) for number in range(3000)]
        await _leave(terminal)


async def test_what_a_terminal_must_not_be_told(tmp_path: Path) -> None:
    """Control characters of the server are shown as text, in messages and in the reason it closes with."""
    hostile = "\x1b]0;title\x07\x1b[2J\r\n< forged\t\u202eabc\x9b1m\x7f"
    escaped = r"\x1b]0;title\x07\x1b[2J\r\n< forged\t\u202eabc\x9b1m\x7f"
    async with peer() as server, at_terminal(server.url, state=tmp_path) as terminal:
        await terminal.shows("> ")
        await (await server.connection()).send(hostile)
        await terminal.shows(f"< {escaped}\n")
        await (await server.connection()).close(4000, "bye\x1b]0;title\x07")
        assert await terminal.ends() == 1
        assert r"bye\x1b]0;title\x07" in terminal.text
        for forbidden in ("\x1b]0", "\x07", "\x1b[2J", "\u202e", "\x9b", "\n< forged"):
            assert forbidden not in terminal.raw


@pytest.mark.slow
async def test_piped_input_at_a_terminal(tmp_path: Path) -> None:
    """Without a prompt too, a terminal gets no control characters."""
    async with serving("echo") as program:
        typed = b"\x1b[31mred\n"
        async with at_terminal(program.url, state=tmp_path, typed=typed) as terminal:
            assert await terminal.ends() == 0
            assert "\n\\x1b[31mred\n" in terminal.text
            assert "\x1b" not in terminal.raw
    assert not (tmp_path / "hubbub").exists()  # no history either


async def test_binary(tmp_path: Path) -> None:
    """Hex digits are sent as bytes; what is none is refused; bytes are shown as hex with their number."""
    async with peer() as server, at_terminal(server.url, "--binary", state=tmp_path) as terminal:
        await terminal.shows("hex> ")
        terminal.type("00 fg" + ENTER)
        await terminal.shows("not sent: not hex")
        await terminal.shows("hex> ")
        terminal.type("00 ff" + ENTER)
        assert await server.hears() == b"\x00\xff"
        connection = await server.connection()
        await connection.send(b"\x01\xab")
        await terminal.shows("< [2 bytes] 01 ab\n")
        await connection.send(b"")
        await terminal.shows("< [0 bytes]\n")
        await connection.send(b"\x07")
        await terminal.shows("< [1 byte] 07\n")
        await connection.send(bytes(1000))
        shown = await terminal.shows(" … and 744 more\n")
        assert shown.count(" 00") == 256
        await connection.send("text")
        await terminal.shows("< text\n")
        await _leave(terminal)


# Leaving.


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D], ids=["Ctrl-C", "Ctrl-D"])
async def test_leaving(key: str, tmp_path: Path) -> None:
    """Both close with 1000 and end with 0; the terminal is as it was."""
    async with peer() as server, at_terminal(server.url, state=tmp_path) as terminal:
        before = terminal.modes
        await terminal.shows("> ")
        assert terminal.modes != before
        terminal.type(key)
        assert await terminal.ends() == 0
        assert (await server.connection()).close_code == 1000
        assert terminal.modes == before
        assert terminal.text.endswith("hubbub: closed\n")


@pytest.mark.parametrize(("code", "exit_code"), [(1001, 0), (1011, 1)])
async def test_the_server_leaves(code: int, exit_code: int, tmp_path: Path) -> None:
    """The prompt ends by itself and says why; the terminal is as it was."""
    async with peer() as server, at_terminal(server.url, state=tmp_path) as terminal:
        before = terminal.modes
        await terminal.shows("> ")
        terminal.type("unfinished")
        await terminal.shows("unfinished")
        connection = await server.connection()
        await connection.send("the last word")
        await connection.close(code, "enough")
        assert await terminal.ends() == exit_code
        await terminal.shows("< the last word\n")
        await terminal.shows(f"\nhubbub: {server.url} closed the connection: {code} ")
        assert terminal.text.endswith(" 'enough'\n")
        assert terminal.modes == before


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 0), ("SIGTERM", 143)])
async def test_a_signal(name: str, code: int, tmp_path: Path) -> None:
    """It ends the prompt as Ctrl-C does, with a Close frame; the terminal is as it was."""
    async with peer() as server, at_terminal(server.url, state=tmp_path) as terminal:
        before = terminal.modes
        await terminal.shows("> ")
        terminal.process.send_signal(getattr(signal, name))
        assert await terminal.ends() == code
        assert (await server.connection()).close_code == 1000
        assert terminal.modes == before


@pytest.mark.slow
async def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    """It is said what is waited for, and Ctrl-C ends that at once."""
    async with (
        serving("echo") as program,
        at_terminal(program.url, state=tmp_path) as terminal,
    ):
        before = terminal.modes
        await terminal.shows("> ")
        program.process.send_signal(signal.SIGSTOP)
        terminal.type(CTRL_D)
        await terminal.shows(f"hubbub: waiting for {program.url} to answer our Close frame")
        assert terminal.modes == before
        terminal.type(CTRL_C)
        assert await terminal.ends() == 130
        assert "Traceback" not in terminal.text


# The history.


@pytest.mark.slow
async def test_the_history(tmp_path: Path) -> None:
    """Lines of earlier sessions come back with Up; the file is for its owner only."""
    async with serving("echo") as program:
        async with at_terminal(program.url, state=tmp_path) as terminal:
            await terminal.shows("> ")
            terminal.type("remember me" + ENTER)
            await terminal.shows("< remember me\n")
            await _leave(terminal)
        file = tmp_path / "hubbub" / "history"
        assert "+remember me\n" in file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        async with at_terminal(program.url, state=tmp_path) as terminal:
            await terminal.shows("> ")
            terminal.type(UP)
            await terminal.shows("remember me")
            terminal.type(", too" + ENTER)
            await terminal.shows("< remember me, too\n")
            await _leave(terminal)


@pytest.mark.parametrize("what", ["folder", "file"])
async def test_a_history_that_cannot_be_kept(what: str, tmp_path: Path) -> None:
    """It is no reason to fail: the lines of this session come back all the same."""
    if what == "folder":
        (tmp_path / "hubbub").touch()
    else:
        (tmp_path / "hubbub" / "history").mkdir(parents=True)
    async with peer() as server, at_terminal(server.url, state=tmp_path) as terminal:
        await terminal.shows("> ")
        terminal.type("once" + ENTER)
        assert await server.hears() == "once"
        await terminal.shows("> ")
        terminal.type(UP)
        await terminal.shows("once")
        terminal.type(ENTER)
        assert await server.hears() == "once"
        await _leave(terminal)


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "/home/me/.local/state/hubbub"),
        ("linux", {"XDG_STATE_HOME": "/state"}, "/state/hubbub"),
        ("linux", {"XDG_STATE_HOME": "relative"}, "/home/me/.local/state/hubbub"),
        ("darwin", {"XDG_STATE_HOME": "/state"}, "/home/me/Library/Application Support/hubbub"),
    ],
)
def test_where_the_history_is(
    platform: str, environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is where the platform keeps programs' state."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    for name, value in {"HOME": "/home/me", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert state_folder() == Path(expected)
