"""The pages on the HTTP interface and on metrics are true: commands, answers, fields and names."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hubbub.apps.hub import http_messages
from hubbub.apps.hub.http_api import HttpApi
from hubbub.apps.hub.metrics import Metrics
from hubbub.core.auth import hash_token
from hubbub.core.hub import Hub
from hubbub.core.rules import Rule
from support.http_asking import KEY, HttpAnswer, ask
from support.hub_peers import hub, hub_config, named
from support.net import adapter, address
from support.programs import running
from support.tree import ROOT

PAGE = (ROOT / "docs" / "howto" / "http-api.md").read_text()
MONITOR = (ROOT / "docs" / "howto" / "monitor.md").read_text()

BLOCKS = [
    block.splitlines() for block in re.findall("```console\n(\\$ curl .*?)```", PAGE, re.DOTALL)
]
MAKING, SERVING = re.findall(r"^\$ (head .*|hubbub .*)$", PAGE, re.MULTILINE)


@asynccontextmanager
async def _port() -> AsyncIterator[int]:
    """Where the hub of the examples listens: two people are subscribed to the same topic."""
    config = hub_config(rules=(Rule(pattern="kept.>", history=10),))
    api = HttpApi(
        key_hash=hash_token(KEY), rules=config.rules, limits=config.limits, metrics=Metrics()
    )
    async with (
        hub(adapter("asyncio"), config, http=api, clock=time.monotonic) as server,
        named(server, "ann") as ann,
        named(server, "bob") as bob,
    ):
        api.serve(server)
        await ann.subscribe("alerts.fire")
        await bob.subscribe("alerts.fire")
        yield address(server)[1]


async def _curl(command: str, port: int) -> HttpAnswer:
    """Ask what a command with `curl` asks."""
    words = iter(shlex.split(command.replace("$KEY", KEY)))
    assert next(words) == "curl"
    headers: dict[str, str] = {}
    body: bytes | None = None
    url = ""
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "--json":
            body = next(words).encode()
        else:
            url = word
    parts = urlsplit(f"http://{url}")
    assert parts.netloc == "localhost:8765"
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return await ask(port, "GET" if body is None else "POST", target, body, headers)


def _is(found: Any, shown: Any) -> bool:
    """Whether an answer is the one that is shown, where `…` stands for what differs each time."""
    if shown == "…":
        return isinstance(found, str) and bool(found)
    if isinstance(shown, dict):
        return list(found) == list(shown) and all(_is(found[name], shown[name]) for name in shown)
    if isinstance(shown, list):
        return len(found) == len(shown) and all(map(_is, found, shown))
    return bool(found == shown)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block[0].split("/")[-1])
async def test_an_example(block: list[str]) -> None:
    """Each command of the page gets the answer that stands behind it."""
    assert len(block) % 2 == 0
    async with _port() as port:
        for command, shown in zip(block[::2], block[1::2], strict=True):
            answer = await _curl(command.removeprefix("$ "), port)
            assert _is(answer.data, json.loads(shown)), answer.body.decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the key was made as the page says."""
    subprocess.run(["sh", "-c", MAKING], cwd=tmp_path, check=True)
    return tmp_path


async def test_the_key_of_the_page(folder: Path) -> None:
    """The commands that make a key and serve with it open the interface to who has it."""
    key = (folder / "api.key").read_text().strip()
    _, *arguments = shlex.split(SERVING)
    async with running(*arguments, "--port", "0", folder=folder) as program:
        headers = {"Authorization": f"Bearer {key}"}
        assert (await ask(program.port, "GET", "/api/topics", headers=headers)).status == 200
        assert "warning" not in program.log


def test_the_fields_of_a_publication() -> None:
    """The page has each of them, says which are needed, and names the fields of the other requests."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (needed)? ?\|", PAGE, re.MULTILINE))
    fields = {field.name: field.required for field in msgspec.structs.fields(http_messages.Publish)}
    assert {name: bool(needed) for name, needed in rows.items()} == fields
    for kind in (http_messages.Disconnect, http_messages.Revoke, http_messages.Query):
        for field in msgspec.structs.fields(kind):
            assert f'"{field.name}":' in PAGE or f"`{field.name}`" in PAGE


def test_the_paths_of_the_page() -> None:
    """The table names every path of the API, and no other."""
    api = HttpApi(key_hash=None, rules=(), limits=hub_config().limits, metrics=None)
    paths = {f"{method} {path}" for path, (method, _) in api._api.items()}
    assert set(re.findall(r"^\| `(\w+ /api/\w+)` \|", PAGE, re.MULTILINE)) == paths


def test_the_metrics_of_the_page() -> None:
    """The table has each of the hub's figures with its type, and no other."""
    metrics = Metrics()
    metrics.watch(Hub(now=0.0, entropy=bytes))
    families = text_string_to_metric_families(metrics.page("")[1].decode())
    found = {
        (f"{one.name}_total" if one.type == "counter" else one.name, one.type)
        for one in families
        if one.name.startswith("hubbub_")
    }
    assert set(re.findall(r"^\| `(\w+)` \| (\w+) \|", MONITOR, re.MULTILINE)) == found
    names = {name for name, _ in found}
    used = {name.removesuffix("_bucket") for name in re.findall(r"\bhubbub_\w+", MONITOR)}
    assert used <= names


def test_the_codes_of_the_page() -> None:
    """Every code that the interface can answer is in the table of errors."""
    sources = "".join(
        (ROOT / "apps" / "hub" / f"{name}.py").read_text() for name in ("http_api", "http_messages")
    )
    codes = {name.lower() for name in re.findall(r"ErrorCode\.([A-Z_]+)", sources)}
    codes |= set(re.findall(r'Refused\(\s*\d{3},\s+"([a-z_]+)"', sources))
    table = PAGE.partition("| status | codes |")[2]
    assert (
        set(re.findall(r"`([a-z_]+)`", table.partition("\n\n")[0])) - {"idempotency_key"} == codes
    )
