"""Connecting again and again: what is worth another attempt, and when."""

import contextlib
import ssl as stdlib_ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from .client_connection import ClientConnection
from .exceptions import (
    InvalidHandshake,
    InvalidMessage,
    InvalidProxyStatus,
    InvalidStatus,
    ProxyError,
    closed_exception,
)

if TYPE_CHECKING:
    from .client import BaseConnect

__all__ = ["Connections", "process_exception"]

_TRANSIENT: Final = frozenset({500, 502, 503, 504})


def process_exception(error: Exception) -> Exception | None:
    """Whether to try again after a failed attempt, as `connect` decides it unless told otherwise.

    Returns:
        None to try again: the network failed, time was up, or the server answered 500, 502, 503 or 504.
        Otherwise the error, which is raised.
    """
    # A certificate that is not trusted today is not tomorrow.
    if isinstance(error, (OSError, InvalidMessage)):
        return error if isinstance(error, stdlib_ssl.SSLCertVerificationError) else None
    if isinstance(error, (InvalidStatus, InvalidProxyStatus)):
        return None if error.response.status in _TRANSIENT else error
    return None if type(error) is ProxyError else error


_HELD: Final = 10.0
"""Seconds after which a connection that is lost counts as one that held: delays begin anew."""


class Connections:
    """What `async for connection in connect(uri)` goes through.

    No generator, because one that is left half-way is a burden to the loop; here the last connection is
    closed when the loop's iterator goes.
    """

    def __init__(self, connect: "BaseConnect") -> None:
        self._connect = connect
        self._delays: Iterator[float] | None = None
        self._last: ClientConnection | None = None
        self._began = 0.0

    def __aiter__(self) -> "Connections":
        return self

    async def __anext__(self) -> Any:
        """Close the last connection, and open the next."""
        reason: str | None = None
        if self._last is not None:
            last, self._last = self._last, None
            closed = last.closed
            await self._connect.__aexit__(None, None, None)
            held = last.driver.now() - self._began
            if closed is not None and not closed_exception(closed).ok and held < _HELD:
                reason = str(closed_exception(closed))
            else:
                self._delays = None
        while True:
            if reason is not None:
                self._delays = self._delays or self._connect.delays()
                delay = next(self._delays, None)
                if delay is None:
                    raise InvalidHandshake(f"no attempts are left: {reason}")
                await self._connect.wait(delay, reason)
            try:
                connection: ClientConnection = await self._connect.__aenter__()
            except Exception as error:
                raised = self._connect.judge(error)
                if raised is error:
                    raise
                if raised is not None:
                    raise raised from error
                # Its words only: with its traceback it would keep this iterator alive.
                reason = f"{type(error).__name__}: {error}"
            else:
                self._last = connection
                self._began = connection.driver.now()
                return connection

    def __del__(self) -> None:
        """The loop was left: close the connection, without waiting."""
        if self._last is not None:
            self._connect.forget()
            with contextlib.suppress(Exception):  # the event loop may be gone
                self._last.close_soon()
