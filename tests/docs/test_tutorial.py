"""The six programs under docs/examples/tutorial on each loop, as `websockets` clients see them."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import socket
import struct
import sys
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from support.programs import STARTING, Program, running
from support.tree import ROOT

TUTORIAL = ROOT / "docs" / "examples" / "tutorial"

# -u: a line is there as soon as it is printed.
PYTHON = (sys.executable, "-u", "-W", "error")

each_loop = pytest.mark.parametrize("loop", ["asyncio", "trio"])


def serving(loop: str, name: str, *arguments: str) -> AbstractAsyncContextManager[Program]:
    """Run a program on a free port."""
    return running(str(TUTORIAL / loop / f"{name}.py"), "0", *arguments, command=PYTHON)


async def printed(program: Program) -> str:
    """The next line that it prints."""
    assert program.process.stdout is not None
    line = await asyncio.wait_for(program.process.stdout.readline(), STARTING)
    return line.decode().rstrip("\n")


async def heard(client: ClientConnection) -> dict[str, Any]:
    """The next message, without the time in it."""
    message: dict[str, Any] = json.loads(await client.recv())
    message.pop("timestamp", None)
    return message


async def ask(client: ClientConnection, **fields: object) -> dict[str, Any]:
    """Send an object; the answer."""
    await client.send(json.dumps(fields))
    return await heard(client)


async def end(client: ClientConnection) -> tuple[int | None, str | None]:
    """Wait until the server has closed; its code and reason."""
    with suppress(ConnectionClosed):
        while True:
            await client.recv()
    return client.close_code, client.close_reason


def reset(client: ClientConnection) -> None:
    """Vanish at once (RST)."""
    sock = client.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.transport.abort()


async def stops(program: Program, *clients: ClientConnection) -> None:
    """Ctrl-C closes these clients with 1001, and the program ends with 0 and without a traceback."""
    program.process.send_signal(signal.SIGINT)
    for client in clients:
        assert await end(client) == (1001, "")
    assert await program.ends() == 0
    assert "Traceback" not in program.log


@each_loop
async def test_echo_server(loop: str) -> None:
    """Each message comes back with its kind, too long ones close with 1009, others go on."""
    async with serving(loop, "echo_server") as program, program.client() as client:
        for message, answer in (
            ("hello", "Echo: hello"),
            ("", "Echo: "),
            ("żółw 🐢", "Echo: żółw 🐢"),
            (b"\x00\xff", b"Echo: \x00\xff"),
        ):
            await client.send(message)
            assert await client.recv() == answer
            assert await printed(program) == f"received {message!r}"
        async with program.client() as other:
            await other.send("x" * (2**20 + 1))
            assert (await end(other))[0] == 1009
        async with program.client() as other:
            await other.send("x")
            assert await other.recv() == "Echo: x"
            reset(other)
        await client.send("still there")
        assert await client.recv() == "Echo: still there"
        await stops(program, client)
        assert program.log == ""


@each_loop
async def test_client(loop: str) -> None:
    """It greets, sends what is typed, prints what comes, and leaves at the end of the input."""
    async with serving(loop, "echo_server") as server:
        client = await asyncio.create_subprocess_exec(
            *PYTHON,
            TUTORIAL / loop / "client.py",
            str(server.port),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        talk = Program(client, "", server.errors)
        try:
            assert await printed(talk) == "Connected. Type messages; Ctrl-D ends."
            assert await printed(talk) == "Server says: Echo: Hello from hubbub!"
            assert client.stdin is not None
            for line in ("hello", "", "żółw"):
                client.stdin.write(f"{line}\n".encode())
                assert await printed(talk) == f"Server says: Echo: {line}"
            client.stdin.close()
            assert await talk.ends() == 0
            assert await talk.rest_of_output() == ""
        finally:
            if client.returncode is None:
                client.kill()
                await client.wait()


@each_loop
@pytest.mark.parametrize("ending", ["Ctrl-C", "the server's"])
async def test_client_at_a_terminal(loop: str, ending: str) -> None:
    """While it waits for a line, Ctrl-C and the server's end both end it at once, with 0."""
    async with serving(loop, "echo_server") as server:
        ours, theirs = pty.openpty()
        try:
            client = await asyncio.create_subprocess_exec(
                *PYTHON,
                TUTORIAL / loop / "client.py",
                str(server.port),
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
            )
        finally:
            os.close(theirs)
        try:
            answer = "Server says: Echo: Hello from hubbub!"
            await asyncio.wait_for(asyncio.to_thread(read_until, ours, answer), STARTING)
            ended = client if ending == "Ctrl-C" else server.process
            ended.send_signal(signal.SIGINT)
            assert await Program(client, "", server.errors).ends() == 0
            rest = await asyncio.to_thread(read_until, ours, None)
            assert "Error" not in rest
        finally:
            if client.returncode is None:
                client.kill()
                await client.wait()
            os.close(ours)


