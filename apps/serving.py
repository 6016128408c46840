"""Runs one server program, on the event loop that was asked for, until a signal ends it."""

import gc
import logging
import os
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

import msgspec

from ..transports.server_life import ServerLife
from .failure import Failure

__all__ = [
    "Binding",
    "Companion",
    "Service",
    "Sleep",
    "Transport",
    "accompany",
    "announce",
    "cannot_listen",
    "connections",
    "run",
    "stop",
    "stop_at_once",
    "stopped",
    "tls_context",
    "urls",
]

Transport = Literal["asyncio", "trio"]
"""The event loops."""

Sleep = Callable[[float], Awaitable[object]]
"""Lets so many seconds pass."""

Companion = Callable[[Sleep], Awaitable[None]]
"""What runs beside a server, from when it listens until all its connections are closed."""

S = TypeVar("S", bound=ServerLife)

logger = logging.getLogger("hubbub.server")


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """Where a server listens, and on what it runs."""

    host: str
    port: int
    unix: str | None = None
    """A path, instead of host and port."""
    tls_cert: str | None = None
    tls_key: str | None = None
    transport: Transport = "asyncio"
    uvloop: bool = False

    def __str__(self) -> str:
        return f"{self.host} port {self.port}" if self.unix is None else self.unix

    def keywords(self) -> dict[str, Any]:
        """The same for `serve` and `serve_hub`.

        Raises:
            Failure: the certificate or its key can't be used.
        """
        place: dict[str, Any] = {"path": self.unix}
        if self.unix is None:
            place = {"host": self.host, "port": self.port}
        return {**place, "ssl": tls_context(self)}


class Service(ABC):
    """One program: what it serves, what it says when it does, and what runs beside it.

    Args:
        binding: where it listens.
    """

    def __init__(self, binding: Binding) -> None:
        self.binding = binding

    @abstractmethod
    def make(self, serve: Callable[..., S], serve_hub: Callable[..., S]) -> S:
        """The server, made with one of the two functions of an event loop; it is not started.

        Raises:
            Failure: it can't be made.
        """

    @abstractmethod
    def lines(self, server: ServerLife) -> Sequence[str]:
        """What is printed when it listens. The first line ends with a URL."""

    @abstractmethod
    def stopping(self, server: ServerLife) -> str:
        """What is logged when it begins to end."""

    def companions(self, server: ServerLife) -> Sequence[Companion]:  # noqa: ARG002 - for those that have some
        """What runs beside it."""
        return ()


def tls_context(binding: Binding) -> ssl.SSLContext | None:
    """What wss and https need; None where they are not asked for.

    Raises:
        Failure: a file can't be used.
    """
    if binding.tls_cert is None:
        if binding.tls_key is not None:
            raise Failure("--tls-key needs --tls-cert: name the certificate's file too")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for option, path in (("--tls-cert", binding.tls_cert), ("--tls-key", binding.tls_key)):
        if path is not None:
            try:
                Path(path).read_bytes()
            except OSError as error:
                raise Failure(f"{option} {path}: {error.strerror}") from error
    try:
        context.load_cert_chain(binding.tls_cert, binding.tls_key, _no_password)
    except (ssl.SSLError, OSError) as error:
        raise Failure(
            f"--tls-cert {binding.tls_cert}: not a PEM certificate with its private key "
            "(give the key's file with --tls-key)"
        ) from error
    return context


def _no_password() -> NoReturn:
    # Without this OpenSSL asks at the terminal, where a server started by a supervisor hangs.
    raise Failure("--tls-key: the private key is encrypted; give one that is not")


def run(service: Service) -> None:
    """Serve until SIGINT or SIGTERM, end in good order; a second one ends at once.

    Raises:
        Failure: it cannot start.
    """
    # Until it listens hardly anything becomes garbage, and a store may hold 100,000 things to be walked.
    gc.disable()
    try:
        _run(service)
    finally:
        gc.enable()


def _run(service: Service) -> None:
    if service.binding.transport == "trio":
        try:
            from .serving_trio import run_on_trio
        except ModuleNotFoundError as error:
            if error.name != "trio":
                raise
            raise Failure("--transport trio: not installed; add the extra 'trio'") from error
        run_on_trio(service)
    else:
        from .serving_asyncio import run_on_asyncio

        run_on_asyncio(service)


def urls(binding: Binding, server: ServerLife, scheme: Literal["http", "ws"]) -> list[str]:
    """Where a server listens, as clients write it: one URL for each of its sockets."""
    if binding.unix is not None:
        return [f"unix:{Path(binding.unix).absolute()}"]
    prefix = scheme if binding.tls_cert is None else f"{scheme}s"
    found: list[str] = []
    for sock in server.sockets:
        host, port = sock.getsockname()[:2]
        found.append(
            f"{prefix}://[{host}]:{port}/" if ":" in host else f"{prefix}://{host}:{port}/"
        )
    return found


# For the modules that know a loop.


def cannot_listen(binding: Binding, error: OSError | UnicodeError) -> Failure:
    """What to say when the listening sockets cannot be made."""
    return Failure(f"cannot listen on {binding}: {_reason(error)}")


def announce(service: Service, server: ServerLife) -> None:
    """Print what listens, and where.

    Raises:
        Failure: it can't be printed.
    """
    # The command line's libraries are some 40,000 objects that every full collection would walk.
    gc.collect()
    gc.freeze()
    gc.enable()
    try:
        print("\n".join(service.lines(server)), flush=True)
    except OSError as error:
        raise Failure(f"cannot write to standard output: {_reason(error)}") from error


def connections(number: int) -> str:
    """So many connections, in words."""
    return f"{number:,} connection{'' if number == 1 else 's'}"


def stop(service: Service, server: ServerLife) -> None:
    """The first signal came: log it, and begin to end."""
    logger.info("stopping: %s; a second signal ends at once", service.stopping(server))
    server.close()


def stopped() -> None:
    """All connections are closed."""
    logger.info("stopped")


def stop_at_once() -> NoReturn:
    """The second one came: nothing that still hangs may keep us."""
    logger.warning("a second signal: ending at once")
    os._exit(1)


async def accompany(companion: Companion, sleep: Sleep) -> None:
    """Run a companion. Should it fail, the server goes on without it."""
    try:
        await companion(sleep)
    except Exception:
        logger.exception("an internal error beside the server")


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "not the name of a host"
    # asyncio words the common failures at length and repeats the address; errno says it better.
    # What failed to resolve has a negative errno and good words of its own.
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error)).lower()
