"""What one side hears: bytes to events that wait for the application, and pongs that go back."""

from .deflate import Inflater
from .events import BinaryMessage, Close, Event, TextMessage
from .extensions import Agreement
from .frames import CloseCode
from .handshake import Options
from .inbox import Inbox
from .keepalive import Keepalive
from .limits import TokenBucket
from .sender import Sender
from .splitter import Failure, FrameSplitter, Item, PingFrame, PongFrame
from .timeouts import Timer, Timers

__all__ = ["Receiver"]


class Receiver:
    """Receives frames from the end of the handshake to the first Close frame or failure.

    It stops the timers that judge the peer's silence when the application does not keep up, and arms
    the one for a message that was begun.

    Args:
        options: limits, and how messages are given out.
        agreement: on compression.
        sender: where pongs go.
        inbox: where events go.
        keepalive: what pongs answer.
        timers: those of the connection.
    """

    __slots__ = (
        "_assembling",
        "_control",
        "_inbox",
        "_keepalive",
        "_options",
        "_sender",
        "_splitter",
        "_timers",
        "discarded",
        "discarding",
        "quiet",
    )

    def __init__(
        self,
        options: Options,
        agreement: Agreement | None,
        sender: Sender,
        inbox: Inbox,
        keepalive: Keepalive,
        timers: Timers,
    ) -> None:
        self._options = options
        self._sender = sender
        self._inbox = inbox
        self._keepalive = keepalive
        self._timers = timers
        inflater = None
        if agreement is not None:
            limit = options.limits.max_size
            inflater = Inflater.of(agreement, client=sender.client, max_size=limit)
        self._splitter = FrameSplitter(
            client=sender.client,
            limits=options.limits,
            inflater=inflater,
            fragments=options.fragments,
            fast_path=options.fast_path,
        )
        self._control: TokenBucket | None = None
        self._assembling: int | None = None
        self.discarding = False
        """Set once our Close frame is sent: messages are thrown away and pings not answered."""
        self.discarded = 0
        """Messages thrown away."""
        self.quiet = False
        """Whether the last `receive` queued messages at most: nothing to send, and no timer moved."""

    def receive(self, data: bytes, now: float) -> Close | Failure | None:
        """Queue what `data` completes. What ends the connection is returned; call it no more then."""
        splitter = self._splitter
        items = splitter.receive(data)
        end = None
        self.quiet = splitter.only_messages
        if splitter.only_messages:
            if items:
                self._queue(items, now)  # type: ignore[arg-type]  # they are, as it says
        else:
            end = self._receive_items(items, now)
        if splitter.began_at != self._assembling:
            # Another message than before is half-read, or none.
            self.quiet = False
            self._assembling = splitter.began_at
            if self._assembling is None:
                self._timers.disarm(Timer.MESSAGE)
            elif not self.discarding:
                self._timers.arm(Timer.MESSAGE, now, self._options.limits.message_timeout)
        return end

    @property
    def surplus(self) -> int:
        """After the end: bytes that were read for nothing (see `FrameSplitter.surplus`)."""
        return self._splitter.surplus

    def release_parser(self) -> None:
        """Give memory back that an idle connection does not need."""
        self._splitter.release_parser()

    def _queue(self, messages: list[Event], now: float) -> None:
        if self.discarding:
            self.discarded += len(messages)
        else:
            self._inbox.push(messages)
            if self._inbox.held:
                self.quiet = False
                self._timers.stop(now)

    def _receive_items(self, items: list[Item], now: float) -> Close | Failure | None:
        """Messages among other things."""
        for item in items:
            if isinstance(item, (TextMessage, BinaryMessage)):
                self._queue([item], now)
            elif isinstance(item, (Close, Failure)):
                return item
            elif not self._in_budget(now):
                return Failure(CloseCode.TOO_MANY, "too many control frames")
            elif isinstance(item, PongFrame):
                self._inbox.push(self._keepalive.receive_pong(item.payload, now))
            else:
                self._answer_ping(item, now)
        return None

    def _in_budget(self, now: float) -> bool:
        if self._control is None:
            limits = self._options.limits
            self._control = TokenBucket(limits.control_rate, limits.control_burst, now)
        return self._control.take(now)

    def _answer_ping(self, ping: PingFrame, now: float) -> None:
        if not self.discarding:
            self._sender.write_pong(ping.payload)
            if not self._timers.armed(Timer.WRITE):
                self._timers.arm(Timer.WRITE, now, self._options.limits.write_timeout)
