"""Runs one server program on asyncio until a signal ends it."""

import asyncio
import gc
import logging
import os
import signal
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from ..core.handshake import ServerOptions
from ..transports.asyncio import Handler, serve

__all__ = ["Binding", "StartError", "run"]


logger = logging.getLogger("hubbub.server")


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """Where a server listens."""

    host: str
    port: int
    tls_cert: str | None = None
    tls_key: str | None = None
    uvloop: bool = False


class StartError(Exception):
    """The server cannot start; the message is one line that says why and what to do."""


def _tls_context(binding: Binding) -> ssl.SSLContext | None:
    if binding.tls_cert is None:
        if binding.tls_key is not None:
            raise StartError("--tls-key needs --tls-cert: name the certificate's file too")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for option, path in (("--tls-cert", binding.tls_cert), ("--tls-key", binding.tls_key)):
        if path is not None:
            try:
                Path(path).read_bytes()
            except OSError as error:
                raise StartError(f"{option} {path}: {error.strerror}") from error
    try:
        context.load_cert_chain(binding.tls_cert, binding.tls_key, _no_password)
    except (ssl.SSLError, OSError) as error:
        raise StartError(
            f"--tls-cert {binding.tls_cert}: not a PEM certificate with its private key "
            "(give the key's file with --tls-key)"
        ) from error
    return context


def _no_password() -> NoReturn:
    # Without this OpenSSL asks at the terminal, where a server started by a supervisor hangs.
    raise StartError("--tls-key: the private key is encrypted; give one that is not")


def _loop_factory(binding: Binding) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if not binding.uvloop:
        return None
    try:
        import uvloop
    except ImportError as error:
        raise StartError("--uvloop: not installed; add the extra 'uvloop'") from error
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _url(scheme: str, address: Any) -> str:
    host, port = address[:2]
    return f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/"


def run(
    name: str, handler: Handler, options: ServerOptions, binding: Binding, *, page: bool
) -> None:
    """Serve until SIGINT or SIGTERM; a second one ends at once.

    Prints one line when it listens, which ends with the URL: of the page, if there is one.

    Raises:
        StartError: it cannot start.
    """
    context = _tls_context(binding)
    scheme = ("https" if context else "http") if page else ("wss" if context else "ws")

    async def main() -> None:
        try:
            server = await serve(handler, binding.host, binding.port, options=options, ssl=context)
        except (OSError, UnicodeError) as error:
            raise StartError(
                f"cannot listen on {binding.host} port {binding.port}: {_reason(error)}"
            ) from error
        # Before the line: who reads it may send a signal at once.
        asked = _signalled()
        url = _url(scheme, server.sockets[0].getsockname())
        # The command line's libraries are some 40,000 objects that every full collection would walk.
        gc.collect()
        gc.freeze()
        try:
            print(f"hubbub {name} listens on {url}", flush=True)
        except OSError as error:
            raise StartError(f"cannot write to standard output: {_reason(error)}") from error
        await asked.wait()
        logger.info(
            "stopping: %d connections are being closed; a second signal ends at once",
            len(server.connections),
        )
        server.close()
        await server.wait_closed()

    with asyncio.Runner(loop_factory=_loop_factory(binding)) as runner:
        runner.run(main())


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "not the name of a host"
    # asyncio words the common failures at length and repeats the address; errno says it better.
    # What failed to resolve has a negative errno and good words of its own.
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error)).lower()


def _signalled() -> asyncio.Event:
    """What SIGINT and SIGTERM set; a second one ends the process."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def on_signal() -> None:
        if asked.is_set():
            os._exit(1)  # asked twice: nothing that still hangs may keep us
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    return asked
