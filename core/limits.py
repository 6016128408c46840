"""Every bound of one connection, by name, with its default and the reason for it.

Sizes are bytes unless a field says otherwise; durations are seconds. `None` switches off what may be
switched off.
"""

from math import inf, nextafter
from typing import Final

import msgspec

__all__ = ["Limits", "TokenBucket"]

_OBJECT: Final = 512
"""Bytes that one queued event or frame costs beyond its payload, rounded up."""

_READ: Final = 65536
"""The most that an adapter gives to `receive_data` at once."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bounds of one connection. Frozen, so one object serves every connection.

    Raises:
        ValueError: a field cannot work; the message names it and says what can.
    """

    max_size: int | None = 2**20
    """A message, after inflation. 1 MiB as in `websockets` and Channels; more is closed with 1009."""

    max_fragments: int = 1024
    """Frames of one message, empty ones included; each costs 10 µs to parse. More is closed with 1009."""

    max_queue: int = 16
    """Messages that wait for the application before we stop reading. 16 as in `websockets`."""

    max_queue_size: int = 2**20
    """Characters and bytes that wait for the application before we stop reading: one full message."""

    max_handshake_size: int = 16384
    """The head of a request or response, what is held behind it before the answer, and the framing of a
    body's chunks. As h11."""

    max_headers: int = 100
    """Header lines in a request or response. As Apache; browsers send about 15."""

    max_host: int = 255
    """The Host header. The longest DNS name has 253."""

    max_body: int = 65536
    """The body of an HTTP response that refuses us, which a client keeps for its error message."""

    max_request_body: int = 2**20
    """The body of an ordinary HTTP request, where `ServerOptions.http` reports those. 1 MiB as in nginx,
    and as for a message; more gets 413."""

    max_pending_pongs: int = 16
    """Pongs that wait to be sent; beyond it only the newest is kept (RFC 6455, 5.5.3)."""

    max_pending_pings: int = 64
    """Pings of the application that wait for their pong."""

    control_burst: int = 1000
    """Pings and pongs that a peer may send at once. A flood of them is closed with 4029."""

    control_rate: float = 100.0
    """Pings and pongs a second that a peer may send for ever."""

    write_limit: int = 65536
    """High-water mark: above it `write_paused` is true and a writer should wait."""

    max_write_buffer: int = 16 * 2**20
    """Bytes that may wait to be sent; a caller who queues more is told so."""

    drain_size: int = 65536
    """Bytes that are read and thrown away after our last ones, so that a reset does not lose those."""

    open_timeout: float | None = 10.0
    """The opening handshake, from the first moment to the answer. 10 s as in `websockets`."""

    ping_interval: float | None = 20.0
    """Between keepalive pings. 20 s keeps the usual proxies (60 s) from cutting an idle connection."""

    ping_timeout: float | None = 20.0
    """Silence after a keepalive ping, counted while we read. Then the connection fails with 1011."""

    message_timeout: float | None = 60.0
    """From a message's first byte to its last, counted while we read. 1 MiB in 60 s is 17 kB/s."""

    write_timeout: float | None = 120.0
    """Bytes wait and nothing was taken. Then the socket is closed. Longer than a handler may stall on the
    other side; a peer that is gone is found sooner, by keepalive."""

    close_timeout: float = 10.0
    """For the peer to answer our Close frame, or to end the stream, from when it last took bytes. 10 s
    as in `websockets`."""

    answer_timeout: float = 1.0
    """For the application to take, and answer, messages that came before a Close frame."""

    drain_timeout: float = 2.0
    """For the peer to end the stream after our last bytes."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"{name}={value!r}: must be a number")  # noqa: TRY004 - as the others
            if name.endswith("_delay"):
                if not 0 <= value < inf:
                    raise ValueError(f"{name}={value!r}: must be a number of at least 0")
            elif name.endswith(("_timeout", "_interval", "_rate", "_spread")):
                if not 0 < value < inf:
                    off = " (None switches it off)" if name in _OPTIONAL else ""
                    raise ValueError(f"{name}={value!r}: must be a number above 0{off}")
            elif not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}={value!r}: must be a whole number of at least 1")
        if self.max_write_buffer < self.write_limit:
            raise ValueError(
                f"max_write_buffer={self.max_write_buffer!r}: must be at least write_limit, "
                f"which is {self.write_limit!r}"
            )

    def worst_case_bytes(self, connections: int) -> int:
        """An upper bound, in bytes, for what `connections` connections can make the core hold.

        Counted for each: the head of the request and what is held behind it; the message being
        assembled, twice, because its parts and the whole exist together for a moment, and four times
        as much for text, since one character beyond the Basic Multilingual Plane makes CPython use
        four bytes for all; messages that wait for the application, with what one more read may add;
        pongs; or instead of these, if it is more, the body of an ordinary HTTP request, three times
        because its parts, what they may grow by and the whole exist together for a moment; frames that
        wait to be sent, the last one as large as `max_size`. Left out: larger messages and responses
        that the application itself sends, the adapter's socket and task, the inflation window (at most
        44 KiB where compression was agreed), and what the application keeps.

        Raises:
            ValueError: `max_size` is None, so there is no bound.
        """
        if self.max_size is None:
            raise ValueError(
                "max_size=None: without it there is no bound; set it to a number of bytes"
            )
        opening = 4 * self.max_handshake_size + self.max_headers * _OBJECT
        message = 2 * 4 * self.max_size
        small_frame = 6
        waiting = (
            4 * (self.max_queue_size + self.max_size + _READ)
            + (self.max_queue + _READ // small_frame) * _OBJECT
        )
        pongs = self.max_pending_pongs * (125 + _OBJECT)
        pings = self.max_pending_pings * (125 + _OBJECT)
        writing = 2 * self.max_write_buffer + self.max_size
        # A connection has either messages or one ordinary request.
        read = max(message + waiting + pongs + pings, 3 * self.max_request_body + 4 * _READ)
        return connections * (opening + read + writing + 4096)


_OPTIONAL = frozenset(
    {
        "max_size",
        "open_timeout",
        "ping_interval",
        "ping_timeout",
        "message_timeout",
        "write_timeout",
    }
)


_ROUNDING: Final = 1e-6
"""How much of a token may be missing: sums of floats are not exact."""


class TokenBucket:
    """A budget that fills at `rate` a second up to `burst`; time is passed in."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at = now

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Take `amount` and return True, or take nothing and return False."""
        if now > self._at:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
        if self._tokens < amount - _ROUNDING:
            return False
        self._tokens -= amount
        return True

    def available_at(self, now: float) -> float:
        """When `take` gives one: `now`, if that is at once."""
        have = self._tokens + max(0.0, now - self._at) * self._rate
        if have >= 1.0 - _ROUNDING:
            return now
        # Later in any case, or who waits for it would wait in a circle.
        return max(now + (1.0 - have) / self._rate, nextafter(now, inf))