def read_until(terminal: int, text: str | None) -> str:
    """What a program shows up to a text, or up to its end."""
    shown = b""
    with suppress(OSError):  # how a terminal says that there will be no more
        while text is None or text.encode() not in shown:
            shown += os.read(terminal, 65536)
    return shown.decode()


@each_loop
async def test_chat_server(loop: str) -> None:
    """What one says all hear, and who comes and goes, in whatever way, is announced to the rest."""
    async with serving(loop, "chat_server") as program, AsyncExitStack() as stack:
        one = await stack.enter_async_context(program.client())
        assert await printed(program) == "User-1 joined; 1 present"
        two = await stack.enter_async_context(program.client())
        assert await heard(one) == {"type": "system", "message": "User-2 joined the chat"}
        three = await stack.enter_async_context(program.client())
        for member in (one, two):
            joined = {"type": "system", "message": "User-3 joined the chat"}
            assert await heard(member) == joined
        await two.send("hi all")
        for member in (one, two, three):
            said = {"type": "chat", "sender": "User-2", "message": "hi all"}
            assert await heard(member) == said
        await two.close()
        for member in (one, three):
            assert await heard(member) == {"type": "system", "message": "User-2 left the chat"}
        reset(three)
        assert await heard(one) == {"type": "system", "message": "User-3 left the chat"}
        four = await stack.enter_async_context(program.client())
        assert await heard(one) == {"type": "system", "message": "User-4 joined the chat"}
        await four.send(b"binary")
        assert await end(four) == (1003, "text only")
        assert await heard(one) == {"type": "system", "message": "User-4 left the chat"}
        await stops(program, one)
        lines = (await program.rest_of_output()).splitlines()
        assert lines[-1] == "User-1 left; 0 present"


@each_loop
async def test_robust_server(loop: str) -> None:
    """Long messages get an answer, longer ones 1009, and each bad end is logged with its reason."""
    async with serving(loop, "robust_server") as program, program.client() as client:
        for message, answer in (
            ("hello", "Processed: hello"),
            ("x" * 10_000, "Processed: " + "x" * 10_000),
            ("x" * 10_001, "Error: a message may have at most 10000 characters"),
            ("again", "Processed: again"),
        ):
            await client.send(message)
            assert await client.recv() == answer
        async with program.client() as other:
            await other.send("x" * (2**20 + 1))
            assert (await end(other))[0] == 1009
        async with program.client() as other:
            await other.close(4000, "mine")
        async with program.client() as other:
            await other.close()
        async with program.client() as other:
            reset(other)
        await client.send("still there")
        assert await client.recv() == "Processed: still there"
        await stops(program, client)
        log = program.log.splitlines()
        warnings = [line for line in log if line.startswith("WARNING:robust:")]
        assert len(warnings) == 3
        for text in ("1009 (message too big)", "4000 'mine'", "lost"):
            assert sum(text in line for line in warnings) == 1, warnings
        assert log[-1] == "INFO:robust:every connection is closed"


@each_loop
async def test_robust_server_on_sigterm(loop: str) -> None:
    """SIGTERM, as a supervisor sends it, closes with 1001 too, and ends with 0."""
    async with serving(loop, "robust_server") as program, program.client() as client:
        program.process.send_signal(signal.SIGTERM)
        assert await end(client) == (1001, "")
        assert await program.ends() == 0


