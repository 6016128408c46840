"""One WebSocket connection, server or client side (RFC 6455, RFC 7692), with all its timers.

`WebSocket` is a `Link` (see `hubbub.core.link` for the contract with the adapter) with events and
commands for its user. A minimal server, in any event loop::

    ws = WebSocket(ServerOptions(), now=now, entropy=os.urandom)
    ...  # the adapter's calls, as the contract says
    while (event := ws.next_event()) is not None:
        match event:
            case Requested():
                ws.accept(now)
            case TextMessage(data):
                ws.send(data, now)  # echo
            case Closed() | Refused():
                ...  # the last event; ws.end says what to do to the socket

Order is kept: answers to messages leave before the Close frame that answers what came behind those
messages, be it the peer's Close frame or bytes that fail the connection.
"""

from collections.abc import Iterable
from typing import Final

from .closing import ClosingHandshake
from .errors import LocalProtocolError
from .events import Close, Closed, Event, Pong
from .extensions import Agreement
from .frames import MAX_REASON, CloseCode, Opcode, close_payload
from .handshake import ClientOptions, ServerOptions
from .http import HeadersLike, Response, text_response
from .inbox import Inbox
from .keepalive import Keepalive
from .link import End
from .opening import ClientOpening, ClientVerdict, Invalid, Refusal, ServerOpening
from .outgoing import PreparedMessage
from .receiver import Receiver
from .sender import Entropy, Sender
from .splitter import Failure
from .states import Closing, Opening, State
from .timeouts import Timer, Timers

__all__ = ["WebSocket"]

_PROBE_SIZE: Final = 4
_OFFERED: Final = "\0"  # no subprotocol can be called so


class WebSocket:
    """One connection's machine.

    Args:
        options: `ServerOptions` make a server's side, `ClientOptions` a client's.
        now: the time, in seconds from any fixed origin.
        entropy: where unpredictable bytes come from.

    Raises:
        LocalProtocolError: a client's option cannot be sent.
    """

    __slots__ = (
        "_closing",
        "_deaf",
        "_drained",
        "_entropy",
        "_eof",
        "_held",
        "_inbox",
        "_keepalive",
        "_now",
        "_opening",
        "_options",
        "_out",
        "_plain",
        "_receiver",
        "_sender",
        "_timers",
        "_unanswered",
        "_write_limit",
        "answers_wait",
        "dirty",
        "unchanged",
    )

    def __init__(
        self, options: ServerOptions | ClientOptions, *, now: float, entropy: Entropy
    ) -> None:
        self._options = options
        self._write_limit = options.limits.write_limit
        self._entropy = entropy
        self._now = now
        self._sender = Sender(options, entropy)
        self._out = self._sender.out
        self._plain = False
        """Whether a shared frame may be queued as it is: a server's side, open, without compression."""
        self._inbox = Inbox(options.limits)
        self._timers = Timers()
        self._keepalive = Keepalive()
        self._receiver: Receiver | None = None
        self._closing = ClosingHandshake()
        self._drained = 0
        self._deaf = False
        """Whether the peer does harm, so that its stream is not read to its end either."""
        self._eof = False
        self._held = False
        self._unanswered = False
        self.answers_wait = False
        """Set it while answers wait in a queue outside, or are not known yet: a Close frame that is due then
        waits for the user to ask for the next event, `answer_timeout` at most."""
        self.dirty = True
        """Whether the adapter has something to do (see `Link`)."""
        self.unchanged = False
        """Whether nothing but bytes changed (see `Link`)."""
        self._opening: ServerOpening | ClientOpening | None
        if isinstance(options, ClientOptions):
            self._opening = ClientOpening(options, entropy(16))
            self._sender.out.append(self._opening.request())
        else:
            self._opening = ServerOpening(options)
        self._arm(Timer.OPEN, options.limits.open_timeout)
        self._sync(now)

    # What the connection is.

    @property
    def state(self) -> State:
        """Where the connection stands, in the terms of RFC 6455."""
        if self._closing.state is Closing.ENDED:
            return State.CLOSED
        if self._closing.state is not Closing.NONE:
            return State.CLOSING
        return State.CONNECTING if self._opening is not None else State.OPEN

    @property
    def can_send(self) -> bool:
        """Whether messages may be sent, that is, it is open and we have sent no Close frame."""
        return self._opening is None and self._closing.state in (Closing.NONE, Closing.DUE)

    @property
    def latency(self) -> float:
        """Seconds from the last keepalive ping to its pong; 0.0 before the first."""
        return self._keepalive.latency

    @property
    def closed(self) -> Closed | None:
        """How the connection ended, as the `Closed` event says, even before that is taken; or None."""
        return self._closing.closed

    @property
    def compressed(self) -> bool:
        """Whether permessage-deflate was agreed."""
        return self._sender.agreement is not None

    @property
    def bytes_to_send(self) -> int:
        """Bytes that wait for `data_to_send`."""
        return self._sender.out.size

    @property
    def write_paused(self) -> bool:
        """Whether more than `write_limit` bytes wait. A writer should then wait too."""
        return self._sender.out.size > self._write_limit

    # Link: bytes and time in.

    def receive_data(self, data: bytes, now: float) -> None:
        """Bytes arrived (see `Link`)."""
        if type(data) is not bytes:
            data = bytes(data)  # an adapter's buffer may be used again after this call
        if not data:
            return
        self._now = now
        if self._timers.stopped:
            self._sync(now)
        self._keepalive.heard = True
        receiver = self._receiver
        if receiver is not None:
            end = receiver.receive(data, now)
            if not receiver.quiet:
                self.dirty = True
                self.unchanged = False
                if end is not None:
                    self._receive_end(receiver, end)
            return
        self.dirty = True
        self.unchanged = False
        if self._opening is not None:
            self._receive_opening(self._opening, data)
        else:
            self._drained += len(data)

    def receive_eof(self, now: float) -> None:
        """The peer ended its stream (see `Link`)."""
        if self._eof or self._closing.state is Closing.ENDED:
            return
        self._sync(now)
        self._eof = True
        if self._closing.state is Closing.DUE or (
            self._closing.state is Closing.OVER and self._sender.out
        ):
            return  # the peer may still read our answers
        if isinstance(self._opening, ClientOpening):
            refusal = self._opening.receive_eof()
            if refusal is not None:
                self._refuse(refusal)
        opening = self._opening is not None
        where = "during the opening handshake" if opening else "without a Close frame"
        self._end(f"the peer ended the stream {where}")

    def connection_lost(self, now: float) -> None:
        """The socket is gone (see `Link`)."""
        self._sync(now)
        self._end("the connection was lost")

    def handle_timeout(self, now: float) -> None:
        """Do what is due (see `Link`)."""
        self._sync(now)
        for timer in self._timers.expired(now):
            self._expire(timer)

    def next_timeout(self) -> float | None:
        """When to call `handle_timeout`, or None (see `Link`)."""
        return self._timers.next()

    # Link: bytes out, and what to do with the socket.

    def data_to_send(self, now: float, max_bytes: int = 65536) -> list[bytes]:
        """Take bytes to write (see `Link`)."""
        self._now = now
        out = self._out
        if self.unchanged and out.size <= max_bytes:
            self.dirty = False
            return out.take_all()
        if self._timers.stopped:
            self._sync(now)
        taken = out.take(max_bytes)
        # The socket takes bytes again.
        self._timers.disarm(Timer.WRITE)
        if taken and self._timers.armed(Timer.CLOSE):
            self._arm(Timer.CLOSE, self._options.limits.close_timeout)
        if out.size:
            self._sync(now)
        else:
            self._all_taken(now)
            self.dirty = False
            self.unchanged = True
        return taken

    def write_blocked(self, now: float) -> None:
        """The socket took only a part of what was given out (see `Link`)."""
        if self._closing.state is Closing.ENDED:
            return
        self._sync(now)
        limits = self._options.limits
        self._arm(Timer.WRITE, limits.write_timeout)
        # Who still takes our last bytes can't have answered them.
        if self._timers.armed(Timer.CLOSE):
            self._arm(Timer.CLOSE, limits.close_timeout)
        if self._timers.armed(Timer.DRAIN):
            self._arm(Timer.DRAIN, self._end_timeout())

    def _all_taken(self, now: float) -> None:
        """Nothing waits any more: what was to happen when it has left begins."""
        if self._closing.state is Closing.NONE:
            if self._keepalive.probe_left(now):
                self._arm(Timer.PONG, self._options.limits.ping_timeout)
        elif self._closing.state is Closing.OVER:
            if self._eof:
                self._end("")
            elif not self._timers.armed(Timer.DRAIN):
                self._arm(Timer.DRAIN, self._end_timeout())

    @property
    def wants_read(self) -> bool:
        """Whether to read on (see `Link`)."""
        match self._closing.state:
            case Closing.NONE:
                deciding = self._opening is not None and self._opening.state is Opening.DECIDING
                return not (self._inbox.held or self._held or deciding)
            case Closing.SENT:
                return True
            case Closing.OVER:
                drained = self._drained >= self._options.limits.drain_size
                return not (self._eof or self._deaf or drained)
            case _:
                return False

    @property
    def wants_write(self) -> bool:
        """Whether `data_to_send` has something (see `Link`)."""
        return bool(self._sender.out)

    @property
    def end(self) -> End | None:
        """What to do to the socket (see `Link`).

        After the last bytes the sending side is shut down and the rest of the peer's stream is read
        and thrown away, within `drain_size` and `drain_timeout`: a socket that is closed over unread
        bytes makes the kernel send a reset, which can cost the peer our last bytes. Where the peer sent
        more than it may (4029) nothing is read any more, and it has `drain_timeout`. A client whose
        closing handshake went well waits for the server to end the stream first (RFC 6455, 7.1.1).
        """
        if self._closing.state is Closing.ENDED:
            return End.CLOSE
        if self._closing.state is not Closing.OVER or self._sender.out:
            return None
        if self._drained >= self._options.limits.drain_size:
            return End.CLOSE
        return None if self._sender.client and self._closing.clean else End.HALF_CLOSE

    # Events.

    def next_event(self) -> Event | None:
        """Take the next event, or None. After `Closed` or `Refused` there is none."""
        inbox = self._inbox
        held = inbox.held
        event = inbox.take()
        if event is None and self._closing.state is Closing.DUE:
            self._answer()
            event = inbox.take()
        if held and not inbox.held:
            self.dirty = True
            self.unchanged = False
        return event

    @property
    def has_event(self) -> bool:
        """Whether `next_event` has one."""
        return bool(self._inbox) or self._closing.state is Closing.DUE

    @property
    def close_due(self) -> bool:
        """Whether the next event is the last, and our Close frame leaves before it."""
        return self._closing.state is Closing.DUE and not self._inbox

    def take_pongs(self) -> list[Pong]:
        """Take the `Pong` events that wait, out of turn: for adapters, while nobody takes messages."""
        return self._inbox.take_pongs()

    def hold(self, held: bool, now: float) -> None:
        """Whether the user of this machine, for a reason of its own, wants nothing more to be read.

        While it does, the timers that judge the peer's silence stand still, as they do while messages
        wait to be taken.
        """
        if held != self._held:
            self._held = held
            if held:
                self._timers.stop(now)
            self._sync(now)

    # Commands.

    def accept(
        self, now: float, *, subprotocol: str | None = _OFFERED, headers: HeadersLike = ()
    ) -> bool:
        """Server: open the WebSocket that a `Requested` event asked for.

        Returns:
            Whether it is open. It is not if the handshake ended while the event waited, because the
            peer left or the time was up; then nothing was done.

        Args:
            now: the time.
            subprotocol: one of those offered, or None; if left out, `Requested.subprotocol`.
            headers: added to the 101 response.

        Raises:
            LocalProtocolError: nothing to accept, or an argument cannot be sent.
        """
        opening = self._deciding()
        if opening is None:
            return False
        self._sync(now)
        if subprotocol == _OFFERED:
            subprotocol = opening.subprotocol
        response, early = opening.accept(subprotocol, headers)
        self._unanswered = False
        self._sender.out.append(response)
        receiver = self._open(opening.agreement)
        if early:
            self._receive_early(receiver, early)
        self._sync(now)
        return True

    def reject(self, response: Response, now: float) -> None:
        """Server: answer the request that a `Requested` event reported with an HTTP response.

        One of `HttpRequested` too, so that who turns all away need not tell them apart. Does nothing
        if the handshake ended while the event waited.

        Raises:
            LocalProtocolError: nothing to reject, or the response cannot be sent.
        """
        opening = self._deciding()
        if opening is None:
            return
        refusal = opening.refuse(response)
        self._unanswered = False
        self._sync(now)
        self._refuse(refusal)

    def respond(self, response: Response, now: float) -> bool:
        """Server: answer the ordinary request that an `HttpRequested` event reported.

        The answer to a HEAD leaves without its body. Then the connection ends as after `reject`, with
        `Refused` as its last event.

        Returns:
            Whether it is answered. It is not if the handshake ended while the event waited, because the
            peer left or the time was up; then nothing was done.

        Raises:
            LocalProtocolError: nothing to respond to, or the response cannot be sent.
        """
        opening = self._deciding()
        if opening is None:
            return False
        refusal = opening.respond(response)
        self._unanswered = False
        self._sync(now)
        self._refuse(refusal)
        return True

    def send(
        self, data: str | bytes | bytearray | memoryview, now: float, *, final: bool = True
    ) -> None:
        """Send a message, or with `final=False` a fragment of one.

        A message in fragments is ended by one with `final=True`; all have one type.

        Raises:
            LocalProtocolError: not open; text with a lone surrogate; a fragment of another type than
                the first; more than `max_write_buffer` bytes wait already.
            TypeError: `data` is neither text nor bytes.
        """
        if self._opening is not None or self._closing.state is not Closing.NONE:
            self._check_sendable()
        self._sender.send(data, final)
        if not (final and self._plain):
            # Between fragments nothing else may be queued as it is.
            self._plain = (
                final
                and self._sender.agreement is None
                and not self._sender.client
                and self._open_still
            )
        self._queued(now)

    def send_prepared(self, message: PreparedMessage, now: float) -> None:
        """Server: send a message that is encoded once for many receivers.

        Raises:
            LocalProtocolError: as `send`; on a client; between the fragments of a message.
        """
        self._check_sendable()
        self._sender.send_prepared(message)
        self._queued(now)

    def offer(self, message: PreparedMessage) -> bool:
        """Server: send a shared message if it can leave soon, and say whether.

        It can't on a client's side, where the connection is not open, where more than `write_limit` bytes wait already, or
        between the fragments of another message. Nothing is raised, for fan-outs to many.
        """
        out = self._out
        if out.size > self._write_limit:
            return False
        if self._plain:
            out.append(message.frame)
        elif self._open_still and self._sender.fragmented is None and not self._sender.client:
            self._sender.send_prepared(message)
        else:
            return False
        self.dirty = True
        return True

    def frame_of(self, message: PreparedMessage) -> bytes:
        """Server: the frame in which this connection carries a shared message, for queues outside."""
        return self._sender.frame_of(message)

    def send_frames(self, frames: Iterable[bytes], now: float) -> None:
        """Server: queue whole frames of data that a queue outside held back.

        Raises:
            LocalProtocolError: not open.
        """
        self._check_sendable()
        for frame in frames:
            self._out.append(frame)
        self._queued(now)

    def ping(self, now: float, payload: bytes | None = None) -> bytes:
        """Send a ping, by default with 4 unpredictable bytes; a `Pong` event answers it.

        Returns:
            The payload.

        Raises:
            LocalProtocolError: not open; over 125 bytes; `max_pending_pings` wait for their pong.
        """
        self._check_sendable()
        payload = self._entropy(_PROBE_SIZE) if payload is None else bytes(payload)
        self._keepalive.ping(payload, now, self._options.limits)
        self._sender.write(Opcode.PING, payload)
        self._sync(now)
        return payload

    def pong(self, now: float, payload: bytes = b"") -> None:
        """Send a pong that answers nothing: a heartbeat in one direction (RFC 6455, 5.5.3).

        Raises:
            LocalProtocolError: not open; over 125 bytes; more than `max_write_buffer` bytes wait already.
        """
        self._check_sendable()
        if len(payload) > 125:
            raise LocalProtocolError(f"a pong carries at most 125 bytes, not {len(payload)}")
        self._sender.send_pong(bytes(payload))
        self._sync(now)

    def close(
        self, now: float, code: int | None = CloseCode.NORMAL_CLOSURE, reason: str = ""
    ) -> None:
        """Send a Close frame, behind what waits. Does nothing if the connection is closing already.

        A client that is still connecting gives up.

        Raises:
            LocalProtocolError: a code or reason that may not be sent; a server's side that has not
                answered the request.
        """
        payload = close_payload(code, reason)
        if isinstance(self._opening, ServerOpening) and self._closing.state is Closing.NONE:
            raise LocalProtocolError("the request is not answered: use reject(), or accept() first")
        self._sync(now)
        if self._opening is not None:
            self._end("closed before the opening handshake was complete")
        elif self._closing.state is Closing.DUE:
            self._answer()
        elif self._closing.state is Closing.NONE:
            self._closing.send(Close(code, reason))
            self._plain = False
            self._sender.write(Opcode.CLOSE, payload)
            self._inbox.held = False
            if self._receiver is not None:
                self._receiver.discarding = True
            self._timers.disarm_all()
            self._arm(Timer.CLOSE, self._options.limits.close_timeout)
        self._sync(now)

    def fail(self, now: float, code: int, reason: str = "") -> None:
        """Fail the connection (RFC 6455, 7.1.7): send a Close frame, behind what waits, and await no answer.

        With 4029, for peers that do harm, nothing that they send is read any more, and they have
        `drain_timeout` to read our last bytes. So who floods waits too. Does nothing if the connection is
        closing already.

        Raises:
            LocalProtocolError: a code or reason that may not be sent; the handshake is not done.
        """
        close_payload(code, reason)
        if self._opening is not None:
            raise LocalProtocolError(
                "there is no connection yet that could fail: use reject() or close()"
            )
        self._sync(now)
        if self._closing.state is Closing.NONE:
            self._inbox.clear()
            self._fail_now(code, reason)

    # Inside: receiving.

    def _receive_opening(self, opening: ServerOpening | ClientOpening, data: bytes) -> None:
        if isinstance(opening, ServerOpening):
            for outcome in opening.receive(data):
                if isinstance(outcome, Refusal):
                    self._refuse(outcome)
                elif isinstance(outcome, bytes):
                    self._sender.out.append(outcome)
                    self._sync(self._now)
                else:
                    self._unanswered = True
                    self._inbox.push([outcome])
            return
        verdict = opening.receive(data)
        if isinstance(verdict, ClientVerdict):
            self._inbox.push([verdict.event])
            receiver = self._open(verdict.agreement)
            if verdict.rest:
                self._receive_early(receiver, verdict.rest)
        elif isinstance(verdict, Refusal):
            self._refuse(verdict)
        elif isinstance(verdict, Invalid):
            self._end(verdict.cause)

    def _open(self, agreement: Agreement | None) -> Receiver:
        self._opening = None
        self._sender.agreement = agreement
        self._plain = agreement is None and not self._sender.client
        self._receiver = Receiver(
            self._options, agreement, self._sender, self._inbox, self._keepalive, self._timers
        )
        self._timers.disarm(Timer.OPEN)
        self._arm(Timer.PING, self._options.limits.ping_interval)
        return self._receiver

    def _receive_early(self, receiver: Receiver, data: bytes) -> None:
        """Frames that came right behind the other side's part of the handshake."""
        end = receiver.receive(data, self._now)
        if end is not None:
            self._receive_end(receiver, end)

    def _receive_end(self, receiver: Receiver, end: Close | Failure) -> None:
        """A Close frame, or what fails the connection."""
        self._drained += receiver.surplus
        if isinstance(end, Close):
            self._closing.receive(end)
            self._plain = False
            self._close_soon()
        else:
            self._fail(end.code, end.reason)

    # Inside: the end.

    def _fail(self, code: int, reason: str) -> None:
        self._closing.fail(code, reason)
        self._deaf = code == CloseCode.TOO_MANY
        self._plain = False
        self._close_soon()

    def _fail_now(self, code: int, reason: str) -> None:
        """A deadline passed: nobody is waited for."""
        self._fail(code, reason)
        if self._closing.state is Closing.DUE:
            self._answer()

    def _close_soon(self) -> None:
        """Nothing more is read. Our Close frame, if one is due, waits for answers that go before it."""
        if self._closing.state is Closing.OVER:
            self._over("")
            return
        self._receiver = None
        self._inbox.held = False
        self._keep_only_write_timer()
        if self._inbox.messages or self.answers_wait:
            self._arm(Timer.ANSWER, self._options.limits.answer_timeout)
        else:
            self._answer()

    def _answer(self) -> None:
        """Send the Close frame that is due."""
        close = self._closing.answer()
        # A peer's reason came in a frame, so it fits; wsproto's words are cut to be sure.
        reason = close.reason.encode()[:MAX_REASON].decode(errors="ignore")
        self._sender.write(Opcode.CLOSE, close_payload(close.code, reason))
        self._over("")

    def _over(self, cause: str) -> None:
        """The closing handshake is complete, or never will be: only last bytes leave now."""
        self._last_bytes_leave()
        self._tell(cause)

    def _refuse(self, refusal: Refusal) -> None:
        """The handshake ended with an HTTP response."""
        self._inbox.push([refusal.event])
        self._closing.refuse()
        self._drained += refusal.surplus
        if refusal.encoded:
            self._sender.out.append(refusal.encoded)
        self._opening = None
        self._last_bytes_leave()

    def _last_bytes_leave(self) -> None:
        """From here to the end one timer is always armed, WRITE while bytes wait, else DRAIN."""
        self._keep_only_write_timer()
        if not self._sender.out:
            self._arm(Timer.DRAIN, self._end_timeout())

    def _end(self, cause: str) -> None:
        """The socket is gone or to be closed now. Events that wait can still be taken."""
        if self._closing.state is Closing.ENDED:
            return
        told = self._closing.state is Closing.OVER
        self._closing.end()
        self._plain = False
        self._sender.out.clear()
        self._timers.disarm_all()
        if not told:
            self._tell(cause)

    def _tell(self, cause: str) -> None:
        discarded = 0 if self._receiver is None else self._receiver.discarded
        self._inbox.push([self._closing.tell(cause, discarded)])
        self._opening = self._receiver = None

    def _end_timeout(self) -> float:
        limits = self._options.limits
        return (
            limits.close_timeout
            if self._sender.client and self._closing.clean
            else limits.drain_timeout
        )

    # Inside: time.

    def _arm(self, timer: Timer, timeout: float | None) -> None:
        self._timers.arm(timer, self._now, timeout)

    def _keep_only_write_timer(self) -> None:
        self._timers.keep_only(Timer.WRITE)
        self._sync(self._now)

    def _queued(self, now: float) -> None:
        """Something waits to leave. If it can't, the call that must follow arms the write deadline."""
        self._now = now
        self.dirty = True
        if self._timers.stopped:
            self._sync(now)

    def _sync(self, now: float) -> None:
        """Note the time, and what changed in calls that were not told it."""
        self._now = now
        self.dirty = True
        self.unchanged = False
        timers = self._timers
        if timers.stopped and not (self._inbox.held or self._held):
            timers.go_on(now)
        if self._sender.out and not timers.armed(Timer.WRITE):
            self._arm(Timer.WRITE, self._options.limits.write_timeout)

    def _expire(self, timer: Timer) -> None:
        limits = self._options.limits
        match timer:
            case Timer.OPEN:
                opening = self._opening
                if isinstance(opening, ServerOpening) and not opening.silent:
                    late = opening.state is Opening.WAITING
                    text = "The request came too slowly" if late else "The answer took too long"
                    self._refuse(opening.refuse(text_response(408 if late else 503, text)))
                elif isinstance(opening, ClientOpening):
                    refusal = opening.receive_eof()
                    if refusal is not None:
                        self._refuse(refusal)
                    self._end("the opening handshake timed out")
                else:
                    self._end("the opening handshake timed out")
            case Timer.WRITE:
                self._end("the peer does not read: the write deadline passed")
            case Timer.CLOSE:
                self._end("the peer did not answer the Close frame in time")
            case Timer.DRAIN:
                self._end("")
            case Timer.ANSWER:
                self._answer()
            case Timer.PONG:
                if not self._keepalive.alive():
                    self._fail_now(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
            case Timer.MESSAGE:
                self._fail_now(CloseCode.POLICY_VIOLATION, "message not finished in time")
            case Timer.PING:
                self._arm(Timer.PING, limits.ping_interval)
                if self._receiver is not None:
                    self._receiver.release_parser()
                # While we don't read, no pong can come; the next ping tells the peer that we live.
                if not self._keepalive.probing or self._timers.stopped:
                    self._sender.write(
                        Opcode.PING, self._keepalive.probe(self._entropy(_PROBE_SIZE))
                    )
                    self._sync(self._now)
                    # Armed anew when the ping leaves. If it can't, because the peer does not read,
                    # the silence from now on counts.
                    self._arm(Timer.PONG, limits.ping_timeout)

    # Inside: sending.

    @property
    def _open_still(self) -> bool:
        return self._opening is None and self._closing.state is Closing.NONE

    def _deciding(self) -> ServerOpening | None:
        """The handshake that waits for an answer; None if it ended before it got one."""
        opening = self._opening
        if isinstance(opening, ServerOpening) and opening.state is Opening.DECIDING:
            return opening
        if self._unanswered:
            self._unanswered = False
            return None
        raise LocalProtocolError(
            "no request waits for an answer: wait for the Requested or HttpRequested event"
        )

    def _check_sendable(self) -> None:
        if not self.can_send:
            raise LocalProtocolError(
                f"the connection is {self.state.value}: check can_send before sending"
            )
