"""`hubbub listen` and `hubbub publish`: what they print, what they say, and how they end."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from hubbub.core.hub_limits import HubLimits
from hubbub.core.rules import DEFAULT_RULES, Rule
from support.answering import silent_port
from support.hub_peers import hub_config, token_auth
from support.programs import HUBBUB, STARTING
from support.ran import Run, runner
from support.served_hub import Served

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "command-line.md").read_text()

RULES = (Rule(pattern="orders", history=100), *DEFAULT_RULES)


@pytest.fixture
def served() -> Iterator[Served]:
    """A hub that keeps orders, and knows ann."""
    with Served(hub_config(rules=RULES, auth=token_auth("ann"))).running() as found:
        yield found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs `hubbub` in this process, with some input."""
    return runner(monkeypatch, capfd, tmp_path)


# Publishing.


@pytest.mark.parametrize(
    ("message", "value"),
    [
        ('{"order": 17}', {"order": 17}),
        ("hello, all", "hello, all"),
        ("17", 17),
        ('"17"', "17"),
        ("", ""),
    ],
)
def test_one_message(served: Served, run: Run, message: str, value: object) -> None:
    """What is JSON is sent as that, all else as text; the answer is a line of JSON."""
    ran = run("publish", served.url, "orders", message)
    assert ran.code == 0
    (answer,) = ran.objects
    assert answer.keys() == {"type", "topic", "recipients", "offset", "epoch"}
    assert (answer["type"], answer["offset"]) == ("published", 1)
    assert ran.errors.splitlines() == [f"hubbub: connected to {served.url}"]
    (kept,) = run("listen", served.url, "orders", "--last", "1", "--count", "1").objects
    assert kept["message"] == value


def test_text_that_looks_like_json(served: Served, run: Run) -> None:
    """With --text nothing is taken for JSON."""
    assert run("publish", served.url, "orders", "17", "--text").code == 0
    run("publish", served.url, "orders", "--text", typed=b"[1]\n\nGr\xc3\xbc\xc3\x9fe")
    ran = run("listen", served.url, "orders", "--last", "9", "--count", "4")
    assert [event["message"] for event in ran.objects] == ["17", "[1]", "", "Grüße"]


def test_lines(served: Served, run: Run) -> None:
    """Each line is one message, in their order, and each answer a line."""
    typed = b"".join(b'{"n": %d}\r\n' % number for number in range(200))
    ran = run("publish", served.url, "orders", "-", typed=typed)
    assert ran.code == 0
    assert [answer["offset"] for answer in ran.objects] == list(range(1, 201))
    ran = run("listen", served.url, "orders", "--last", "2", "--count", "2")
    assert [event["message"] for event in ran.objects] == [{"n": 198}, {"n": 199}]


@pytest.mark.parametrize(
    ("typed", "options", "words"),
    [
        (b"1\nno\n3\n", [], "line 2 of the input: not JSON; --text takes lines as text"),
        (b"1\n\xff\n", ["--text"], "line 2 of the input: not UTF-8"),
        (b"1\n" + b"[" * 40 + b"]" * 40 + b"\n", [], "line 2 of the input: this request would be"),
    ],
)
def test_a_line_that_is_wrong(
    served: Served, run: Run, typed: bytes, options: list[str], words: str
) -> None:
    """It ends with 2 and says which line; what came before it is published."""
    ran = run("publish", served.url, "orders", *options, typed=typed)
    assert ran.code == 2
    assert ran.last.startswith(f"hubbub: {words}")
    assert len(ran.objects) == 1


def test_what_the_hub_refuses(served: Served, run: Run) -> None:
    """It ends with 1 and the hub's error."""
    key = ("--idempotency-key", "k")
    assert run("publish", served.url, "orders", "1", *key, "--name", "bob").code == 0
    ran = run("publish", served.url, "orders", "1", *key, "--name", "bob")
    assert ran.objects[0]["duplicate"] is True
    ran = run("publish", served.url, "orders", "1", "--token", "token-eve")
    assert ran.code == 1
    assert ran.last == f"hubbub: cannot connect to {served.url}: not let in: Invalid token"
    ran = run("publish", served.url, "no topic", "1")
    assert ran.code == 2
    assert "white space" in ran.last
    ran = run("publish", served.url, "orders", "--key", "x" * 200, typed=b"1\n")
    assert (ran.code, "line 1 of the input" in ran.last) == (2, True)


# Listening.


