"""The opening handshake of one connection: bytes in, a verdict out.

The objects here live from the first byte to the answer; an open connection keeps none of them.
"""

import base64
from collections.abc import Iterator

import msgspec

from .errors import LocalProtocolError
from .events import Accepted, HttpRequested, Refused, Requested
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
from .http import BadMessage, HeadersLike, Request, Response, encode_response, text_response
from .http_parser import HeadReader, ResponseReader, read_request
from .request_body import CONTINUE, BodyReader, expects_continue, has_body
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
    """Reads one request; then holds what comes behind it until `accept` or `refuse`.

    Behind an ordinary request nothing is held, since nothing but its answer follows it.
    """

    __slots__ = (
        "_body",
        "_early",
        "_head",
        "_options",
        "_request",
        "_surplus",
        "_upgrade",
        "agreement",
        "state",
        "subprotocol",
    )

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._head = HeadReader(options.limits)
        self._request: Request | None = None
        self._body: BodyReader | None = None
        self._upgrade: Upgrade | None = None
        self._early = b""
        self._surplus = 0
        """Bytes behind an ordinary request."""
        self.agreement: Agreement | None = None
        self.subprotocol: str | None = None
        """The first of ours that the client offers."""
        self.state = Opening.WAITING

    @property
    def silent(self) -> bool:
        """Whether the peer has sent nothing."""
        return self.state is Opening.WAITING and self._head.empty

    def receive(self, data: bytes) -> list[Requested | HttpRequested | Refusal | bytes]:
        """A valid request, or a refusal, or both, or nothing while more is needed; or bytes to send.

        Frames may come right behind the request. They are held, up to `max_handshake_size`.
        """
        if self.state is Opening.DECIDING:
            if self._upgrade is None:
                self._surplus += len(data)
                return []
            self._early += data
            return [*self._too_early()]
        if self._body is not None:
            return [*self._receive_body(self._body, data)]
        rest = b""
        request = None
        try:
            complete = self._head.receive(data)
            if complete is None:
                return []
            head, rest = complete
            request = read_request(head, self._options.limits)
            fields = request.headers.fields()
            if wants_upgrade(fields):
                self._upgrade = check_upgrade(request, fields, self._options)
            elif self._options.http and request.path not in self._options.routes:
                self._request = request
                return [*self._receive_http(request, head, rest)]
            else:
                response = answer_http(request, self._options.routes)
                return [self._refusal(Refused(response, request), len(rest))]
        except BadMessage as error:
            return [self._refusal(Refused(error.response, request), len(rest) + error.surplus)]
        self._request = request
        self.state = OPENING[self.state, OpeningInput.REQUEST]
        self._early = rest
        offered = self._upgrade.subprotocols
        known = self._options.subprotocols
        self.subprotocol = next((name for name in known if name in offered), None)
        return [Requested(request, offered, self.subprotocol), *self._too_early()]

    def _receive_http(
        self, request: Request, head: bytes, rest: bytes
    ) -> Iterator[HttpRequested | Refusal | bytes]:
        """The head of an ordinary request is complete.

        Raises:
            BadMessage: its body will not be read.
        """
        awaits_continue = expects_continue(request)
        if not has_body(request):
            yield self._reported(request, b"", rest)
            return
        self._body = BodyReader(request, head, self._options.limits)
        if awaits_continue:
            # Even if the body is there already: what we send must not depend on when it came.
            yield CONTINUE
        yield from self._receive_body(self._body, rest)

    def _receive_body(self, reader: BodyReader, data: bytes) -> Iterator[HttpRequested | Refusal]:
        assert self._request is not None
        try:
            complete = reader.receive(data)
        except BadMessage as error:
            yield self._refusal(Refused(error.response, self._request), error.surplus)
            return
        if complete is not None:
            yield self._reported(self._request, *complete)

    def _reported(self, request: Request, body: bytes, rest: bytes) -> HttpRequested:
        self.state = OPENING[self.state, OpeningInput.REQUEST]
        self._body = None
        self._surplus = len(rest)
        return HttpRequested(request, body)

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
            raise LocalProtocolError(
                "there is no request to accept: an HttpRequested needs respond()"
            )
        accepted = accept_bytes(self._upgrade, subprotocol, headers, self._options)
        self.agreement = self._upgrade.agreement
        self.state = OPENING[self.state, OpeningInput.ACCEPT]
        return accepted, self._early

    def respond(self, response: Response) -> Refusal:
        """Answer an ordinary request.

        Raises:
            LocalProtocolError: the request is to open a WebSocket, or the response cannot be sent.
        """
        if self._upgrade is not None:
            raise LocalProtocolError("the request is to open a WebSocket: use accept() or reject()")
        return self.refuse(response)

    def refuse(self, response: Response) -> Refusal:
        """End the handshake with `response`.

        Raises:
            LocalProtocolError: the response cannot be sent.
        """
        return self._refusal(Refused(response, self._request), self._surplus)

    def _refusal(self, event: Refused, surplus: int = 0) -> Refusal:
        head_only = event.request is not None and event.request.method == "HEAD"
        encoded = encode_response(event.response, head_only=head_only)
        self.state = OPENING[self.state, OpeningInput.REFUSE]
        self._early = b""
        self._body = None
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
