"""TLS as a link around another link: ciphertext outside, plain bytes inside, no socket.

So the same code speaks TLS on every event loop, and how the bytes were cut does not matter.
"""

import contextlib
import ssl as stdlib_ssl
from typing import Final

from ..core.link import End, Link

__all__ = ["TLSLink"]

_READ_SIZE: Final = 65536


class TLSLink:
    """A `Link` that speaks TLS for the one inside it.

    The inner link's own timers bound the TLS handshake: its opening deadline runs from the start.

    Args:
        inner: gets and gives plain bytes.
        context: certificates and rules.
        server_side: which side we are.
        server_hostname: client: the name that the server's certificate must be for.
    """

    __slots__ = (
        "_ended",
        "_established",
        "_failed",
        "_finished",
        "_incoming",
        "_outgoing",
        "_touched",
        "error",
        "inner",
        "ssl_object",
    )

    def __init__(
        self,
        inner: Link,
        context: stdlib_ssl.SSLContext,
        *,
        server_side: bool,
        server_hostname: str | None = None,
    ) -> None:
        self.inner = inner
        """The link inside."""
        self._incoming = stdlib_ssl.MemoryBIO()
        self._outgoing = stdlib_ssl.MemoryBIO()
        self.ssl_object = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_side,
            server_hostname=server_hostname,
        )
        self._established = False
        self._ended = False
        self._finished = False
        self._failed = False
        self._touched = True
        self.error: Exception | None = None
        """What ended TLS against its rules, such as a certificate that is not trusted."""
        if not server_side:
            self._shake_hands(0.0)  # writes the first message; nothing can fail before an answer

    # Bytes and time in.

    def receive_data(self, data: bytes, now: float) -> None:
        """Ciphertext arrived (see `Link`)."""
        self._touched = True
        if self._failed or self._ended or not data:
            return
        self._incoming.write(data)
        self._advance(now)

    def receive_eof(self, now: float) -> None:
        """The peer ended its stream (see `Link`)."""
        self._touched = True
        if not (self._failed or self._ended):
            self._ended = True
            self._incoming.write_eof()
            self._advance(now)
        # An end without TLS's own is no news: WebSocket has a closing handshake of its own.
        self.inner.receive_eof(now)

    def connection_lost(self, now: float) -> None:
        """The socket is gone (see `Link`)."""
        self.inner.connection_lost(now)

    def handle_timeout(self, now: float) -> None:
        """Do what is due (see `Link`)."""
        self._touched = True
        self.inner.handle_timeout(now)

    def write_blocked(self, now: float) -> None:
        """The socket took only a part (see `Link`)."""
        self.inner.write_blocked(now)

    def next_timeout(self) -> float | None:
        """When to call `handle_timeout` (see `Link`)."""
        return self.inner.next_timeout()

    # Bytes out.

    def data_to_send(self, now: float, max_bytes: int = 65536) -> list[bytes]:
        """Take ciphertext to write: `max_bytes` are those inside it (see `Link`)."""
        inner = self.inner
        self._touched = False
        if not self._established or self._failed:
            inner.handle_timeout(now)  # it tells the time; nothing can be taken
        elif not self._finished:
            plain = inner.data_to_send(now, max_bytes)
            if plain:
                self._encrypt(b"".join(plain), now)
            if inner.end is not None and not inner.wants_write:
                self._finish()
        ciphertext = self._outgoing.read()
        return [ciphertext] if ciphertext else []

    @property
    def dirty(self) -> bool:
        """Whether the adapter has something to do (see `Link`)."""
        return self._touched or bool(self._outgoing.pending) or self.inner.dirty

    @property
    def unchanged(self) -> bool:
        """Not known here (see `Link`)."""
        return False

    @property
    def wants_read(self) -> bool:
        """Whether to read on (see `Link`)."""
        return not self._failed and self.inner.wants_read

    @property
    def wants_write(self) -> bool:
        """Whether `data_to_send` has something (see `Link`)."""
        if self._outgoing.pending:
            return True
        return self._established and not self._finished and self.inner.wants_write

    @property
    def end(self) -> End | None:
        """What to do to the socket (see `Link`)."""
        if self._outgoing.pending:
            return None
        return End.CLOSE if self._failed else self.inner.end

    # Inside.

    def _shake_hands(self, now: float) -> None:
        try:
            self.ssl_object.do_handshake()
            self._established = True
        except stdlib_ssl.SSLWantReadError:
            pass
        except (OSError, ValueError) as error:  # SSLError and CertificateError among them
            self._fail(error, now)

    def _advance(self, now: float) -> None:
        if not self._established:
            self._shake_hands(now)
        while self._established and not self._failed:
            try:
                data = self.ssl_object.read(_READ_SIZE)
            except stdlib_ssl.SSLWantReadError:
                return
            except (stdlib_ssl.SSLZeroReturnError, stdlib_ssl.SSLEOFError):
                data = b""
            except (OSError, ValueError) as error:
                self._fail(error, now)
                return
            if not data:
                self.inner.receive_eof(now)
                return
            self.inner.receive_data(data, now)

    def _encrypt(self, data: bytes, now: float) -> None:
        try:
            self.ssl_object.write(data)
        except (OSError, ValueError) as error:
            self._fail(error, now)

    def _finish(self) -> None:
        """Say the end, as TLS asks; the peer's is not waited for, the inner link knows how to end."""
        self._finished = True
        # It wants the peer's end, or the peer broke the rules while we leave.
        with contextlib.suppress(OSError, ValueError):
            self.ssl_object.unwrap()

    def _fail(self, error: Exception, now: float) -> None:
        self._failed = True
        self.error = error
        self.inner.connection_lost(now)