def test_where_to_begin(served: Served, run: Run) -> None:
    """Behind a position, which a line has; for one topic or for several."""
    served.publish("orders", *range(1, 6))
    first = run("listen", served.url, "orders", "--last", "3", "--count", "1").objects[0]
    assert first["message"] == 3
    place = f"{first['epoch']}:{first['offset']}"
    ran = run("listen", served.url, "orders", "--since", place, "--count", "2")
    assert [event.get("message") for event in ran.objects] == [None, 4, 5]
    assert ran.objects[0] == {
        "type": "resumed", "topic": "orders", "recovered": True, "offset": 3, "epoch": first["epoch"],
    }  # fmt: skip
    ran = run(
        "listen", served.url, "orders", "room.a", "--since", f"orders={place}", "--count", "1"
    )
    assert ran.objects[1]["message"] == 4
    ran = run("listen", served.url, "room.a", "--last", "1")
    assert (ran.code, ran.last) == (1, "hubbub: no_history: this topic keeps no history")


def test_acknowledging(served: Served, run: Run, tmp_path: Path) -> None:
    """What was printed does not come again under that name."""
    token = tmp_path / "token"
    token.write_text("token-ann\n")
    options = ("--ack", "--consumer", "printer", "--token-file", str(token))
    served.publish("orders", 1)
    ran = run("listen", served.url, "orders", *options, "--last", "9", "--count", "1")
    assert ran.objects[0]["message"] == 1
    assert ran.errors.startswith(f"hubbub: connected to {served.url} as ann\n")
    served.publish("orders", 2, 3)
    ran = run("listen", served.url, "orders", *options, "--count", "1")
    assert ran.objects[-1]["message"] == 2
    ran = run("listen", served.url, "orders", *options, "--count", "1")
    assert ran.objects[-1]["message"] == 3


