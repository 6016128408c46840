"""`hubbub serve`: its options, what it prints, and how it says no."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from support.certificates import Certificate
from support.peers import RawPeer, open_raw
from support.programs import HUBBUB, MODULE, Program, finished, running, serving
from support.wire import request, text

ODD_DURATIONS = ["--ping-interval", "7", "--ping-timeout", "8", "--close-timeout", "3"]
EVERYTHING = [
    *("--host", "127.0.0.1", *ODD_DURATIONS, "--open-timeout", "5"),
    *("--max-size", "1000", "--max-fragments", "10", "--compression", "deflate"),
    *("--no-fast-path", "--log-level", "debug", "--log-format", "json"),
    *("--trusted-proxy", "192.0.2.0/24", "--trusted-proxy", "unix"),
]

TRIO = ["--transport", "trio"]
LOOPS = {"asyncio": [], "uvloop": ["--uvloop"], "trio": TRIO}
on_each_loop = pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)


async def _raw(program: Program) -> RawPeer:
    return await open_raw("127.0.0.1", program.port)


@pytest.mark.parametrize("command", [HUBBUB, MODULE], ids=["hubbub", "python -m hubbub"])
@on_each_loop
async def test_the_line(command: tuple[str, ...], loop: list[str]) -> None:
    """One line on standard output says what listens, ends with the URL, and nothing follows."""
    async with running("serve", "echo", "--port", "0", *loop, command=command) as program:
        assert re.fullmatch(r"hubbub echo listens on ws://127\.0\.0\.1:\d+/", program.line)
        async with program.client() as peer:
            await peer.send("Grüße")
            assert await peer.recv() == "Grüße"
        program.process.terminate()
        assert await program.ends() == 0
        assert await program.rest_of_output() == ""


@pytest.mark.parametrize("name", ["echo", "chat"])
@pytest.mark.parametrize("loop", [LOOPS["uvloop"], TRIO], ids=["uvloop", "trio"])
async def test_every_option_at_once(name: str, loop: list[str]) -> None:
    """All options together make a server that works."""
    async with serving(name, *EVERYTHING, *loop) as program, program.client() as peer:
        await peer.send("x")
        assert "x" in str(await peer.recv())


async def test_port_and_host() -> None:
    """A port that is asked for is taken; IPv6 addresses are written in brackets."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as sock:
        port = sock.getsockname()[1]
    async with running("serve", "echo", "--host", "::1", "--port", str(port)) as program:
        assert program.url == f"ws://[::1]:{port}/"
        async with program.client():
            pass


async def test_max_size() -> None:
    """A message of as many bytes is taken, a longer one closed with 1009."""
    async with serving("echo", "--max-size", "100") as program, program.client() as peer:
        await peer.send("x" * 100)
        assert await peer.recv() == "x" * 100
        await peer.send("x" * 101)
        with pytest.raises(ConnectionClosed):
            await peer.recv()
        assert peer.close_code == 1009


async def test_max_fragments() -> None:
    """A message in as many frames is taken, one in more closed with 1009."""
    async with serving("echo", "--max-fragments", "3") as program, program.client() as peer:
        await peer.send(["a", "b"])  # this client ends each message with an empty frame
        assert await peer.recv() == "ab"
        await peer.send(["a", "b", "c"])
        with pytest.raises(ConnectionClosed):
            await peer.recv()
        assert peer.close_code == 1009


async def test_compression() -> None:
    """It is agreed on only where the server was asked to offer it."""
    for options, agreed in [([], False), (["--compression", "deflate"], True)]:
        async with (
            serving("echo", *options) as program,
            program.client(compression="deflate") as peer,
        ):
            await peer.send("x" * 5000)
            assert await peer.recv() == "x" * 5000
            assert peer.response is not None
            assert ("Sec-WebSocket-Extensions" in peer.response.headers) is agreed


async def test_open_timeout() -> None:
    """A request that is not complete by then is answered with 408; 0 waits for ever."""
    async with serving("echo", "--open-timeout", "0.2") as program:
        peer = await _raw(program)
        await peer.send(b"GET ")
        assert (await peer.read_head()).startswith(b"HTTP/1.1 408 ")
        await peer.close()
    async with serving("echo", "--open-timeout", "0") as program:
        peer = await _raw(program)
        await peer.upgrade()
        await peer.close()


async def test_ping_interval_and_timeout() -> None:
    """Pings come at the interval; a peer that says nothing after one is closed with 1011."""
    options = ["--ping-interval", "0.1", "--ping-timeout", "0.2"]
    async with serving("echo", *options) as program:
        peer = await _raw(program)
        await peer.upgrade()
        assert (await peer.read_frame()).opcode == 0x9
        assert (await peer.read_close()).code == 1011
        await peer.close()
        async with program.client() as living:
            await asyncio.wait_for(await living.ping(), 5)


