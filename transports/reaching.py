"""Ways to a server: its addresses, and the proxy that the environment names."""

import socket as stdlib_socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.request import getproxies, proxy_bypass

from ..core.proxy import InvalidProxy, Proxy, parse_proxy
from ..core.uri import URI
from .listening import AddressInfo
from .tcp import prepare

__all__ = ["Connect", "connect_to_any", "connected", "proxy_of_environment"]

Connect = Callable[[stdlib_socket.socket, Any], Awaitable[None]]
"""Connects a non-blocking socket to an address, as the loop does it."""


def proxy_of_environment(uri: URI) -> Proxy | None:
    """The proxy that the environment names for a server, if any.

    Raises:
        InvalidProxy: it can't be understood.
    """
    if proxy_bypass(f"{uri.host}:{uri.port}"):
        return None
    known = getproxies()
    names = ("wss", "https", "all") if uri.secure else ("ws", "http", "all")
    found = next((known[name] for name in names if known.get(name)), None)
    if found is None:
        return None
    try:
        return parse_proxy(found if "://" in found else f"http://{found}")
    except InvalidProxy as error:
        why = f"{error.why}; it is from the environment, which proxy=None leaves alone"
        raise InvalidProxy(found, why) from None


async def connect_to_any(
    found: Iterable[AddressInfo], name: str, connect: Connect, *, local_addr: tuple[str, int] | None
) -> stdlib_socket.socket:
    """A socket that is connected to the first of these addresses that lets us.

    Args:
        found: what the name resolved to.
        name: for messages.
        connect: connects one socket.
        local_addr: where to connect from.

    Raises:
        OSError: none did; the message names each failure.
    """
    failures: list[OSError] = []
    for family, kind, protocol, _, address in found:
        sock = stdlib_socket.socket(family, kind, protocol)
        try:
            prepare(sock)
            if local_addr is not None:
                sock.bind(local_addr)
            return await connected(sock, address, connect)
        except OSError as error:
            sock.close()
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    told = "; ".join(dict.fromkeys(str(failure) for failure in failures))
    words = f"cannot connect to {name}: {told or 'it has no address'}"
    numbers = {failure.errno for failure in failures}
    number = numbers.pop() if len(numbers) == 1 else None
    # With the number it is a ConnectionRefusedError, or whatever it was everywhere.
    raise OSError(number, words) if number is not None else OSError(words)


async def connected(
    sock: stdlib_socket.socket, address: Any, connect: Connect
) -> stdlib_socket.socket:
    """The socket, non-blocking and connected; closed if it can't be.

    Raises:
        OSError: it can't be.
    """
    sock.setblocking(False)
    try:
        await connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock
