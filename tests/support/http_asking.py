"""Ordinary HTTP requests, one for each connection, as a program sends them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from support.wire import head

__all__ = ["KEY", "HttpAnswer", "ask", "bearer"]

KEY = "hub_example-key-of-an-operator-0123456789"
"""An API key for tests."""


@dataclass(frozen=True)
class HttpAnswer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """By name in small letters."""
    body: bytes

    @property
    def data(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str, str | None]:
        """What an answer says that refuses: status, code and field. It says it in words, too."""
        assert self.headers["content-type"] == "application/json"
        (error,) = self.data.values()
        assert list(error) == ["code", "message", "field"]
        assert error["message"]
        return self.status, error["code"], error["field"]


def bearer(key: str = KEY) -> dict[str, str]:
    """The header that shows a key."""
    return {"Authorization": f"Bearer {key}"}


async def ask(
    port: int,
    method: str,
    target: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    *,
    host: str = "localhost",
) -> HttpAnswer:
    """Send a request to this machine, and read the answer to its end.

    Args:
        port: where.
        method: of the request.
        target: path and query.
        body: bytes as they are; anything else as JSON, with its content type. None: no body.
        headers: more of them; they replace those that are added by themselves.
        host: for the Host header.
    """
    lines = {"Host": f"{host}:{port}"}
    data = b""
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
    lines |= headers or {}
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head(f"{method} {target} HTTP/1.1", list(lines.items())) + data)
        top, _, rest = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
        await writer.wait_closed()
    first, *others = top.decode("latin-1").split("\r\n")
    found = {name.lower(): value for name, _, value in (line.partition(": ") for line in others)}
    return HttpAnswer(int(first.split()[1]), found, rest)
