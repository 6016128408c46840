"""`hubbub connect` in a pipe: what it sends, prints and says, and how it ends."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hubbub.core.http import Response
from hubbub.transports.asyncio import Server, ServerConnection, serve
from support.certificates import Certificate
from support.loops import until
from support.programs import HUBBUB, finished, serving
from support.wire import accept_for, response

DEADLINE = 25.0

EVER = ("--wait", "inf")
"""For a server that closes: so no test depends on how fast the machine is."""


@dataclass
class Ended:
    """A program that has ended."""

    code: int
    out: bytes
    errors: str

    @property
    def last(self) -> str:
        """What it said at last."""
        return self.errors.splitlines()[-1]


@asynccontextmanager
async def started(*arguments: str, **descriptors: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `hubbub connect`, with pipes unless told otherwise."""
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE)
    process = await asyncio.create_subprocess_exec(
        *HUBBUB, "connect", *arguments, **(pipes | descriptors)
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def connected(*arguments: str, typed: bytes = b"", **descriptors: Any) -> Ended:
    """Run `hubbub connect` to its end."""
    async with started(*arguments, **descriptors) as process, asyncio.timeout(DEADLINE):
        out, errors = await process.communicate(typed if process.stdin is not None else None)
        assert process.returncode is not None
        return Ended(process.returncode, out, errors.decode())


@dataclass
class Peer:
    """A handler that keeps what it gets, sends it back, and does what it is told to."""

    got: list[str | bytes] = field(default_factory=list)
    seen: list[ServerConnection] = field(default_factory=list)
    server: Server | None = None

    async def __call__(self, connection: ServerConnection) -> None:
        """Handle a connection."""
        self.seen.append(connection)
        async for message in connection:
            self.got.append(message)
            match message.split() if isinstance(message, str) else []:
                case ["close"]:
                    return
                case ["close", code]:
                    await connection.close(int(code), "so it is")
                case ["send", what]:
                    await connection.send(bytes.fromhex(what).decode())
                case _:
                    await connection.send(message)

    @property
    def url(self) -> str:
        """Where it is."""
        assert self.server is not None
        return url_of(self.server)

    @property
    def closed_with(self) -> int | None:
        """The code of the only client's Close frame."""
        (connection,) = self.seen
        return connection.close_code


@asynccontextmanager
async def peer(**options: Any) -> AsyncIterator[Peer]:
    """Serve a `Peer`."""
    made = Peer()
    async with serve(made, "127.0.0.1", 0, **options) as made.server:
        yield made


@asynccontextmanager
async def answering(
    answer: bytes, *, accept: bool = True, reset: bool = False, hold: bool = False
) -> AsyncIterator[str]:
    """A server of raw bytes, by its URL: it answers the request, then ends the stream.

    Args:
        answer: behind the head of a 101 response.
        accept: whether there is such a head.
        reset: end the connection with RST, once the client sent something.
        hold: don't end it before the block ends.
    """
    done = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            (key,) = re.findall("sec-websocket-key: (.*)\r\n", head, re.IGNORECASE)
            writer.write((response(accept=accept_for(key.encode())) if accept else b"") + answer)
            await writer.drain()
            if hold:
                await done.wait()
            if reset:
                await reader.read(1)
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger
                )
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        done.set()


def url_of(server: Server) -> str:
    """Where it is."""
    return f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@contextmanager
def opened(path: str, flags: int) -> Iterator[int]:
    """A descriptor for a program."""
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


# What is sent and printed.


async def test_lines() -> None:
    """Each line is one message and each message one line; standard output has nothing else."""
    async with peer() as server:
        typed = "one\n\n  Grüße 世界  \r\nclose".encode()
        ended = await connected(server.url, *EVER, typed=typed)
        assert server.got == ["one", "", "  Grüße 世界  ", "close"]
        assert ended.out.decode() == "one\n\n  Grüße 世界  \n"
        assert ended.code == 0
        assert ended.errors.splitlines() == [
            f"hubbub: connected to {server.url}",
            f"hubbub: {server.url} closed the connection: 1000 (normal closure)",
        ]


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["asyncio", "trio"])
async def test_with_our_servers(transport: str, tmp_path: Path) -> None:
    """Ten thousand lines of a file come back in their order, from a server of either kind."""
    lines = tmp_path / "lines"
    lines.write_text("".join(f"{number}\n" for number in range(10_000)))
    expected = lines.read_bytes()
    async with serving("echo", "--transport", transport) as program:
        with opened(str(lines), os.O_RDONLY) as source:
            async with started(program.url, *EVER, stdin=source) as process:
                assert process.stdout is not None
                assert await process.stdout.readexactly(len(expected)) == expected
                program.process.terminate()
                assert await process.stdout.read() == b""
                assert await process.wait() == 0