@each_loop
async def test_auth_server(loop: str) -> None:
    """Who has a token is let in by name, any other first message ends in 1008, whatever it is."""
    async with serving(loop, "auth_server") as program, AsyncExitStack() as stack:
        alice = await stack.enter_async_context(program.client())
        good = {"type": "auth", "status": "ok", "username": "alice"}
        assert await ask(alice, token="demo-token-of-alice") == good
        assert await printed(program) == "alice is authenticated"
        await alice.send("hello")
        assert await alice.recv() == "[alice] hello"
        wrong: list[str | bytes] = [
            '{"token": "no"}',
            '{"token": 1}',
            '{"token": "ż"}',
            '{"token": "\\ud800"}',
            "{}",
            "[]",
            "no JSON",
            b"\xff",
        ]
        for first in wrong:
            async with program.client() as client:
                await client.send(first)
                bad = {"type": "auth", "status": "error", "message": "Invalid token"}
                assert await heard(client) == bad
                assert await end(client) == (1008, "Authentication failed")
        async with program.client():
            pass  # leaves before it says who it is
        bob = await stack.enter_async_context(program.client())
        await bob.send(json.dumps({"token": "demo-token-of-bob"}).encode())
        assert (await heard(bob))["username"] == "bob"
        silent = await stack.enter_async_context(program.client())
        await stops(program, alice, bob, silent)
        assert program.log == ""


@pytest.mark.slow
@each_loop
async def test_auth_server_waits_no_longer(loop: str) -> None:
    """Who says nothing for 5 s is told, and closed with 1008."""
    async with serving(loop, "auth_server") as program, program.client() as client:
        began = asyncio.get_running_loop().time()
        late = {"type": "auth", "status": "error", "message": "Authentication timeout"}
        assert await heard(client) == late
        assert await end(client) == (1008, "Authentication failed")
        assert asyncio.get_running_loop().time() - began > 4.5


@each_loop
async def test_notification_server(loop: str) -> None:
    """What is published on a topic reaches its subscribers, who are counted, and no one else."""
    async with serving(loop, "notification_server") as program, AsyncExitStack() as stack:
        one, two, other = [await stack.enter_async_context(program.client()) for _ in range(3)]

        async def publish(topic: str, recipients: int) -> None:
            told = await ask(other, action="publish", topic=topic, message={"about": topic})
            assert told == {"type": "published", "topic": topic, "recipients": recipients}

        def news(topic: str) -> dict[str, Any]:
            return {"type": "notification", "topic": topic, "message": {"about": topic}}

        names = ["news", "sport"]
        subscribed = {"type": "subscribed", "topics": names}
        assert await ask(one, action="subscribe", topics=names) == subscribed
        assert (await ask(two, action="subscribe", topics=["news"]))["topics"] == ["news"]
        await publish("news", 2)
        assert await heard(one) == await heard(two) == news("news")
        await publish("sport", 1)
        assert await heard(one) == news("sport")
        await publish("weather", 0)
        # One who listens too hears itself, and then how many did.
        await one.send(json.dumps({"action": "publish", "topic": "sport", "message": "me"}))
        assert (await heard(one))["message"] == "me"
        assert await heard(one) == {"type": "published", "topic": "sport", "recipients": 1}
        for wrong in ("no JSON", "[]", '{"action": "dance"}', '{"action": "subscribe"}'):
            await other.send(wrong)
            assert (await heard(other))["type"] == "error"
        assert (await ask(other, action="subscribe", topics=[[]]))["type"] == "error"
        await two.close()
        await publish("news", 1)
        assert await heard(one) == news("news")
        await stops(program, one, other)


@each_loop
async def test_notification_server_has_a_heartbeat(loop: str) -> None:
    """Subscribers of the topic "system" hear of it again and again."""
    async with serving(loop, "notification_server", "0.05") as program, program.client() as client:
        assert (await ask(client, action="subscribe", topics=["system"]))["type"] == "subscribed"
        for _ in range(3):
            beat = {"type": "notification", "topic": "system", "message": "heartbeat: all is well"}
            assert await heard(client) == beat
        await stops(program, client)
