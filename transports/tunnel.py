"""A link through an HTTP proxy: it asks for a tunnel first, then is as if it were not there."""

from ..core.link import End, Link
from ..core.proxy import ProxyTunnel, TunnelOpen, TunnelRefused

__all__ = ["TunnelLink"]


class TunnelLink:
    """A `Link` that opens a tunnel for the one inside it.

    The inner link's opening deadline, which runs from the start, bounds the proxy's answer too.

    Args:
        inner: speaks to the server at the tunnel's end.
        tunnel: speaks to the proxy.
    """

    __slots__ = ("_dirty", "_open", "_request", "_tunnel", "inner", "refusal")

    def __init__(self, inner: Link, tunnel: ProxyTunnel) -> None:
        self.inner = inner
        """The link inside."""
        self._tunnel = tunnel
        self._request = tunnel.request()
        self._open = False
        self._dirty = True
        self.refusal: TunnelRefused | None = None
        """Why there is no tunnel."""

    def receive_data(self, data: bytes, now: float) -> None:
        """Bytes arrived (see `Link`)."""
        if self._open:
            self.inner.receive_data(data, now)
        elif data and self.refusal is None:
            self._dirty = True
            verdict = self._tunnel.receive(data)
            if isinstance(verdict, TunnelOpen):
                self._open = True
                self.inner.receive_data(verdict.rest, now)
            elif verdict is not None:
                self._refused(verdict, now)

    def receive_eof(self, now: float) -> None:
        """The stream ended (see `Link`)."""
        if self._open:
            self.inner.receive_eof(now)
        elif self.refusal is None:
            self._refused(self._tunnel.receive_eof(), now)

    def connection_lost(self, now: float) -> None:
        """The socket is gone (see `Link`)."""
        self.inner.connection_lost(now)

    def handle_timeout(self, now: float) -> None:
        """Do what is due (see `Link`)."""
        self.inner.handle_timeout(now)

    def write_blocked(self, now: float) -> None:
        """The socket took only a part (see `Link`)."""
        self.inner.write_blocked(now)

    def next_timeout(self) -> float | None:
        """When to call `handle_timeout` (see `Link`)."""
        return self.inner.next_timeout()

    def data_to_send(self, now: float, max_bytes: int = 65536) -> list[bytes]:
        """Take bytes to write (see `Link`)."""
        self._dirty = False
        if self._open:
            return self.inner.data_to_send(now, max_bytes)
        self.inner.handle_timeout(now)  # it tells the time; nothing can be taken
        request, self._request = self._request, b""
        return [request] if request else []

    @property
    def dirty(self) -> bool:
        """Whether the adapter has something to do (see `Link`)."""
        return self._dirty or self.inner.dirty

    @property
    def unchanged(self) -> bool:
        """Not known here (see `Link`)."""
        return False

    @property
    def wants_read(self) -> bool:
        """Whether to read on (see `Link`)."""
        return self.refusal is None and self.inner.wants_read

    @property
    def wants_write(self) -> bool:
        """Whether `data_to_send` has something (see `Link`)."""
        return self.inner.wants_write if self._open else bool(self._request)

    @property
    def end(self) -> End | None:
        """What to do to the socket (see `Link`)."""
        return self.inner.end if self.refusal is None else End.CLOSE

    def _refused(self, refusal: TunnelRefused | None, now: float) -> None:
        self.refusal = refusal or TunnelRefused("the proxy ended the stream")
        self.inner.connection_lost(now)
