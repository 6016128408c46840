"""How one connection ends (RFC 6455, section 7): who closed, with what, and what is still owed."""

from .events import Close, Closed
from .frames import CloseCode
from .states import CLOSING, Closing, ClosingInput

__all__ = ["ClosingHandshake"]


class ClosingHandshake:
    """The closing machine's state and the Close frames of both sides.

    It writes nothing and arms nothing: `WebSocket` does, as the state says.
    """

    __slots__ = ("_cause", "_received", "_received_first", "_sent", "closed", "due", "state")

    def __init__(self) -> None:
        self.state = Closing.NONE
        self.due: Close | None = None
        """The Close frame that we owe."""
        self.closed: Closed | None = None
        """How it ended, once it has."""
        self._cause = ""
        self._sent: Close | None = None
        self._received: Close | None = None
        self._received_first = False

    @property
    def clean(self) -> bool:
        """Whether both sides sent a Close frame."""
        return self._sent is not None and self._received is not None

    def send(self, close: Close) -> None:
        """The application closes: our frame goes first."""
        self._step(ClosingInput.SEND_CLOSE)
        self._sent = close

    def receive(self, close: Close) -> None:
        """The peer's frame came: the handshake is over, or ours is due."""
        self._received = close
        self._received_first = self._sent is None
        self._step(ClosingInput.RECEIVE_CLOSE)
        if self.state is Closing.DUE:
            self.due = close
        self._cause = "closed by the peer" if self._received_first else "closed by us"

    def fail(self, code: int, reason: str) -> None:
        """Fail the WebSocket Connection (RFC 6455, 7.1.7): a frame that says why is due."""
        self._step(ClosingInput.FAIL)
        if self.state is Closing.DUE:
            self.due = Close(code, reason)
        self._cause = f"failed with {code}: {reason}"

    def refuse(self) -> None:
        """The opening handshake ended with an HTTP response: there is nothing to close."""
        self._step(ClosingInput.FAIL)
        self._step(ClosingInput.ANSWER)

    def answer(self) -> Close:
        """The frame that was due leaves now."""
        assert self.due is not None
        close, self.due = self.due, None
        self._step(ClosingInput.ANSWER)
        self._sent = close
        return close

    def end(self) -> None:
        """The socket is closed or to be closed."""
        self._step(ClosingInput.END)

    def tell(self, cause: str, discarded: int) -> Closed:
        """The last event. A cause that was known earlier, such as a failure, goes before `cause`."""
        received = self._received
        if received is None:
            code = int(CloseCode.ABNORMAL_CLOSURE)
        elif received.code is None:
            code = int(CloseCode.NO_STATUS_RECEIVED)
        else:
            code = received.code
        self.closed = Closed(
            code=code,
            reason="" if received is None else received.reason,
            sent=self._sent,
            received=received,
            received_first=self._received_first,
            cause=self._cause or cause,
            discarded=discarded,
        )
        return self.closed

    def _step(self, step: ClosingInput) -> None:
        self.state = CLOSING[self.state, step]
