"""A small HTTP proxy that makes tunnels (CONNECT; RFC 9110, 9.3.6)."""

from __future__ import annotations

import base64
import ssl as stdlib_ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
from anyio.abc import ByteStream, Listener, SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSListener

from support.wire import head


@dataclass
class HttpProxy:
    """What it does, and what it has been asked."""

    where: tuple[str, int] | None = None
    """Where every tunnel leads; if left out, where it is asked to lead."""
    user: str | None = None
    """Who may use it, as user:password."""
    answer: bytes | None = None
    """What it says to every request instead of making a tunnel, before it ends the stream."""
    silent: bool = False
    """Whether it says nothing at all."""
    dies_after: int | None = None
    """Bytes from the server after which it ends both streams."""
    secure: bool = False
    port: int = 0
    requests: list[list[str]] = field(default_factory=list)
    """The lines of each request."""

    def url(self, user: str = "") -> str:
        """What a client is told."""
        return f"{'https' if self.secure else 'http'}://{user}127.0.0.1:{self.port}"

    @property
    def asked(self) -> list[str]:
        """The first line of each request."""
        return [lines[0] for lines in self.requests]

    async def handle(self, client: ByteStream) -> None:
        """One connection."""
        # Whoever leaves in the middle ends the tunnel.
        with suppress(anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
            async with client:
                await self._handle(client)

    async def _handle(self, client: ByteStream) -> None:
        reader = BufferedByteReceiveStream(client)
        request = await reader.receive_until(b"\r\n\r\n", 65536)
        lines = request.decode("latin-1").split("\r\n")
        self.requests.append(lines)
        if self.silent:
            await reader.receive()
        if self.answer is not None:
            if self.answer:
                await client.send(self.answer)
            return
        if self.user is not None:
            secret = base64.b64encode(self.user.encode()).decode()
            if f"Proxy-Authorization: Basic {secret}" not in lines:
                wanted = [("Proxy-Authenticate", "Basic"), ("Content-Length", "4")]
                await client.send(head("HTTP/1.1 407 Who?", wanted) + b"who?")
                return
        host, _, port = lines[0].split()[1].rpartition(":")
        place = self.where or (host.strip("[]"), int(port))
        try:
            server = await anyio.connect_tcp(*place)
        except OSError:
            await client.send(head("HTTP/1.1 502 Nowhere", [("Content-Length", "0")]))
            return
        async with server, anyio.create_task_group() as tasks:
            await client.send(head("HTTP/1.1 200 Connection established", [("Via", "us")]))
            tasks.start_soon(self._pass_on, client, server)
            await self._pass_back(server, client)
            tasks.cancel_scope.cancel()

    async def _pass_on(self, client: ByteStream, server: ByteStream) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while True:
                await server.send(await client.receive())
        with suppress(anyio.BrokenResourceError):
            await server.send_eof()

    async def _pass_back(self, server: ByteStream, client: ByteStream) -> None:
        left = self.dies_after
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while left is None or left > 0:
                data = await server.receive() if left is None else await server.receive(left)
                left = None if left is None else left - len(data)
                await client.send(data)


@asynccontextmanager
async def proxying(
    proxy: HttpProxy | None = None, ssl: stdlib_ssl.SSLContext | None = None
) -> AsyncIterator[HttpProxy]:
    """Run a proxy, with a context over TLS, until the block ends."""
    proxy = HttpProxy() if proxy is None else proxy
    tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
    proxy.port = tcp.extra(SocketAttribute.local_port)
    listener: Listener[ByteStream] = tcp
    if ssl is not None:
        proxy.secure = True
        listener = TLSListener(tcp, ssl, standard_compatible=False)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, proxy.handle, tasks)
        yield proxy
        tasks.cancel_scope.cancel()