async def test_text_is_printed_as_it_came() -> None:
    """In a pipe nothing is escaped, neither control characters nor line breaks."""
    text = "\x1b[31mred\x07\r\nA \u202e \x00"
    typed = f"send {text.encode().hex()}\nclose\n".encode()
    async with peer() as server:
        ended = await connected(server.url, *EVER, typed=typed)
    assert ended.out == f"{text}\n".encode()


async def test_binary() -> None:
    """With --binary lines are hex digits; bytes that come are printed so, text as text."""

    async def answer(connection: ServerConnection) -> None:
        got = [await connection.recv() for _ in range(3)]
        assert got == [b"\x00\xff\x7a", b"", b"hello"]
        await connection.send(bytes(range(256)) * 100)
        await connection.send("text")

    async with serve(answer, "127.0.0.1", 0) as server:
        url = url_of(server)
        ended = await connected(url, "--binary", *EVER, typed=b"00 fF7a\n\n68656c6c6f\n")
    assert ended.code == 0
    assert ended.out.decode() == f"{(bytes(range(256)) * 100).hex()}\ntext\n"


@pytest.mark.parametrize(
    ("options", "typed", "word"),
    [
        (["--binary"], b"00\n0g\n01\n", "not hex"),
        (["--binary"], b"00\n000\n01\n", "not hex"),
        ([], b"00\n\xff\n01\n", "not UTF-8"),
    ],
)
async def test_a_line_that_cannot_be_sent(options: list[str], typed: bytes, word: str) -> None:
    """What came before it is sent, what comes behind it is not; the exit code is 2, at once."""
    async with peer() as server:
        ended = await connected(server.url, *options, *EVER, typed=typed)
        assert ended.code == 2
        assert "line 2 of the input: " + word in ended.last
        assert len(server.got) == 1
        assert server.closed_with == 1000