async def test_no_pings() -> None:
    """With an interval of 0 none is sent: the first frame is the answer to the first message."""
    async with serving("echo", "--ping-interval", "0", "--ping-timeout", "0") as program:
        peer = await _raw(program)
        await peer.upgrade()
        await peer.send(text("x"))
        assert (await peer.read_frame()).payload == b"x"
        await peer.close()


async def test_close_timeout() -> None:
    """A peer that does not answer the server's Close frame holds it up no longer than this."""
    async with serving("echo", "--close-timeout", "0.2") as program:
        peer = await _raw(program)
        await peer.upgrade()
        before = time.monotonic()
        program.process.terminate()
        assert (await peer.read_close()).code == 1001
        assert await program.ends() == 0
        assert time.monotonic() - before < 3
        await peer.close()


@pytest.mark.parametrize("name", ["echo", "chat"])
@on_each_loop
async def test_tls(name: str, loop: list[str], certificate: Certificate) -> None:
    """With a certificate the URL says so, and clients that trust it can connect."""
    files = ["--tls-cert", str(certificate.certificate), "--tls-key", str(certificate.key)]
    async with serving(name, *files, *loop) as program:
        assert program.url.startswith("https://" if name == "chat" else "wss://")
        async with program.client(ssl=certificate.client_context()) as peer:
            await peer.send("x")
            assert "x" in str(await peer.recv())
        program.process.terminate()
        assert await program.ends() == 0


async def test_certificate_and_key_in_one_file(certificate: Certificate, tmp_path: Path) -> None:
    """One file may hold both."""
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.key.read_bytes() + certificate.certificate.read_bytes())
    async with (
        serving("echo", "--tls-cert", str(both)) as program,
        program.client(ssl=certificate.client_context()) as peer,
    ):
        await peer.send("x")
        assert await peer.recv() == "x"


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@on_each_loop
async def test_a_signal_ends_it(number: str, loop: list[str]) -> None:
    """Clients get 1001 and the exit code is 0; nothing but the log is on standard error."""
    async with serving("echo", "--log-level", "warning", *loop) as program:
        async with program.client() as one, program.client() as two:
            program.process.send_signal(getattr(signal, number))
            assert await program.ends() == 0
            for peer in (one, two):
                await peer.wait_closed()
                assert peer.close_code == 1001
        assert program.log == ""


@pytest.mark.slow
@on_each_loop
async def test_a_signal_as_soon_as_it_listens(loop: list[str]) -> None:
    """Whoever reads the line may send the signal at once."""
    for _ in range(5):
        async with serving("echo", *loop) as program:
            program.process.terminate()
            assert await program.ends() == 0


@on_each_loop
async def test_a_second_signal_ends_it_at_once(loop: list[str]) -> None:
    """While it waits for a peer that does not answer, a second signal ends it with 1."""
    async with serving("echo", "--close-timeout", "60", *loop) as program:
        peer = await _raw(program)
        await peer.upgrade()
        program.process.terminate()
        assert (await peer.read_close()).code == 1001
        program.process.terminate()
        assert await program.ends() == 1
        await peer.close()


async def test_ordinary_http() -> None:
    """`/healthz` answers a GET; a page of another site may not connect."""
    async with serving("echo") as program:
        peer = await _raw(program)
        await peer.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await peer.read_head()).startswith(b"HTTP/1.1 200 ")
        assert (await peer.read_rest()).strip() == b"ok"
        await peer.close()
        with pytest.raises(InvalidStatus):
            await program.client(origin="https://evil.example")


def test_help() -> None:
    """The help names every option, and so does the command without arguments."""
    assert "serve" in finished("--help").stdout
    answer = finished("serve", "--help")
    assert answer.returncode == 0
    for option in (
        *("--host", "--port", "--uvloop", "--tls-cert", "--tls-key", "--ping-interval"),
        *("--ping-timeout", "--close-timeout", "--open-timeout", "--max-size"),
        *("--max-fragments", "--compression", "--log-level", "--log-format"),
        *("--transport", "--unix", "--trusted-proxy"),
    ):
        assert option in answer.stdout
    nothing = finished()
    assert (nothing.returncode, nothing.stderr) == (2, "")
    assert "serve" in nothing.stdout


