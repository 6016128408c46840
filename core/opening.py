"""The opening handshake of one connection: bytes in, a verdict out.

The objects here live from the first byte to the answer; an open connection keeps none of them.
"""

import base64
from collections.abc import Iterator

import msgspec

from .errors import LocalProtocolError
from .events import Accepted, Refused, Requested
from .extensions import Agreement
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
from .http import BadMessage, HeadersLike, Response, encode_response, text_response
from .http_parser import HeadReader, ResponseReader, read_request
from .states import OPENING, Opening, OpeningInput

__all__ = ["ClientOpening", "ClientVerdict", "Invalid", "Refusal", "ServerOpening"]


class Refusal(msgspec.Struct, frozen=True):
    """The handshake ends with an HTTP response."""

    event: Refused
    encoded: bytes
    """The response for the wire; empty on a client's side."""
    surplus: int = 0
    """Bytes that came in the same call behind the one that decided: read for nothing."""


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

    def receive(self, data: bytes) -> list[Requested | Refusal]:
        """A valid request, or a refusal, or both, or nothing while more is needed.

        Frames may come right behind the request. They are held, up to `max_handshake_size`.
        """
        if self.state is Opening.DECIDING:
            self._early += data
            return [*self._too_early()]
        rest = b""
        request = None
        try:
            complete = self._head.receive(data)
            if complete is None:
                return []
            head, rest = complete
            request = read_request(head, self._options.limits)
            fields = request.headers.fields()
            if not wants_upgrade(fields):
                response = answer_http(request, self._options.routes)
                return [self._refusal(Refused(response, request), len(rest))]
            self._upgrade = check_upgrade(request, fields, self._options)
        except BadMessage as error:
            return [self._refusal(Refused(error.response, request), len(rest) + error.surplus)]
        self.state = OPENING[self.state, OpeningInput.REQUEST]
        self._early = rest
        offered = self._upgrade.subprotocols
        known = self._options.subprotocols
        self.subprotocol = next((name for name in known if name in offered), None)
        return [Requested(request, offered, self.subprotocol), *self._too_early()]

    def _too_early(self) -> Iterator[Refusal]:
        limit = self._options.limits.max_handshake_size
        surplus = len(self._early) - limit - 1
        if surplus >= 0:
            text = f"More than {limit} bytes were sent before the answer"
            yield msgspec.structs.replace(self.refuse(text_response(400, text)), surplus=surplus)

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

    def refuse(self, response: Response) -> Refusal:
        """End the handshake with `response`.

        Raises:
            LocalProtocolError: the response cannot be sent.
        """
        request = self._upgrade.request if self._upgrade is not None else None
        return self._refusal(Refused(response, request))

    def _refusal(self, event: Refused, surplus: int = 0) -> Refusal:
        head_only = event.request is not None and event.request.method == "HEAD"
        encoded = encode_response(event.response, head_only=head_only)
        self.state = OPENING[self.state, OpeningInput.REFUSE]
        self._early = b""
        return Refusal(event, encoded, surplus)


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

    def receive(self, data: bytes) -> ClientVerdict | Refusal | Invalid | None:
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

    def receive_eof(self) -> Refusal | None:
        """At the end of the stream: the refusal, if its head came."""
        response = self._reader.receive_eof()
        return None if response is None else self._refused(response)

    def _refused(self, response: Response) -> Refusal:
        self.state = OPENING[self.state, OpeningInput.REFUSE]
        return Refusal(Refused(response), b"")

    def _invalid(self, cause: str) -> Invalid:
        self.state = OPENING[self.state, OpeningInput.REFUSE]
        return Invalid(cause)