async def test_a_line_without_end() -> None:
    """A line that is longer than anything that can be sent is refused, not collected."""
    with opened("/dev/zero", os.O_RDONLY) as source:
        async with peer() as server:
            ended = await connected(server.url, *EVER, stdin=source)
            assert ended.code == 2
            assert "line 1 of the input is longer than" in ended.last
            assert server.got == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "printed"),
    [
        (
            r"printf 'one\ntwo\n' | hubbub connect localhost:8765 > answers.txt",
            "welcome\none\ntwo\n",
        ),
        ("hubbub connect localhost:8765 --wait inf < /dev/null > feed.txt", "welcome\n"),
        (
            r"printf '00 ff 7a\n' | hubbub connect localhost:8765 --binary",
            "welcome\n00ff7a\n",
        ),
        (
            "hubbub connect wss://localhost:8765/feed --ca ca.pem --header 'X-Token: TOKEN'",
            "welcome\nTOKEN\n",
        ),
    ],
)
async def test_a_command_of_the_docs(
    command: str, printed: str, certificate: Certificate, tmp_path: Path
) -> None:
    """The commands of the page print what comes from the server that they name."""

    async def welcome(connection: ServerConnection) -> None:
        await connection.send("welcome")
        if "x-token" in connection.request.headers:
            await connection.send(connection.request.headers["x-token"])
        if "inf" not in command:
            async for message in connection:
                await connection.send(message)

    context = certificate.server_context() if "wss" in command else None
    shutil.copyfile(certificate.certificate, tmp_path / "ca.pem")
    async with serve(welcome, "localhost", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_shell(
            command.replace("8765", str(port)),
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{Path(HUBBUB[0]).parent}:{os.environ['PATH']}"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await asyncio.wait_for(process.communicate(), DEADLINE)
        assert process.returncode == 0
    for name in re.findall(r"> (\S+)", command):
        out += (tmp_path / name).read_bytes()
    assert out.decode() == printed


# When it ends.


@pytest.mark.slow
async def test_a_quiet_server() -> None:
    """After the input's end it waits as long as it was told to for the next message, no longer."""

    codes: list[int | None] = []

    async def silent(connection: ServerConnection) -> None:
        await connection.wait_closed()
        codes.append(connection.close_code)

    async with serve(silent, "127.0.0.1", 0) as server:
        url = url_of(server)
        for wait in ("0", "0.2"):
            ended = await connected(url, "--wait", wait, typed=b"anybody?\n")
            assert (ended.code, ended.out) == (0, b"")
            assert ended.last == "hubbub: closed"
    assert codes == [1000, 1000]


async def test_waiting_for_ever() -> None:
    """With `--wait inf` only the server ends it, however long after the input."""

    async def feed(connection: ServerConnection) -> None:
        async for _ in connection:
            pass

    async with serve(feed, "127.0.0.1", 0) as server:
        url = url_of(server)
        async with started(url, *EVER, stdin=asyncio.subprocess.DEVNULL) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert b"connected" in await process.stderr.readline()
            (connection,) = server.connections
            for number in range(3):
                await connection.send(f"number {number}")
                assert await process.stdout.readline() == f"number {number}\n".encode()
            await connection.close()
            assert await process.wait() == 0


async def test_input_that_goes_on_when_the_server_closes() -> None:
    """It ends though the input has not."""
    async with peer() as server, started(server.url) as process:
        assert process.stdin is not None
        process.stdin.write(b"close\n")
        assert await asyncio.wait_for(process.wait(), DEADLINE) == 0


@pytest.mark.parametrize(
    ("code", "exit_code", "words"),
    [
        (1000, 0, "1000 (normal closure) 'so it is'"),
        (1001, 0, "1001 (going away) 'so it is'"),
        (1011, 1, "1011 (internal error) 'so it is'"),
        (4001, 1, "4001 (token expired) 'so it is'"),
        (4444, 1, "4444 'so it is'"),
    ],
)
async def test_the_servers_code(code: int, exit_code: int, words: str) -> None:
    """The exit code is 0 for 1000 and 1001, else 1; the last line has the code and the reason."""
    async with peer() as server:
        ended = await connected(server.url, *EVER, typed=f"a\nclose {code}\nb\n".encode())
        assert (ended.code, ended.out) == (exit_code, b"a\n")
        assert ended.last == f"hubbub: {server.url} closed the connection: {words}"


@pytest.mark.slow
async def test_a_message_that_is_too_long() -> None:
    """It fails the connection with 1009, which is told; --max-size lets it through."""
    async with peer() as server:
        typed = b"x" * 1001 + b"\n"
        ended = await connected(server.url, *EVER, "--max-size", "1000", typed=typed)
        assert (ended.code, ended.out) == (1, b"")
        assert f"{server.url} with 1009 (message too big)" in ended.last
        typed += b"close\n"
        ended = await connected(server.url, *EVER, "--max-size", "1001", typed=typed)
        assert (ended.code, ended.out) == (0, b"x" * 1001 + b"\n")


async def test_a_connection_that_is_lost() -> None:
    """One line says which, and the exit code is 1."""

    async with answering(b"", reset=True) as url:
        ended = await connected(url, *EVER, typed=b"x\n")
    assert (ended.code, ended.out) == (1, b"")
    assert ended.last.startswith(f"hubbub: lost the connection to {url}: ")


async def test_nobody_reads_on() -> None:
    """Where the reader of its output has gone, it closes with 1000 and ends with 0."""
    read, write = os.pipe()
    async with peer() as server, started(server.url, *EVER, stdout=write) as process:
        os.close(write)
        assert process.stdin is not None
        process.stdin.write(b"one\n")
        assert await asyncio.to_thread(os.read, read, 100) == b"one\n"
        os.close(read)
        process.stdin.write(b"two\n")
        assert await asyncio.wait_for(process.wait(), DEADLINE) == 0
        assert server.closed_with == 1000


async def test_output_that_cannot_be_written() -> None:
    """A full disk is told in one line, with exit code 1."""
    with opened("/dev/full", os.O_WRONLY) as full:
        async with peer() as server:
            ended = await connected(server.url, *EVER, typed=b"x\n", stdout=full)
            assert ended.code == 1
            assert "cannot write to standard output" in ended.last


@pytest.mark.parametrize(
    ("closed", "code", "words"),
    [("<&-", 0, "closed the connection: 1000"), (">&-", 1, "standard output is closed")],
)
async def test_a_stream_that_is_closed(closed: str, code: int, words: str) -> None:
    """No input has ended; without an output nothing is begun."""

    async def greet(connection: ServerConnection) -> None:
        await connection.send("hello")

    async with serve(greet, "127.0.0.1", 0) as server:
        process = await asyncio.create_subprocess_shell(
            f"{HUBBUB[0]} connect {url_of(server)} --wait inf {closed}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await asyncio.wait_for(process.communicate(), DEADLINE)
    assert (process.returncode, out) == (code, b"" if code else b"hello\n")
    assert words in errors.decode()


async def test_a_reader_that_takes_its_time() -> None:
    """While nobody reads its output it still answers pings, and nothing is lost."""
    latencies: list[float] = []
    text = "x" * 500_000

    async def talk(connection: ServerConnection) -> None:
        await connection.send(text)
        latencies.append(await (await connection.ping()))
        assert await connection.recv() == "go on"

    async with serve(talk, "127.0.0.1", 0) as server:
        url = url_of(server)
        read, write = os.pipe()  # asyncio's own would read ahead
        async with started(url, *EVER, stdout=write) as process:
            os.close(write)
            assert process.stdin is not None
            async with asyncio.timeout(DEADLINE):
                await until(lambda: bool(latencies))
                process.stdin.write(b"go on\n")
                with os.fdopen(read, "rb") as output:
                    assert await asyncio.to_thread(output.read) == f"{text}\n".encode()
                assert await process.wait() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=str)
async def test_a_signal(number: int, code: int) -> None:
    """It cuts the work short, with a Close frame of 1000; the exit code is the shells' for it."""
    async with peer() as server, started(server.url) as process:
        assert process.stderr is not None
        assert b"connected" in await process.stderr.readline()
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), DEADLINE) == code
        assert server.closed_with == 1000


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=str)
async def test_a_signal_before_it_is_connected(number: int, code: int) -> None:
    """It ends at once, without a word."""
    with socket.create_server(("127.0.0.1", 0)) as sock:  # it never answers
        sock.setblocking(False)
        async with started(f"127.0.0.1:{sock.getsockname()[1]}") as process:
            accepted, _ = await asyncio.wait_for(
                asyncio.get_running_loop().sock_accept(sock), DEADLINE
            )
            process.send_signal(number)
            _, errors = await asyncio.wait_for(process.communicate(), DEADLINE)
            assert process.returncode == code
            assert errors.strip() == b""
            accepted.close()


