"""What a client is on every event loop: where to connect, how, and what to do when that fails."""

import logging
import os
import platform
import socket as stdlib_socket
import ssl as stdlib_ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from importlib.metadata import version
from types import TracebackType
from typing import Any, Final, Literal, Unpack

from ..core.backoff import Backoff
from ..core.events import Accepted, Event
from ..core.frames import CloseCode
from ..core.handshake import ClientOptions
from ..core.http import Headers, HeadersLike
from ..core.link import Link
from ..core.proxy import Proxy, ProxyTunnel, parse_proxy
from ..core.sender import Entropy
from ..core.uri import (
    URI,
    InvalidURI,
    basic_auth,
    keeps_credentials,
    may_follow,
    parse_uri,
    redirect_target,
)
from ..core.websocket import WebSocket
from .client_connection import ClientConnection
from .client_opening import ClientSideOpening, peer_of, why_not
from .driver import Clock, Driver
from .exceptions import (
    InvalidStatus,
    SecurityError,
)
from .options import UNSET, LimitKeywords, Unset, with_keywords
from .reaching import connect_to_any, connected, proxy_of_environment
from .reconnecting import Connections, process_exception
from .socket_link import SocketLink
from .tls import TLSLink
from .tunnel import TunnelLink

__all__ = ["BaseConnect"]

default_logger = logging.getLogger("hubbub.client")

MAX_REDIRECTS: Final = 10
"""Redirects that are followed for one connection."""

_REDIRECTS: Final = frozenset({300, 301, 302, 303, 307, 308})
_CREDENTIALS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})


