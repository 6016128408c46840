"""`hubbub serve`: the hub as people run it, in a process of its own, on each event loop."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hubbub.apps.hub.descriptors import Descriptors
from hubbub.core.auth import hash_token
from support.certificates import Certificate
from support.command import answer_of
from support.http_asking import KEY, ask, bearer
from support.peers import TEXT, RawPeer, connected, open_raw
from support.programs import HUBBUB, Program, finished, running
from support.wire import request, text

TRIO = ["--transport", "trio"]
LOOPS = {"asyncio": [], "uvloop": ["--uvloop"], "trio": TRIO}
on_each_loop = pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
on_both = pytest.mark.parametrize("loop", [LOOPS["asyncio"], TRIO], ids=["asyncio", "trio"])

TOKEN = "hub_alices-own-token-which-nobody-sees"
TOKENS = f"""
[[tokens]]
user = "alice"
hash = "{hash_token(TOKEN)}"
read = ["alerts.>"]
write = ["alerts.>"]
"""

EVERYTHING = [
    *("--config", "/dev/null", "--host", "127.0.0.1", "--anonymous", "--max-connections", "50"),
    *("--origin", "https://example.org", "--origin", "http://example.com"),
    *("--trusted-proxy", "192.0.2.0/24", "--trusted-proxy", "unix"),
    *("--ping-interval", "7", "--ping-timeout", "8", "--close-timeout", "3", "--open-timeout", "5"),
    *("--max-size", "1000", "--max-fragments", "10", "--compression", "deflate"),
    *("--no-fast-path", "--log-level", "debug", "--log-format", "json"),
]


async def _said(peer: ClientConnection, **fields: Any) -> None:
    await peer.send(json.dumps(fields))


async def _heard(peer: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await asyncio.wait_for(peer.recv(), 10))
    return found


async def _subscribed(peer: ClientConnection, *topics: str) -> None:
    await _said(peer, action="subscribe", topics=topics)
    assert (await _heard(peer))["type"] == "subscribed"


async def _printed(program: Program) -> dict[str, str]:
    """End it, and return what it printed under its first line: titles and texts."""
    program.process.terminate()
    assert await program.ends() == 0
    lines = (await program.rest_of_output()).splitlines()
    return {line[:15].strip(): line[15:] for line in lines}


@on_each_loop
async def test_without_configuration(loop: list[str]) -> None:
    """On this machine people enter under a name that they choose, and find a page; the rest says so."""
    async with running("serve", "--port", "0", *loop) as program:
        assert re.fullmatch(rf"hubbub listens on http://{HOST}:\d+/", program.line)
        async with program.client() as ann, program.client("?name=bob") as bob:
            await _said(ann, name="ann")
            assert await _heard(ann) == {"type": "auth", "status": "ok", "username": "ann"}
            await _heard(bob)
            await _subscribed(ann, "room.lobby")
            await _said(bob, action="publish", topic="room.lobby", message="hello")
            assert (await _heard(bob))["recipients"] == 1
            said = await _heard(ann)
            assert (said["type"], said["sender"], said["message"]) == ("chat", "bob", "hello")
        page = await ask(program.port, "GET", "/")
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert page.body.startswith(b"<!doctype html>")
        assert (await ask(program.port, "GET", "/healthz")).body == b"ok\n"
        assert (await ask(program.port, "GET", "/readyz")).body == b"ready\n"
        metrics = (await ask(program.port, "GET", "/metrics")).body.decode()
        assert "\nhubbub_publications_total 1.0\n" in metrics
        answer = await ask(program.port, "GET", "/api/topics", headers=bearer())
        assert answer.error == (403, "no_api_key", None)
        printed = await _printed(program)
        url = program.url
        assert list(printed)[:6] == [
            "page",
            "WebSocket",
            "may enter",
            "HTTP API",
            "metrics",
            "settings",
        ]
        assert printed["page"] == url
        assert printed["WebSocket"] == url.replace("http", "ws")
        assert printed["may enter"] == (
            "everybody, under a name of their choice (this machine only)"
        )
        assert printed["HTTP API"].startswith("closed")
        assert printed["metrics"] == f"{url}metrics, from this machine"
        assert printed["settings"] == "the defaults, since there is no hubbub.toml"


HOST = re.escape("127.0.0.1")


def test_other_machines_need_a_word() -> None:
    """Where everybody could enter from elsewhere it does not start, and says what to do."""
    answer = finished("serve", "--host", "0.0.0.0", "--port", "0")
    assert (answer.returncode, answer.stdout) == (1, "")
    (line,) = answer.stderr.splitlines()
    assert line.startswith("hubbub: --host: 0.0.0.0 can be reached from other machines")
    assert "--anonymous" in line


async def test_other_machines_with_a_word() -> None:
    """With --anonymous it starts, and says who may enter."""
    async with running("serve", "--host", "0.0.0.0", "--port", "0", "--anonymous") as program:
        printed = await _printed(program)
        assert printed["may enter"].endswith("of their choice (from other machines too)")


@on_both
async def test_every_option_at_once(loop: list[str]) -> None:
    """All options together make a hub that works, and every line of its log is a JSON object."""
    async with running("serve", "hub", "--port", "0", *EVERYTHING, *loop) as program:
        for origin in ("https://example.org", "http://example.com", None):
            async with program.client(origin=origin) as peer:
                await _said(peer, action="ping")
                assert await _heard(peer) == {"type": "pong"}
        with pytest.raises(InvalidStatus):
            await program.client(origin="http://localhost")
        printed = await _printed(program)
        assert printed["settings"] == "/dev/null"
        lines = [json.loads(line) for line in program.log.splitlines()]
        assert {tuple(line) for line in lines} == {("time", "level", "logger", "message")}
        assert lines[-1]["message"] == "stopped"


async def test_flags_before_variables_before_the_file(tmp_path: Path) -> None:
    """Each is read, the stronger counts, and what was read is printed; warnings are logged."""
    rules = '[[rules]]\npattern = ">"\n[[rules]]\npattern = "a"\n'
    (tmp_path / "hubbub.toml").write_text(
        f'[server]\nport = 1\ntransport = "trio"\n[log]\nformat = "text"\n{rules}'
    )
    environ = {"HUBBUB_SERVER_PORT": "2", "HUBBUB_LOG_FORMAT": "json", "HUBBUB_API_KEY": KEY}
    async with running("serve", "--port", "0", folder=tmp_path, environ=environ) as program:
        assert (await ask(program.port, "GET", "/api/topics", headers=bearer())).status == 200
        printed = await _printed(program)
        assert printed["settings"] == "hubbub.toml; HUBBUB_API_KEY, HUBBUB_LOG_FORMAT"
        assert printed["HTTP API"] == "with its key"
        first = json.loads(program.log.splitlines()[0])
        assert first["level"] == "warning"
        assert first["message"].startswith("hubbub.toml:9: rules[2].pattern: a never counts")


def test_mistakes(tmp_path: Path) -> None:
    """All are told, each in a line with its place, and it does not start."""
    file = tmp_path / "other.toml"
    file.write_text('[server]\nprot = 1\n[limits]\nmax_size = "64k"\n')
    answer = finished("serve", "--config", str(file), "--api-key-file", "/missing.key")
    assert (answer.returncode, answer.stdout) == (1, "")
    lines = answer.stderr.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"hubbub: {file}:2: server.prot: is not known")
    assert lines[1].startswith(f"hubbub: {file}:4: limits.max_size: is the text '64k'")
    assert lines[2] == "hubbub: --api-key-file: /missing.key: no such file or directory"


def test_a_port_in_use() -> None:
    """One line says so."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        answer = finished("serve", "--port", str(port))
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == (
        f"hubbub: cannot listen on 127.0.0.1 port {port}: address already in use\n"
    )


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["echo", "--config", "x.toml"], "--config is for hub"),
        (["chat", "--anonymous"], "--anonymous is for hub"),
        (["echo", "--no-anonymous"], "--anonymous is for hub"),
        (["echo", "--origin", "any"], "--origin is for hub"),
        (["echo", "--api-key-file", "key"], "--api-key-file is for hub"),
        (["chat", "--max-connections", "5"], "--max-connections is for hub"),
        (["hub", "--heartbeat", "5"], "--heartbeat is for notify"),
        (["notify", "--heartbeat", "0"], "--heartbeat=0: must be"),
        (["notify", "--heartbeat", "nan"], "--heartbeat=nan: must be"),
    ],
)
def test_options_of_other_programs(
    arguments: list[str],
    option: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Who gives one expects that it does something: it is refused."""
    answer = answer_of(monkeypatch, capsys, "serve", *arguments)
    assert answer.code == 2
    assert option in answer.errors


@on_both
async def test_no_token_ever_shows(loop: list[str], tmp_path: Path) -> None:
    """Whichever way a token or a key comes, right or wrong, it is in no line of the log or the output."""
    (tmp_path / "hubbub.toml").write_text(TOKENS)
    (tmp_path / "api.key").write_text(KEY)
    options = ["--log-level", "debug", "--api-key-file", "api.key", *loop]
    wrong = "hub_wrong-token"
    async with running("serve", "--port", "0", *options, folder=tmp_path) as program:
        for token in (TOKEN, wrong):
            for path, headers in (
                (f"?token={token}", {}),
                (f"?x=1&token={token}&token={token}", {}),
                ("", {"Authorization": f"Bearer {token}"}),
                ("", {}),
            ):
                async with program.client(path, additional_headers=headers) as peer:
                    if not path and not headers:
                        await _said(peer, token=token)
                    status = (await _heard(peer))["status"]
                    assert status == ("ok" if token == TOKEN and "x=1" not in path else "error")
                    if status == "ok":
                        await _said(peer, action="refresh", token=wrong)
                        await _said(peer, action="publish", topic="alerts.a", message=token)
                        await _heard(peer)
                        await _heard(peer)
            for target in (f"/?token={token}", f"/api/topics?token={token}", f"/x?token={token}"):
                await ask(program.port, "GET", target, headers=bearer(token))
        bad = await open_raw("127.0.0.1", program.port)
        await bad.send(request(target=f"/?token={TOKEN}", sec_websocket_version="8"))
        assert (await bad.read_head()).startswith(b"HTTP/1.1 426 ")
        await bad.close()
        answer = await ask(program.port, "GET", "/api/connections", headers=bearer())
        assert answer.status == 200
        printed = await _printed(program)
        assert printed["may enter"] == "1 token of 1 user (this machine only)"
        told = f"{program.log}{printed}{answer.body.decode()}"
        assert "joined alice from 127.0.0.1" in told
        assert "not let in 127.0.0.1" in told
        for secret in (TOKEN, wrong, KEY):
            assert secret not in told
            assert secret.removeprefix("hub_") not in told


@on_both
async def test_the_http_interface(loop: list[str], tmp_path: Path) -> None:
    """With its key, services publish to those who subscribe, and operators close sessions."""
    (tmp_path / "api.key").write_text(f"{KEY}\n")
    options = ["--api-key-file", "api.key", *loop]
    async with (
        running("serve", "--port", "0", *options, folder=tmp_path) as program,
        program.client("?name=ann") as ann,
    ):
        await _heard(ann)
        await _subscribed(ann, "alerts")
        body = {"topic": "alerts", "message": "fire"}
        answer = await ask(program.port, "POST", "/api/publish", body, bearer())
        assert answer.data == {"recipients": 1}
        assert (await _heard(ann))["message"] == "fire"
        listed = await ask(program.port, "GET", "/api/connections", headers=bearer())
        assert [one["user"] for one in listed.data["connections"]] == ["ann"]
        answer = await ask(program.port, "POST", "/api/disconnect", {"user": "ann"}, bearer())
        assert answer.data == {"sessions": 1}
        await ann.wait_closed()
        assert ann.close_code == 4003
        metrics = (await ask(program.port, "GET", "/metrics")).body.decode()
        assert "\nhubbub_loop_lag_seconds_count" in metrics


@on_each_loop
async def test_a_signal_drains_it(loop: list[str]) -> None:
    """It takes nobody any more; what waits leaves first, then a hint, then 1001, and it ends with 0."""
    async with running("serve", "--port", "0", *loop) as program:
        stream = await connected("127.0.0.1", program.port, receive_buffer=8192)
        slow = RawPeer(stream.socket, stream)
        await slow.upgrade()
        await slow.send(text('{"action":"subscribe","topics":["news"]}'))
        assert b"subscribed" in (await slow.read_frame()).payload
        async with program.client() as ann, program.client() as bob:
            await _subscribed(ann, "news")
            for number in range(60):
                await _said(bob, action="publish", topic="news", message=f"{number:>15000}")
                assert (await _heard(bob))["type"] == "published"
            metrics = (await ask(program.port, "GET", "/metrics")).body.decode()
            assert "\nhubbub_outbox_bytes 0.0\n" not in metrics
            program.process.terminate()
            for peer in (ann, bob):
                told = await _rest(peer)
                assert told[-1]["type"] == "reconnect"
                assert 0 <= told[-1]["after"] < 10
                assert (peer.close_code, peer.close_reason) == (
                    1001,
                    "the server is shutting down",
                )
            with pytest.raises(OSError):
                await program.client()
            frames = []
            while (frame := await slow.read_frame()).opcode == TEXT:
                frames.append(json.loads(frame.payload))
            assert frame.code == 1001
            assert [int(one["message"]) for one in frames[:-1]] == list(range(60))
            assert frames[-1]["type"] == "reconnect"
            await slow.close()
        assert await program.ends() == 0
        assert "hubbub.server: stopping: closing 3 connections;" in program.log
        assert program.log.splitlines()[-1].endswith("hubbub.server: stopped")


async def _rest(peer: ClientConnection) -> list[dict[str, Any]]:
    """What comes until the end."""
    told = []
    try:
        while True:
            told.append(await _heard(peer))
    except ConnectionClosed:
        return told


@on_each_loop
async def test_a_second_signal_ends_it_at_once(loop: list[str]) -> None:
    """While it waits for a peer that does not answer, a second signal ends it with 1."""
    async with running("serve", "--port", "0", "--close-timeout", "60", *loop) as program:
        peer = await open_raw("127.0.0.1", program.port)
        await peer.upgrade()
        program.process.send_signal(signal.SIGINT)
        assert (await peer.read_close()).code == 1001
        program.process.send_signal(signal.SIGINT)
        assert await program.ends() == 1
        assert "a second signal: ending at once" in program.log
        await peer.close()


@on_both
async def test_what_balances_load_sees_a_signal(loop: list[str], tmp_path: Path) -> None:
    """For `drain_delay` /readyz says 503 and newcomers get 503, others go on; a second signal ends it."""
    (tmp_path / "hubbub.toml").write_text("[limits]\ndrain_delay = 60\n")
    async with (
        running("serve", "--port", "0", *loop, folder=tmp_path) as program,
        program.client("?name=ann") as ann,
    ):
        await _heard(ann)
        assert (await ask(program.port, "GET", "/readyz")).status == 200
        program.process.terminate()
        while (answer := await ask(program.port, "GET", "/readyz")).status == 200:
            pass  # it has not got the signal yet
        assert (answer.status, answer.body) == (503, b"draining\n")
        assert (await ask(program.port, "GET", "/healthz")).status == 200
        with pytest.raises(InvalidStatus) as refused:
            await program.client()
        assert refused.value.response.status_code == 503
        await _said(ann, action="ping")
        assert await _heard(ann) == {"type": "pong"}
        assert "stopping: refusing newcomers for 60 s, then closing" in program.log
        program.process.terminate()
        assert await program.ends() == 1


@pytest.mark.slow
@on_both
async def test_how_far_the_end_is(loop: list[str]) -> None:
    """Each second a line says how many connections are left."""
    async with running("serve", "--port", "0", "--close-timeout", "1.5", *loop) as program:
        peer = await open_raw("127.0.0.1", program.port)
        await peer.upgrade()
        program.process.terminate()
        assert await program.ends() == 0
        assert "stopping: 1 connection left, for which 0 bytes wait" in program.log
        await peer.close()


async def test_tls(certificate: Certificate) -> None:
    """With a certificate every URL says so."""
    files = ["--tls-cert", str(certificate.certificate), "--tls-key", str(certificate.key)]
    async with running("serve", "--port", "0", *files) as program:
        assert program.url.startswith("https://")
        async with program.client(ssl=certificate.client_context()) as peer:
            await _subscribed(peer, "a")
        printed = await _printed(program)
        assert printed["WebSocket"] == program.url.replace("https", "wss")
        assert printed["metrics"].startswith("https://")


async def test_a_unix_socket(tmp_path: Path) -> None:
    """The line ends with its path, and nothing is said of a port."""
    path = tmp_path / "socket"
    async with running("serve", "--unix", str(path)) as program:
        assert program.line == f"hubbub listens on unix:{path}"
        async with unix_connect(str(path), compression=None) as peer:
            await _subscribed(peer, "a")
        printed = await _printed(program)
        assert "127.0.0.1" not in str(printed)
        assert not path.exists()


async def test_descriptors() -> None:
    """It asks for as many as its limits need, and says so."""
    command = ("sh", "-c", 'ulimit -Sn 256; exec "$0" "$@"', *HUBBUB)
    options = ["--port", "0", "--max-connections", "500"]
    async with running("serve", *options, command=command) as program:
        assert (await _printed(program))["descriptors"] == "2,600, raised from 256"


def test_what_is_said_of_descriptors() -> None:
    """Nothing where there are enough; else how many connections they are enough for, and what to do."""
    fix = "raise the hard limit (ulimit -Hn, or LimitNOFILE of systemd) to 2,600"
    assert Descriptors(2600, 2600, 2600).told() is None
    assert Descriptors(2600, 400, 400).told() == f"400, enough for 300 connections: {fix}"
    assert Descriptors(2600, 256, 400).told() == (
        f"400, raised from 256, enough for 300 connections: {fix}"
    )
    assert Descriptors(2600, 64, 64).told() == f"64, enough for 0 connections: {fix}"


def test_output_that_cannot_be_written() -> None:
    """A line says so, and it ends."""
    answer = subprocess.run(
        ["sh", "-c", 'exec "$0" serve --port 0 > /dev/full', *HUBBUB],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1] == (
        "hubbub: cannot write to standard output: no space left on device"
    )