@pytest.mark.slow
async def test_a_second_signal_while_it_closes() -> None:
    """A server that does not answer the Close frame is waited for, until a second signal."""
    async with answering(b"", hold=True) as url, started(url) as process:
        assert process.stderr is not None
        assert b"connected" in await process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert b"waiting for" in await asyncio.wait_for(process.stderr.readline(), DEADLINE)
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), DEADLINE) == 130


# The request.


@pytest.mark.slow
async def test_headers_origin_and_subprotocols() -> None:
    """They are in the request in their order, and what was agreed on is told."""
    options = ["--header", "X-One: 1", "--header", "x-two:  a: b ", "--header", "X-One: 2"]
    options += ["--origin", "https://example.com", "--subprotocol", "b", "--subprotocol", "a"]
    async with peer(subprotocols=["a", "b"], origins=["https://example.com"]) as server:
        ended = await connected(server.url, *options, *EVER, typed=b"close\n")
        assert ended.errors.startswith(f"hubbub: connected to {server.url}, subprotocol a\n")
        headers = server.seen[0].request.headers
        assert headers.get_all("x-one") == ["1", "2"]
        assert headers.get_all("x-two") == ["a: b"]
        assert headers["origin"] == "https://example.com"
        assert headers["sec-websocket-protocol"] == "b, a"
    async with peer() as server:
        ended = await connected(server.url, "--subprotocol", "c", *EVER, typed=b"close\n")
        assert "none of the subprotocols" in ended.errors


@pytest.mark.slow
async def test_schemes() -> None:
    """Without a scheme it is ws; http is taken as ws, with a hint; no query or password is printed."""
    async with peer() as server:
        rest = server.url.removeprefix("ws://") + "path?token=SECRET"
        for url, hints in [(rest, 0), (f"ws://{rest}", 0), (f"HTTP://user:SECRET@{rest}", 1)]:
            ended = await connected(url, *EVER, typed=b"close\n")
            assert ended.code == 0
            assert server.seen[-1].request.target == "/path?token=SECRET"
            lines = ended.errors.splitlines()
            assert len(lines) == 2 + hints
            assert lines[hints] == f"hubbub: connected to {server.url}path"
            assert ("as ws://" in lines[0]) == bool(hints)
            assert "SECRET" not in ended.errors
        assert server.seen[-1].request.headers["authorization"].startswith("Basic ")