def _said_no(answer: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert answer.returncode == code, answer
    assert answer.stdout == ""
    (line,) = answer.stderr.splitlines()
    assert line.startswith("hubbub: ")
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nonsense"], "nonsense"),
        (["serve", "nonsense"], "nonsense"),
        (["serve", "echo", "chat"], "chat"),
        (["serve", "echo", "--nonsense"], "--nonsense"),
        (["serve", "echo", "--port", "70000"], "--port"),
        (["serve", "echo", "--port", "x"], "--port"),
        (["serve", "echo", "--max-size", "0"], "--max-size"),
        (["serve", "echo", "--max-size", "-5"], "--max-size"),
        (["serve", "echo", "--max-fragments", "0"], "--max-fragments"),
        (["serve", "echo", "--ping-interval", "-1"], "0 switches it off"),
        (["serve", "echo", "--ping-timeout", "nan"], "--ping-timeout"),
        (["serve", "echo", "--close-timeout", "0"], "--close-timeout"),
        (["serve", "echo", "--open-timeout", "inf"], "--open-timeout"),
        (["serve", "echo", "--compression", "brotli"], "brotli"),
        (["serve", "echo", "--log-level", "loud"], "loud"),
        (["serve", "echo", "--log-format", "xml"], "xml"),
        (["serve", "echo", "--transport", "twisted"], "'asyncio', 'trio'"),
        (["serve", "echo", "--transport", "trio", "--uvloop"], "--uvloop"),
        (["serve", "echo", "--unix", "/tmp/x", "--port", "1"], "--unix"),
        (["serve", "echo", "--unix", "/tmp/x", "--host", "::1"], "--unix"),
        (["serve", "echo", "--trusted-proxy", "10.0.0.1/8"], "--trusted-proxy '10.0.0.1/8'"),
        (["serve", "echo", "--trusted-proxy", "proxy.example"], "'proxy.example'"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_cannot_be_asked_for(arguments: list[str], word: str) -> None:
    """One line on standard error says what is wrong, and the exit code is 2."""
    _said_no(finished(*arguments), 2, word)


@on_each_loop
def test_a_port_in_use(loop: list[str]) -> None:
    """One line says so, with exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = str(sock.getsockname()[1])
        _said_no(finished("serve", "echo", "--port", port, *loop), 1, port, "in use")


@pytest.mark.slow
@on_each_loop
def test_an_address_that_is_not_ours(loop: list[str]) -> None:
    """One line says so, with exit code 1, for an address, a name and a path."""
    for host in ("203.0.113.7", "nowhere.invalid"):
        _said_no(finished("serve", "echo", "--host", host, *loop), 1, host)
    _said_no(finished("serve", "echo", "--unix", "/missing/x", *loop), 1, "/missing/x", "no such")


@pytest.mark.slow
@pytest.mark.parametrize("loop", [LOOPS["asyncio"], TRIO], ids=["asyncio", "trio"])
def test_certificates_that_cannot_be_used(
    certificate: Certificate, tmp_path: Path, loop: list[str]
) -> None:
    """One line names the option and the file, with exit code 1; nothing asks for a password."""
    good, key = str(certificate.certificate), str(certificate.key)
    bad, other, locked = tmp_path / "bad.pem", tmp_path / "other.pem", tmp_path / "locked.pem"
    bad.write_text("no certificate")
    genpkey = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run([*genpkey, "-out", str(other)], check=True, capture_output=True)
    encrypt = ["openssl", "pkey", "-in", key, "-aes128", "-passout", "pass:x"]
    subprocess.run([*encrypt, "-out", str(locked)], check=True, capture_output=True)
    for options, words in [
        (["--tls-cert", "/missing.pem"], ("--tls-cert /missing.pem", "No such file")),
        (["--tls-cert", good, "--tls-key", "/missing.pem"], ("--tls-key /missing.pem",)),
        (["--tls-cert", str(tmp_path)], ("--tls-cert", "directory")),
        (["--tls-cert", str(bad)], (str(bad),)),
        (["--tls-cert", good], ("--tls-key",)),
        (["--tls-cert", good, "--tls-key", str(bad)], ("private key",)),
        (["--tls-cert", good, "--tls-key", str(other)], ("private key",)),
        (["--tls-cert", good, "--tls-key", str(locked)], ("encrypted",)),
        (["--tls-key", key], ("--tls-cert",)),
    ]:
        _said_no(finished("serve", "echo", *options, *loop), 1, *words)


@pytest.mark.parametrize(
    ("missing", "arguments", "word"),
    [
        ("uvloop", ["serve", "echo", "--uvloop"], "'uvloop'"),
        ("trio", ["serve", "echo", *TRIO], "'trio'"),
        ("typer", ["--help"], "'server'"),
    ],
)
def test_an_extra_that_is_not_installed(missing: str, arguments: list[str], word: str) -> None:
    """One line names the extra to install, with exit code 1."""
    code = f"import sys; sys.modules[{missing!r}] = None; from hubbub.apps.cli import main; main()"
    _said_no(finished(*arguments, command=(sys.executable, "-c", code)), 1, word)


@pytest.mark.slow
async def test_a_unix_socket(tmp_path: Path) -> None:
    """On each loop a path is listened on instead, and is free again when the server ends."""
    path = tmp_path / "socket"
    for options in LOOPS.values():
        async with running("serve", "echo", "--unix", str(path), *options) as program:
            assert program.line == f"hubbub echo listens on unix:{path}"
            async with unix_connect(str(path), compression=None) as peer:
                await peer.send("x")
                assert await peer.recv() == "x"
            program.process.terminate()
            assert await program.ends() == 0
            assert not path.exists()


@pytest.mark.slow
@pytest.mark.parametrize("loop", [LOOPS["asyncio"], TRIO], ids=["asyncio", "trio"])
async def test_trusted_proxies(loop: list[str], tmp_path: Path) -> None:
    """Only where the peer is trusted, the log names the client that it forwards for."""
    told = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7, 192.0.2.1"}
    trusting = ["--trusted-proxy", "127.0.0.1", "--trusted-proxy", "192.0.2.0/24"]
    for options, expected in [(trusting, "198.51.100.7:"), (trusting[2:], "127.0.0.1:")]:
        async with (
            serving("echo", *options, *loop) as program,
            program.client(additional_headers=told) as peer,
        ):
            await peer.send("x")
            await peer.recv()
            assert f" open {expected}" in program.log
    path = str(tmp_path / "socket")
    options = ["--unix", path, "--trusted-proxy", "unix"]
    async with (
        running("serve", "echo", *options, *loop) as program,
        unix_connect(path, compression=None, additional_headers=told) as peer,
    ):
        await peer.send("x")
        await peer.recv()
        assert " open 192.0.2.1:" in program.log


@pytest.mark.parametrize("transport", ["asyncio", "trio"])
async def test_the_chat_on_each_transport(transport: str) -> None:
    """Members hear each other, and those who stay hear of those who go."""
    async with serving("chat", "--transport", transport) as program, program.client() as one:
        async with program.client() as two:
            assert "User-2 joined" in str(await one.recv())
            await two.send("hello")
            assert "hello" in str(await one.recv())
            assert "hello" in str(await two.recv())
        assert "User-2 left" in str(await one.recv())


def test_what_is_imported() -> None:
    """The command line itself imports neither loop, and no library of the prompt."""
    code = "import sys, hubbub.apps.cli; print(*sys.modules, sep='\\n')"
    answer = finished(command=(sys.executable, "-c", code))
    modules = set(answer.stdout.split())
    assert "hubbub.apps.serve" in modules
    assert {"trio", "uvloop", "prompt_toolkit", "hubbub.transports.asyncio"} & modules == set()


@pytest.mark.parametrize(("this", "other"), [("asyncio", "trio"), ("trio", "asyncio")])
def test_what_a_server_imports(this: str, other: str) -> None:
    """One that was killed is to be back soon: it imports nothing that it was not asked for."""
    code = f"import sys, hubbub.apps.cli, hubbub.apps.hub.serve, hubbub.apps.serving_{this}"
    answer = finished(command=(sys.executable, "-c", f"{code}; print(*sys.modules, sep='\\n')"))
    modules = set(answer.stdout.split())
    assert f"hubbub.transports.{this}" in modules
    not_asked_for = {"jwt", "cryptography", "uvloop", "hypothesis", "prompt_toolkit"}
    not_asked_for |= {f"hubbub.transports.{other}", "hubbub.transports.simulated"}
    assert not_asked_for & modules == set()


@pytest.mark.parametrize(
    "command",
    [
        "hubbub serve chat --transport trio",
        "hubbub serve chat --unix chat.sock --trusted-proxy unix",
    ],
)
def test_a_command_of_the_docs(command: str, tmp_path: Path) -> None:
    """The server says where it listens, and ends with 0 when asked to."""
    _, *arguments = command.split()
    # The last --port counts, so that the tests can share a machine.
    free = [] if "--unix" in arguments else ["--port", "0"]
    with subprocess.Popen(
        [*HUBBUB, *arguments, *free],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert " listens on " in process.stdout.readline()
        finally:
            process.terminate()
        assert process.wait(timeout=20) == 0


async def test_early_frames() -> None:
    """A message in the same segment as the request is answered."""
    async with serving("echo") as program:
        peer = await _raw(program)
        await peer.send(request() + text("early"))
        await peer.read_head()
        assert (await peer.read_frame()).payload == b"early"
        await peer.close()