class BaseConnect(ABC):
    """Connects to a server: `async with connect(uri) as connection`.

    The connection is closed at the end of the block. `async for connection in connect(uri)` connects
    again and again, until the loop is left: after a failed attempt, or an open connection that is lost,
    with delays that grow; what cannot be mended by trying again is raised. Each connection is closed
    when the loop takes the next.

    Args:
        uri: ws:// or wss://, perhaps with a user and password, which are sent as Basic authentication.
        origin: the Origin header.
        subprotocols: those to offer, in order of preference.
        compression: "deflate" offers it.
        additional_headers: of the request.
        user_agent_header: what to call ourselves; None leaves it out.
        proxy: the URL of an HTTP proxy; True asks the environment (`http_proxy` and its like); None
            goes straight.
        process_exception: decides whether to try again; see the function of that name.
        reconnect_delays: makes an iterator of the seconds to wait before each attempt.
        logger: where to log.
        create_connection: a subclass of `ClientConnection`.
        sock: a connected socket instead of the URI's host and port.
        path: of a Unix socket, instead of those.
        ssl: a context, for wss; if left out, or True, one with the system's certificates.
        proxy_ssl: the same for a proxy at https://.
        server_hostname: the name that the certificate must be for, if not the URI's.
        host: whom to connect to, if not to the URI's host.
        port: the same.
        family: of addresses, such as `socket.AF_INET`.
        local_addr: where to connect from: an address and a port, 0 for any.
        options: everything else, and what the keywords leave out. Their `host` and `target` are not
            looked at.
        clock: where the time comes from.
        entropy: where masks, keys and jitter come from.
        limits: any field of `Limits`, such as `max_size` or `open_timeout`.

    Raises:
        InvalidURI: it can't be understood, or the proxy's (`InvalidProxy`).
        TypeError: an unknown keyword, or `ssl` is no context.
        ValueError: a keyword's value can't work.
        LocalProtocolError: so for those that go into the request.
    """

    def __init__(
        self,
        uri: str,
        *,
        origin: str | Unset | None = UNSET,
        subprotocols: Sequence[str] | Unset | None = UNSET,
        compression: str | Unset | None = UNSET,
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | Unset | None = UNSET,
        proxy: str | Literal[True] | None = True,
        process_exception: Callable[[Exception], Exception | None] = process_exception,
        reconnect_delays: Callable[[], Iterator[float]] | None = None,
        logger: "logging.Logger | logging.LoggerAdapter[Any] | None" = None,
        create_connection: type[ClientConnection] | None = None,
        sock: stdlib_socket.socket | None = None,
        path: str | os.PathLike[str] | None = None,
        ssl: stdlib_ssl.SSLContext | Literal[True] | None = None,
        proxy_ssl: stdlib_ssl.SSLContext | Literal[True] | None = None,
        server_hostname: str | None = None,
        host: str | None = None,
        port: int | None = None,
        family: int = stdlib_socket.AF_UNSPEC,
        local_addr: tuple[str, int] | None = None,
        options: ClientOptions | None = None,
        clock: Clock | None = None,
        entropy: Entropy = os.urandom,
        **limits: Unpack[LimitKeywords],
    ) -> None:
        self.uri = uri
        parsed = parse_uri(uri)
        if ssl is not None and not parsed.secure:
            raise ValueError("ssl= needs a wss:// URI: this one is ws://")
        self._options = with_keywords(
            options if options is not None else ClientOptions(host=parsed.host_header),
            limits,
            subprotocols=subprotocols,
            compression=compression,
            origin=origin,
            host=parsed.host_header,
            target=parsed.target,
        )
        headers = [*self._options.headers, *Headers(additional_headers or ()).lines]
        agent = _user_agent() if isinstance(user_agent_header, Unset) else user_agent_header
        if agent is not None and not any(name.lower() == "user-agent" for name, _ in headers):
            headers.append(("User-Agent", agent))
        self._agent = agent
        self._headers = headers
        self._options_for(parsed)  # a header that can't be sent is told now
        self._proxy: Proxy | Literal[True] | None = (
            parse_proxy(proxy) if isinstance(proxy, str) else proxy
        )
        self._process_exception = process_exception
        self._entropy = entropy
        self._reconnect_delays = reconnect_delays or (lambda: Backoff().delays(entropy))
        self.logger = logger if logger is not None else default_logger
        self._create_connection = create_connection or ClientConnection
        self._sock = sock
        self._path = path
        for name, context in (("ssl", ssl), ("proxy_ssl", proxy_ssl)):
            if not (
                context is None or context is True or isinstance(context, stdlib_ssl.SSLContext)
            ):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"{name}={context!r}: give an ssl.SSLContext, or leave it out")
        self._ssl = None if ssl is True else ssl
        self._proxy_ssl = None if proxy_ssl is True else proxy_ssl
        self._server_hostname = server_hostname
        self._host = host
        self._port = port
        self._family = family
        self._local_addr = local_addr
        self._clock = clock
        self._connection: Any = None

    # What differs between loops.

    @abstractmethod
    def _driver_of_loop(self, clock: Clock | None) -> Driver:
        """The loop's driver, or one with a clock of its own."""

    @abstractmethod
    async def _resolve(self, host: str, port: int) -> list[Any]:
        """The addresses of a host."""

    @abstractmethod
    async def _connect_socket(self, sock: stdlib_socket.socket, address: Any) -> None:
        """Connect a non-blocking socket.

        Raises:
            OSError: it can't be connected.
        """

    @abstractmethod
    async def _sleep(self, seconds: float) -> None:
        """Wait."""

    # Ways to use it.

    async def __aenter__(self) -> Any:
        """Connect; the connection.

        Raises:
            OSError: there is no way to the server.
            TimeoutError: the handshake took longer than `open_timeout`.
            InvalidStatus: the server answered with another status than 101.
            InvalidHandshake: the handshake failed in another way.
        """
        if self._connection is not None:
            raise RuntimeError("this connect() is in use: make another one")
        self._connection = await self._connect()
        return self._connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection: with 1000, or with 1011 where the block raised."""
        connection, self._connection = self._connection, None
        fine = kind is None or issubclass(kind, GeneratorExit)
        await connection.close(CloseCode.NORMAL_CLOSURE if fine else CloseCode.INTERNAL_ERROR)

    def __aiter__(self) -> AsyncIterator[Any]:
        """Connections, one after the other, without end."""
        return Connections(self)

    def judge(self, error: Exception) -> Exception | None:
        """For the iteration: None to try again, or what to raise."""
        try:
            return self._process_exception(error)
        except Exception as raised:  # noqa: BLE001 - to raise instead of returning is a usual slip
            return raised

    def delays(self) -> Iterator[float]:
        """For the iteration: seconds before each attempt."""
        return self._reconnect_delays()

    def forget(self) -> None:
        """For the iteration: its loop was left, and the connection with it."""
        self._connection = None

    async def wait(self, seconds: float, reason: str) -> None:
        """For the iteration: wait before the next attempt."""
        self.logger.info("connecting again in %.1f s: %s", seconds, reason)
        await self._sleep(seconds)

    # One attempt.

    async def _connect(self) -> Any:
        driver = self._driver_of_loop(self._clock)
        driver.hold()
        try:
            async with driver.fail_after(self._options.limits.open_timeout):
                return await self._follow(driver)
        except TimeoutError as error:
            if error.errno is not None:
                raise  # the system's: nobody answered
            raise TimeoutError("the opening handshake timed out") from None
        finally:
            driver.release()

    async def _follow(self, driver: Driver) -> ClientConnection:
        for _ in range(1 + MAX_REDIRECTS):
            uri = parse_uri(self.uri)
            try:
                return await self._attempt(driver, uri)
            except InvalidStatus as error:
                location = error.response.headers.get("Location")
                if error.response.status not in _REDIRECTS or location is None:
                    raise
                self._redirect(uri, location, error)
        raise SecurityError(f"more than {MAX_REDIRECTS} redirects")

    def _redirect(self, old: URI, location: str, error: InvalidStatus) -> None:
        try:
            target = redirect_target(self.uri, location)
            new = parse_uri(target)
            may_follow(old, new)
        except InvalidURI as wrong:
            raise SecurityError(str(wrong)) from error
        if self._sock is not None:
            raise SecurityError("a redirect can't be followed with an existing socket") from error
        if not keeps_credentials(old, new):
            if self._path is not None or self._host is not None or self._port is not None:
                text = "a redirect to another origin can't be followed where host or path is given"
                raise SecurityError(text) from error
            self._headers = [h for h in self._headers if h[0].lower() not in _CREDENTIALS]
        self.uri = target

    def _options_for(self, uri: URI) -> ClientOptions:
        headers = list(self._headers)
        if uri.user is not None and not any(n.lower() == "authorization" for n, _ in headers):
            headers.append(("Authorization", basic_auth(uri.user, uri.password)))
        return with_keywords(
            self._options,
            {},
            subprotocols=UNSET,
            compression=UNSET,
            headers=tuple(headers),
            host=uri.host_header,
            target=uri.target,
        )

    async def _attempt(self, driver: Driver, uri: URI) -> ClientConnection:
        proxy = self._proxy_for(uri)
        sock = await self._open_socket(uri, proxy)
        try:
            options = self._options_for(uri)
            ws = WebSocket(options, now=driver.now(), entropy=self._entropy)
            link, layers = self._layers(ws, uri, proxy)
            opening = ClientSideOpening(ws, driver.promise())
            remote = peer_of(sock)
            socket = opening.socket = SocketLink(driver, sock, link, opening)
            socket.start()
        except BaseException:
            sock.close()
            raise
        try:
            event: Event = await opening.answer
        except BaseException:
            socket.lose(driver.now())
            raise
        if not isinstance(event, Accepted):
            socket.flush_now(
                driver.now()
            )  # TLS may have something to say, such as whom it does not trust
            socket.lose(driver.now())
            raise why_not(event, layers, opening.lost)
        try:
            connection = self._create_connection(
                driver,
                socket,
                ws,
                remote,
                self._entropy,
                options=options,
                response=event.response,
                logger=self.logger,
            )
        except BaseException:
            socket.lose(driver.now())
            raise
        connection.subprotocol = event.subprotocol
        socket.owner = connection
        socket.opened()
        return connection

    def _layers(
        self, ws: WebSocket, uri: URI, proxy: Proxy | None
    ) -> tuple[Link, list[TLSLink | TunnelLink]]:
        """The machine, and what is between it and the socket, from inside to outside."""
        layers: list[TLSLink | TunnelLink] = []
        link: Link = ws
        if uri.secure:
            context = self._ssl if self._ssl is not None else stdlib_ssl.create_default_context()
            name = self._server_hostname if self._server_hostname is not None else uri.host
            link = TLSLink(link, context, server_side=False, server_hostname=name)
            layers.append(link)
        if proxy is not None:
            tunnel = ProxyTunnel(
                self._host if self._host is not None else uri.host,
                self._port if self._port is not None else uri.port,
                user=proxy.user,
                password=proxy.password,
                user_agent=self._agent,
                limits=self._options.limits,
            )
            link = TunnelLink(link, tunnel)
            layers.append(link)
            if proxy.secure:
                context = self._proxy_ssl or stdlib_ssl.create_default_context()
                link = TLSLink(link, context, server_side=False, server_hostname=proxy.host)
                layers.append(link)
        return link, layers

    def _proxy_for(self, uri: URI) -> Proxy | None:
        if self._sock is not None or self._path is not None:
            return None
        if self._proxy is not True:
            return self._proxy
        return proxy_of_environment(uri)

    async def _open_socket(self, uri: URI, proxy: Proxy | None) -> stdlib_socket.socket:
        if self._sock is not None:
            self._sock.setblocking(False)
            return self._sock
        if self._path is not None:
            sock = stdlib_socket.socket(stdlib_socket.AF_UNIX, stdlib_socket.SOCK_STREAM)
            return await connected(sock, os.fspath(self._path), self._connect_socket)
        if proxy is not None:
            host, port = proxy.host, proxy.port
        else:
            host = self._host if self._host is not None else uri.host
            port = self._port if self._port is not None else uri.port
        found = await self._resolve(host, port)
        return await connect_to_any(
            found, f"{host} port {port}", self._connect_socket, local_addr=self._local_addr
        )


def _user_agent() -> str:
    return f"Python/{platform.python_version()} hubbub/{version('hubbub')}"