async def test_ping_interval() -> None:
    """Pings are sent at the interval."""

    async def listen(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serve(listen, "127.0.0.1", 0, control_burst=2, control_rate=0.1) as server:
        # The third ping is one too many for this server, which nothing else would tell of them.
        url = url_of(server)
        ended = await connected(url, "--ping-interval", "0.05", *EVER)
    assert ended.code == 1
    assert "4029" in ended.last


@pytest.mark.slow
async def test_tls(certificate: Certificate) -> None:
    """A certificate of a private CA is trusted where --ca names it, and by nobody else."""
    ca = ["--ca", str(certificate.certificate)]
    async with peer(ssl=certificate.server_context()) as server:
        for scheme, host, options in [("wss", "localhost", ca), ("https", "127.0.0.1", ca)]:
            url = f"{scheme}{server.url[2:]}".replace("127.0.0.1", host)
            ended = await connected(url, *options, *EVER, typed=b"x\nclose\n")
            assert (ended.code, ended.out) == (0, b"x\n")
        url = f"wss{server.url[2:]}"
        ended = await connected(url)
        assert ended.code == 1
        why = (
            "certificate is not trusted: self-signed certificate; --ca FILE trusts a CA of your own"
        )
        assert ended.errors == f"hubbub: cannot connect to {url}: its {why}\n"


# How it says no.


def _said_no(ended: Ended, *words: str) -> None:
    assert (ended.code, ended.out) == (1, b"")
    (line,) = ended.errors.splitlines()
    assert line.isprintable()
    for word in ("hubbub: cannot connect to ", *words):
        assert word in line


@pytest.mark.slow
async def test_no_connection() -> None:
    """One line names the host and why: nobody there, no such name, no TLS."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    where = f"ws://localhost:{port}/"
    _said_no(await connected(where), where, "connection refused")
    _said_no(await connected("nowhere.invalid"), "ws://nowhere.invalid/", "not known")
    async with peer() as server:
        url = f"wss{server.url[2:]}"
        _said_no(await connected(url), url, "no TLS", "ws://")


async def test_a_refusal() -> None:
    """The line has the status, and what the server says about it, made harmless."""

    def refuse(connection: ServerConnection, _: object) -> Response:
        return connection.respond(403, "not \x1b[31mtoday\nnor tomorrow")

    async with peer(process_request=refuse) as server:
        ended = await connected(server.url + "path?token=SECRET")
        _said_no(ended, f"{server.url}path: HTTP 403 Forbidden: not \\x1b[31mtoday")
    assert "tomorrow" not in ended.errors
    assert "SECRET" not in ended.errors


@pytest.mark.parametrize("answer", [b"\x1b[31m nonsense\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_an_answer_that_is_none(answer: bytes) -> None:
    """What is no WebSocket server is told in one line."""
    async with answering(answer, accept=False) as url:
        _said_no(await connected(url), url)


async def test_timeout() -> None:
    """A server that does not answer is left after --timeout."""
    async with answering(b"", accept=False, hold=True) as url:
        _said_no(await connected(url, "--timeout", "0.2"), url, "timed out")


@pytest.mark.slow
def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    """A CA that can't be read, or is none, is told with exit code 1."""
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    for path, word in [("/missing.pem", "No such file"), (str(bad), "not a PEM file")]:
        answer = finished("connect", "wss://localhost/", "--ca", path)
        assert (answer.returncode, answer.stdout) == (1, "")
        (line,) = answer.stderr.splitlines()
        assert line.startswith(f"hubbub: --ca {path}: {word}")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "url"),
        (["a", "b"], "b"),
        (["ftp://localhost/"], "ws:// or wss://"),
        (["localhost:99999"], "port"),
        (["ws:///path"], "host"),
        (["localhost/#part"], "fragment"),
        (["localhost", "--header", "SECRET"], "'Name: value'"),
        (["localhost", "--header", ": SECRET"], "'Name: value'"),
        (["localhost", "--header", "Bad Name: SECRET"], "'Bad Name'"),
        (["localhost", "--header", "X: SECRET\r\nY: 1"], "'X'"),
        (["localhost", "--header", "Host: SECRET"], "'Host'"),
        (["localhost", "--origin", "a\nb"], "rigin"),
        (["localhost", "--subprotocol", "a b"], "'a b'"),
        (["localhost", "--timeout", "-1"], "--timeout"),
        (["localhost", "--ping-interval", "nan"], "--ping-interval"),
        (["localhost", "--max-size", "0"], "--max-size"),
        (["localhost", "--wait", "-1"], "--wait"),
        (["localhost", "--wait", "nan"], "--wait"),
        (["localhost", "--ca", "x.pem"], "--ca"),
        (["localhost", "--insecure"], "--insecure"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_cannot_be_asked_for(arguments: list[str], word: str) -> None:
    """One line on standard error says what is wrong and shows no secret; the exit code is 2."""
    answer = finished("connect", *arguments)
    assert (answer.returncode, answer.stdout) == (2, "")
    (line,) = answer.stderr.splitlines()
    assert line.startswith("hubbub: ")
    assert line.endswith("see hubbub connect --help")
    assert word in line
    assert "SECRET" not in line
