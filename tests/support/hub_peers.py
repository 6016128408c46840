"""Servers of a hub, and peers that speak its protocol, on each event loop."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from hubbub.core.auth import AnonymousAccess, TokenAuth, TokenEntry, hash_token
from hubbub.core.handshake import ServerOptions
from hubbub.core.hub_config import HubConfig
from hubbub.core.hub_limits import HubLimits
from hubbub.transports.asyncio import HubServer
from support.clients import Client, client, client_at
from support.loops import until
from support.net import Net

__all__ = [
    "HubPeer",
    "HubServer",
    "hub",
    "hub_config",
    "named",
    "peer",
    "peer_at",
    "token_auth",
    "until_left",
]


def token_auth(*users: str, **fields: Any) -> TokenAuth:
    """Authentication that knows a token for each user, which is `token-` and the name."""
    everything: dict[str, Any] = {"read": (">",), "write": (">",)}
    return TokenAuth(
        TokenEntry(hash=hash_token(f"token-{user}"), user=user, **(everything | fields))
        for user in users
    )


def hub_config(
    limits: HubLimits | None = None, *, anonymous: bool = True, **fields: Any
) -> HubConfig:
    """A configuration with these limits and fields, where strangers may come in or not."""
    return HubConfig(
        options=ServerOptions(limits=limits if limits is not None else HubLimits()),
        anonymous=AnonymousAccess() if anonymous else None,
        **fields,
    )


def hub(
    net: Net, config: HubConfig | None = None, **keywords: Any
) -> AbstractAsyncContextManager[HubServer]:
    """A hub on a free port of this machine."""
    made = config if config is not None else hub_config()
    server: AbstractAsyncContextManager[HubServer] = net.serve_hub(made, "127.0.0.1", 0, **keywords)
    return server


class HubPeer:
    """A client of a hub."""

    def __init__(self, connection: Client) -> None:
        self.connection = connection

    async def send(self, **fields: Any) -> None:
        """Send a request."""
        await self.connection.send(json.dumps(fields))

    async def recv(self) -> dict[str, Any]:
        """The next message."""
        text = await self.connection.recv()
        assert isinstance(text, str)
        found: dict[str, Any] = json.loads(text)
        return found

    async def wait_for(self, kind: str) -> dict[str, Any]:
        """The next message of a type, whatever others come before it."""
        while (message := await self.recv())["type"] != kind:
            pass
        return message

    async def ask(self, **fields: Any) -> dict[str, Any]:
        """Send a request, and wait for its answer, whatever pushes come before it."""
        await self.send(**fields, id=7)
        while (message := await self.recv()).get("id") != 7:
            pass
        del message["id"]
        return message

    async def subscribe(self, *topics: str, **fields: Any) -> None:
        """Subscribe, and wait until that is done."""
        answer = await self.ask(action="subscribe", topics=topics, **fields)
        assert answer == {"type": "subscribed", "topics": list(topics)}, answer

    async def subscribe_to(self, topic: str, **fields: Any) -> dict[str, Any]:
        """Subscribe to a topic with history, and wait until that is done; where it stands."""
        answer = await self.ask(action="subscribe", topics=[topic], **fields)
        position: dict[str, Any] = answer["positions"][topic]
        return position

    async def publish(self, topic: str, message: Any) -> dict[str, Any]:
        """Publish, and wait for the answer."""
        return await self.ask(action="publish", topic=topic, message=message)

    async def closed(self) -> tuple[int | None, str | None]:
        """Wait for the end; its code and reason."""
        await self.connection.wait_closed()
        return self.connection.close_code, self.connection.close_reason


@asynccontextmanager
async def peer(server: HubServer, path: str = "/", **arguments: Any) -> AsyncIterator[HubPeer]:
    """A client of this hub, who has said nothing yet."""
    async with client(server, path, **arguments) as connection:
        yield HubPeer(connection)


@asynccontextmanager
async def named(server: HubServer, name: str) -> AsyncIterator[HubPeer]:
    """A client of this hub, who is let in by a name."""
    async with peer(server, f"/?name={name}") as found:
        answer = await found.recv()
        assert answer == {"type": "auth", "status": "ok", "username": name}, answer
        yield found


@asynccontextmanager
async def peer_at(url: str, **arguments: Any) -> AsyncIterator[HubPeer]:
    """Likewise, of a hub that listens there."""
    async with client_at(url, **arguments) as connection:
        yield HubPeer(connection)


async def until_left(server: HubServer) -> None:
    """Wait until the hub has no socket any more."""
    await until(lambda: server.hub.links == 0)
