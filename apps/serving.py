"""Runs one server program, on the event loop that was asked for, until a signal ends it."""

import gc
import logging
import os
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

import msgspec

from ..core.handshake import ServerOptions
from ..transports.server import BaseServer
from ..transports.server_connection import Handler
from .failure import Failure

__all__ = ["Binding", "Program", "Transport", "announce", "cannot_listen", "run", "stopping"]

Transport = Literal["asyncio", "trio"]
"""The event loops."""

logger = logging.getLogger("hubbub.server")


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """Where a server listens, and on what it runs."""

    host: str
    port: int
    unix: str | None = None
    """A path, instead of host and port."""
    trusted_proxies: Sequence[str] = ()
    tls_cert: str | None = None
    tls_key: str | None = None
    transport: Transport = "asyncio"
    uvloop: bool = False

    def __str__(self) -> str:
        return f"{self.host} port {self.port}" if self.unix is None else self.unix


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What a server does."""

    name: str
    handler: Handler
    options: ServerOptions
    page: bool
    """Whether a browser finds a page at `/`."""


def _tls_context(binding: Binding) -> ssl.SSLContext | None:
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


def run(program: Program, binding: Binding) -> None:
    """Serve until SIGINT or SIGTERM; a second one ends at once.

    Prints one line when it listens, which ends with the URL: of the page, if there is one.

    Raises:
        Failure: it cannot start.
    """
    keywords: dict[str, Any] = {
        "options": program.options,
        "ssl": _tls_context(binding),
        "trusted_proxies": tuple(binding.trusted_proxies),
    }
    if binding.unix is None:
        keywords |= {"host": binding.host, "port": binding.port}
    else:
        keywords["path"] = binding.unix
    if binding.transport == "trio":
        try:
            from .serving_trio import run_on_trio
        except ModuleNotFoundError as error:
            if error.name != "trio":
                raise
            raise Failure("--transport trio: not installed; add the extra 'trio'") from error
        run_on_trio(program, binding, keywords)
    else:
        from .serving_asyncio import run_on_asyncio

        run_on_asyncio(program, binding, keywords)


# For the modules that know a loop.


def cannot_listen(binding: Binding, error: OSError | UnicodeError) -> Failure:
    """What to say when the listening sockets cannot be made."""
    return Failure(f"cannot listen on {binding}: {_reason(error)}")


def announce(program: Program, binding: Binding, server: BaseServer) -> None:
    """Print the line that says where the server listens.

    Raises:
        Failure: it can't be printed.
    """
    # The command line's libraries are some 40,000 objects that every full collection would walk.
    gc.collect()
    gc.freeze()
    url = _url(program, binding, server.sockets[0].getsockname())
    try:
        print(f"hubbub {program.name} listens on {url}", flush=True)
    except OSError as error:
        raise Failure(f"cannot write to standard output: {_reason(error)}") from error


def stopping(server: BaseServer) -> None:
    """Log that the first signal came, and stop listening."""
    logger.info(
        "stopping: %d connections are being closed; a second signal ends at once",
        len(server.connections),
    )
    server.close()


def _url(program: Program, binding: Binding, address: Any) -> str:
    if binding.unix is not None:
        return f"unix:{Path(binding.unix).absolute()}"
    scheme = "http" if program.page else "ws"
    if binding.tls_cert is not None:
        scheme += "s"
    host, port = address[:2]
    return f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/"


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "not the name of a host"
    # asyncio words the common failures at length and repeats the address; errno says it better.
    # What failed to resolve has a negative errno and good words of its own.
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error)).lower()