def test_the_token_of_the_environment(
    served: Served, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`HUBBUB_TOKEN` is a token like any other, and appears nowhere."""
    served.publish("orders", 1)
    run("publish", served.url, "orders", "1")
    monkeypatch.setenv("HUBBUB_TOKEN", "token-ann")
    ran = run("publish", served.url, "orders", "2")
    assert "as ann" in ran.errors
    assert "token-ann" not in ran.errors + ran.out
    ran = run("publish", served.url, "orders", "2", "--name", "bob")
    assert (ran.code, "--name" in ran.last) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["listen", "localhost"], "Missing argument 'TOPIC...'"),
        (["publish", "localhost"], "Missing argument 'TOPIC'"),
        (["listen", "localhost", "a", "--since", "nonsense"], "EPOCH:OFFSET"),
        (["listen", "localhost", "a", "--since", "e:-1"], "EPOCH:OFFSET"),
        (["listen", "localhost", "a", "b", "--since", "e:1"], "say of which topic"),
        (["listen", "localhost", "a", "--consumer", "c"], "--consumer: is for --ack"),
        (["listen", "localhost", "a", "--count", "0"], "--count"),
        (["listen", "localhost", "a", "--token", "t", "--token-file", "f"], "one of the two"),
        (["listen", "localhost", "a", "--token", ""], "token: is empty"),
        (["listen", "localhost", "a", "--ca", "x.pem"], "needs a wss:// URL"),
        (["listen", "localhost", "a", "--timeout", "-1"], "--timeout"),
        (["listen", "localhost", "a", "--header", "x"], "'Name: value'"),
        (["listen", "local host", "a"], "cannot stand in a URI"),
        (["publish", "localhost", "a", "--idempotency-key", "k"], "one message, not for lines"),
    ],
)
def test_what_makes_no_sense(run: Run, arguments: list[str], words: str) -> None:
    """It ends with 2 before anything is sent, and says what would be right."""
    ran = run(*arguments)
    assert ran.code == 2
    assert words in ran.last
    assert ran.out == ""


def test_token_files_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    """It ends with 1 and says why, before anything is sent."""
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("\n")
    binary.write_bytes(b"\xff")
    for file, words in (
        (tmp_path / "none", "no such file or directory"),
        (empty, "is empty"),
        (binary, "not UTF-8"),
    ):
        ran = run("listen", "localhost", "a", "--token-file", str(file))
        assert (ran.code, ran.last) == (1, f"hubbub: --token-file {file}: {words}")


def test_nobody_is_there(run: Run) -> None:
    """It ends with 1, and says why there is no connection."""
    port = silent_port()
    ran = run("listen", f"localhost:{port}", "a", "--origin", "https://example.org")
    assert ran.code == 1
    assert ran.last == f"hubbub: cannot connect to ws://localhost:{port}/: connection refused"


@pytest.mark.slow
def test_nobody_reads_on(served: Served) -> None:
    """`hubbub listen … | head -1` is no failure; it ends with the first line that nobody takes."""
    served.publish("orders", *range(50))
    command = f"'{HUBBUB[0]}' listen {served.url} orders --last 50 | head -1"
    with subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        ends = time.monotonic() + STARTING
        while process.poll() is None and time.monotonic() < ends:
            # The pipe may hold all lines so far: only a later one meets the end of `head`.
            served.publish("orders", 50)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        process.kill()
        out, errors = process.communicate()
    assert process.returncode == 0, errors
    # Which one it is depends on how many were published before it listened.
    assert json.loads(out)["message"] in range(51)


@contextmanager
def listening(served: Served, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run `hubbub listen` until the block ends."""
    with subprocess.Popen(
        [*HUBBUB, "listen", served.url, "orders", "--last", "1", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next line that it prints."""
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals(served: Served, number: int, code: int) -> None:
    """They end it, as they end any program."""
    with listening(served) as process:
        served.publish("orders", 1)
        assert first_of(process)["message"] == 1
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == code
        assert errors == f"hubbub: connected to {served.url}\n"


@pytest.mark.slow
def test_the_hub_is_done_with_us(served: Served) -> None:
    """Then listening ends with 1, and says with which code."""
    with listening(served, "--token", "token-ann") as process:
        served.publish("orders", 1)
        assert first_of(process)["message"] == 1
        served.disconnect("ann")
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 1
        words = "closed with 4003 'disconnected by the operator'"
        assert errors.splitlines()[1:] == [f"hubbub: gave up {served.url}: {words}"]


@pytest.mark.slow
def test_a_hub_that_comes_back() -> None:
    """What happens to the connection is told, and listening goes on."""
    config = hub_config(HubLimits(reconnect_spread=0.01), rules=RULES)
    port = silent_port()
    with Served(config, port).running() as first, listening(first) as process:
        where = first.url
        first.publish("orders", 1)
        assert first_of(process)["message"] == 1
        first.stop()
        first.ended.wait(20)
        with Served(config, port).running() as second:
            assert first_of(process)["type"] == "resumed"
            second.publish("orders", 2)
            assert first_of(process)["message"] == 2
            process.terminate()
            _, errors = process.communicate(timeout=20)
        lines = errors.splitlines()
        assert lines[0] == f"hubbub: connected to {where}"
        assert "closed with 1001" in lines[1]
        # The hub's hint may be rounded to nothing.
        assert lines[1].endswith(("connecting again in 0.0 s", "connecting again now"))
        assert lines[-1] == f"hubbub: connected to {where} again"


COMMANDS = re.findall(r"^\$ (hubbub .*)", PAGE, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_docs(served: Served, command: str, tmp_path: Path) -> None:
    """It does what the page says: a line of JSON comes, and no complaint."""
    (tmp_path / "orders.jsonl").write_text('{"order": 17}\n')
    (tmp_path / "server.log").write_text("it rains\n")
    (tmp_path / "token.txt").write_text("token-ann\n")
    hidden = {name: os.environ[name] for name in os.environ if not name.startswith("HUBBUB_")}
    with subprocess.Popen(
        ["bash", "-c", f"exec {command}".replace("localhost:8765", served.url)],
        cwd=tmp_path,
        env=hidden | {"PATH": f"{Path(HUBBUB[0]).parent}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        if " listen " in command:
            served.publish("orders", *range(20))
            assert process.stdout is not None
            # Some listen from now on, whenever that is.
            while not select.select([process.stdout], [], [], 0.1)[0]:
                served.publish("orders", 0)
            assert first_of(process)["type"] in ("notification", "resumed")
            process.terminate()
        out, errors = process.communicate(timeout=20)
    assert process.returncode in (0, 143)
    assert len(errors.splitlines()) == 1
    if " publish " in command:
        answers = tmp_path / "answers.jsonl"
        text = answers.read_text() if answers.exists() else out
        assert json.loads(text)["type"] == "published"


@pytest.mark.slow
def test_the_page_names_all_options() -> None:
    """`--help` of both commands has the options of the page, and no other."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| `--")]
    shown = {word for row in rows for word in re.findall(r"--[a-z-]+", row.split("|")[1])}
    told: set[str] = set()
    for command in ("listen", "publish"):
        answer = subprocess.run(
            [*HUBBUB, command, "--help"],
            env=os.environ | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=True,
        )
        told |= set(re.findall(r"--[a-z-]+", answer.stdout))
    assert told - {"--help"} == shown
