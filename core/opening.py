"""The opening handshake of one connection: bytes in, a verdict out.

The objects here live from the first byte to the answer; an open connection keeps none of them.
"""

import base64

import msgspec

from .deflate import Agreement
from .errors import LocalProtocolError
from .events import Accepted, Refused, Requested
from .handshake import (
    ClientOptions,
    ServerOptions,
    Upgrade,
    accept_bytes,
    answer_http,
    check_response,
    check_upgrade,
    client_headers,
    wants_upgrade,
)
from .http import (
    BadMessage,
    HeadersLike,
    HeadReader,
    Response,
    ResponseReader,
    encode_response,
    read_request,
    text_response,
)
from .states import OPENING, Opening, OpeningInput

__all__ = ["ClientOpening", "ClientVerdict", "Invalid", "ServerOpening"]


class ServerOpening:
    """Reads one request; then holds what comes behind it until `accept` or `refuse`."""

    __slots__ = ("_early", "_head", "_options", "_upgrade", "agreement", "state", "subprotocol")

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._head = HeadReader(options.limits)
        self._upgrade: Upgrade | None = None
        self._early = b""
        self.agreement: Agreement | None = None
        self.subprotocol: str | None = None
        """The first of ours that the client offers."""
        self.state = Opening.WAITING

    @property
    def silent(self) -> bool:
        """Whether the peer has sent nothing."""
        return self.state is Opening.WAITING and self._head.empty

    def receive(self, data: bytes) -> Requested | tuple[Refused, bytes] | None:
        """A valid request, or a refusal with its bytes for the wire, or None while more is needed.

        Frames may come right behind the request. They are held, up to `max_handshake_size`.
        """
        if self.state is Opening.DECIDING:
            self._early += data
            return self._too_early()
        try:
            complete = self._head.receive(data)
            if complete is None:
                return None
            head, rest = complete
            request = read_request(head, self._options.limits)
        except BadMessage as error:
            return self._refused(Refused(error.response))
        if not wants_upgrade(request):
            response = answer_http(request, self._options.routes)
            return self._refused(Refused(response, request))
        try:
            self._upgrade = check_upgrade(request, self._options)
        except BadMessage as error:
            return self._refused(Refused(error.response, request))
        self.state = OPENING[self.state, OpeningInput.REQUEST]
        self._early = rest
        offered = self._upgrade.subprotocols
        known = self._options.subprotocols
        self.subprotocol = next((name for name in known if name in offered), None)
        return self._too_early() or Requested(request, offered, self.subprotocol)

    def _too_early(self) -> tuple[Refused, bytes] | None:
        limit = self._options.limits.max_handshake_size
        if len(self._early) <= limit:
            return None
        text = f"More than {limit} bytes were sent before the answer"
        return self.refuse(text_response(400, text))

    def accept(self, subprotocol: str | None, headers: HeadersLike) -> tuple[bytes, bytes]:
        """The 101 for the wire, and the frames that came early.

        Raises:
            LocalProtocolError: there is no request to accept, or an argument cannot be sent.
        """
        if self._upgrade is None or self.state is not Opening.DECIDING:
            raise LocalProtocolError("there is no request to accept: wait for the Requested event")
        accepted = accept_bytes(self._upgrade, subprotocol, headers, self._options)
        self.agreement = self._upgrade.agreement
        self.state = OPENING[self.state, OpeningInput.ACCEPT]
        return accepted, self._early

    def refuse(self, response: Response) -> tuple[Refused, bytes]:
        """End the handshake with `response`; the event and its bytes for the wire.

        Raises:
            LocalProtocolError: the response cannot be sent.
        """
        request = self._upgrade.request if self._upgrade is not None else None
        return self._refused(Refused(response, request))

    def _refused(self, refused: Refused) -> tuple[Refused, bytes]:
        head_only = refused.request is not None and refused.request.method == "HEAD"
        encoded = encode_response(refused.response, head_only=head_only)
        self.state = OPENING[self.state, OpeningInput.REFUSE]
        self._early = b""
        return refused, encoded


class Invalid(msgspec.Struct, frozen=True):
    """The server's answer breaks the protocol."""

    cause: str


class ClientVerdict(msgspec.Struct, frozen=True):
    """The server's answer opens the WebSocket."""

    event: Accepted
    agreement: Agreement | None
    rest: bytes
    """Frames that came right behind the response."""


class ClientOpening:
    """Sends one request and reads the response."""

    __slots__ = ("_key", "_options", "_reader", "state")

    def __init__(self, options: ClientOptions, entropy: bytes) -> None:
        self._options = options
        self._key = base64.b64encode(entropy)
        self._reader = ResponseReader(options.limits)
        self.state = Opening.WAITING

    def request(self) -> bytes:
        """The request for the wire.

        Raises:
            LocalProtocolError: an option cannot be sent.
        """
        headers = client_headers(self._options, self._key)
        return self._reader.encode_request(self._options.target, headers)

    def receive(self, data: bytes) -> ClientVerdict | Refused | Invalid | None:
        """What the response means, or None while more is needed."""
        try:
            complete = self._reader.receive(data)
        except BadMessage as error:
            return self._invalid(str(error))
        if complete is None:
            return None
        response, rest = complete
        if response.status != 101:
            return self._refused(response)
        try:
            subprotocol, agreement = check_response(response, self._key, self._options)
        except ValueError as error:
            return self._invalid(str(error))
        self.state = OPENING[self.state, OpeningInput.ACCEPT]
        return ClientVerdict(Accepted(response, subprotocol), agreement, rest)

    def receive_eof(self) -> Refused | None:
        """At the end of the stream: the refusal, if its head came."""
        response = self._reader.receive_eof()
        return None if response is None else self._refused(response)

    def _refused(self, response: Response) -> Refused:
        self.state = OPENING[self.state, OpeningInput.REFUSE]
        return Refused(response)

    def _invalid(self, cause: str) -> Invalid:
        self.state = OPENING[self.state, OpeningInput.REFUSE]
        return Invalid(cause)
