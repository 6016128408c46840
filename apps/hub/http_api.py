"""What a hub answers to ordinary HTTP: whether it is ready, its metrics, and what operators ask of it.

`/` and `/healthz` are routes with a fixed answer, and are never asked here. All under `/api/` needs the API
key, in a header that no page of another site can make a browser send; so cookies play no part, and
there is nothing to forge.
"""

import hmac
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from ...core.auth import check_name, hash_token
from ...core.errors import LocalProtocolError
from ...core.handshake import answer_http
from ...core.http import Request, Response, respond, text_response
from ...core.hub_limits import HubLimits
from ...core.messages import MAX_IDEMPOTENCY_KEY, MAX_KEY, ErrorCode, Published
from ...core.rules import Rule, Rules
from ...core.topics import check_pattern, check_topic
from ...transports.hub_log import one_line
from ...transports.hub_server import BaseHubServer
from ...transports.stores.protocol import StoreUnavailable
from .http_messages import (
    Connection,
    Connections,
    Disconnect,
    Publish,
    Refused,
    Revoke,
    Sessions,
    Topic,
    Topics,
    json_response,
    parsed_body,
    parsed_query,
)
from .metrics import Metrics

__all__ = ["HttpApi"]

logger = logging.getLogger("hubbub.http")

_NO_STORE: Final = (("Cache-Control", "no-store"),)

_FORWARDED: Final = ("forwarded", "via", "x-real-ip", "x-forwarded-")
"""How the headers begin that proxies add."""

_SET_KEY: Final = "set api.key_file in hubbub.toml, or HUBBUB_API_KEY"

_NOT_LOCAL: Final = (
    "without the API key this is only for clients on the same machine, "
    "that come by no proxy and call it localhost; "
)

Endpoint = Callable[[Request, bytes], Response | Awaitable[Response]]


class HttpApi:
    """Answers the requests of one hub.

    Args:
        key_hash: what `hash_token` makes of the API key; None where there is none.
        rules: the options of topics, the first that matches counting.
        limits: of the hub.
        metrics: what `/metrics` shows; None where it is off.
        loopback: whether `/metrics` needs no key from this machine.
        clock: that of the hub's server.
        wall_clock: seconds since 1970.
    """

    def __init__(
        self,
        *,
        key_hash: str | None,
        rules: tuple[Rule, ...],
        limits: HubLimits,
        metrics: Metrics | None,
        loopback: bool = True,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._key_hash = None if key_hash is None else key_hash.lower()
        self._rules = Rules(rules)
        self._limits = limits
        self._metrics = metrics
        self._loopback = loopback
        self._clock = clock
        self._wall_clock = wall_clock
        self._server: BaseHubServer | None = None
        self._api: Mapping[str, tuple[str, Endpoint]] = {
            "/api/publish": ("POST", self._publish),
            "/api/disconnect": ("POST", self._disconnect),
            "/api/revoke": ("POST", self._revoke),
            "/api/topics": ("GET", self._topics),
            "/api/connections": ("GET", self._connections),
        }

    def serve(self, server: BaseHubServer) -> None:
        """Answer for this server from now on: it has been started."""
        self._server = server
        if self._metrics is not None:
            self._metrics.watch(server.hub)

    def __call__(
        self, request: Request, body: bytes, address: str | None
    ) -> Response | Awaitable[Response]:
        """The answer to one request (see `serve_hub`)."""
        path = request.path
        try:
            if path == "/readyz":
                return self._readyz(request)
            if path == "/metrics" and self._metrics is not None:
                return self._show_metrics(self._metrics, request, address)
            if path == "/api" or path.startswith("/api/"):
                return self._ask_api(request, body, address)
        except Refused as refused:
            return refused.response
        return answer_http(request, {})

    # Who may.

    def _check_key(self, request: Request, address: str | None, why: str = "") -> None:
        """Let a request through that has the API key.

        Raises:
            Refused: 401 or 403.
        """
        if self._key_hash is None:
            raise Refused(403, "no_api_key", f"{why}the hub has no API key: {_SET_KEY}")
        given = request.headers.get_all("authorization")
        scheme, _, key = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        key = key.strip(" ")
        # Hashes are compared, so that neither the time nor the length tells anything of the key.
        right = hmac.compare_digest(hash_token(key), self._key_hash)
        if not (right and scheme.lower() == "bearer"):
            if self._metrics is not None:
                self._metrics.refused += 1
            if given:
                who = "a Unix socket" if address is None else one_line(address)
                logger.warning("a wrong API key from %s", who)
            text = f"{why}send the API key: Authorization: Bearer KEY"
            raise Refused(401, "unauthorized", text, None, (("WWW-Authenticate", "Bearer"),))

    def _is_local(self, request: Request, address: str | None) -> bool:
        """Whether it comes from this machine, and from somebody who meant this machine.

        A proxy on this machine hands on the requests of others; one that says so is noticed. A page may
        have a name that leads here (DNS rebinding); then the Host header has that name.
        """
        for name in request.headers:
            if name.startswith(_FORWARDED):
                return False
        try:
            host = urlsplit(f"//{request.headers.get('host', '')}").hostname
        except ValueError:
            return False
        return _is_loopback(address) and (host == "localhost" or _is_loopback(host))

    # Answers.

    def _readyz(self, request: Request) -> Response:
        _check_method(request, "GET")
        server = self._server
        if server is None or server.hub.draining:
            return text_response(503, "draining", _NO_STORE)
        return text_response(200, "ready", _NO_STORE)

    def _show_metrics(self, metrics: Metrics, request: Request, address: str | None) -> Response:
        _check_origin(request)
        if not (self._loopback and self._is_local(request, address)):
            self._check_key(request, address, _NOT_LOCAL if self._loopback else "")
        _check_method(request, "GET")
        kind, page = metrics.page(request.headers.get("accept", ""))
        return respond(200, page, kind, _NO_STORE)

    def _ask_api(
        self, request: Request, body: bytes, address: str | None
    ) -> Response | Awaitable[Response]:
        self._check_key(request, address)
        found = self._api.get(request.path)
        if found is None:
            known = ", ".join(sorted(self._api))
            raise Refused(404, "not_found", f"there is nothing here; known are {known}")
        method, endpoint = found
        _check_method(request, method)
        return endpoint(request, body)

    def _hub_server(self) -> BaseHubServer:
        server = self._server
        if server is None:
            raise Refused(503, ErrorCode.UNAVAILABLE, "the hub is not started: try again")
        return server

    def _publish(self, request: Request, body: bytes) -> Awaitable[Response]:
        asked = parsed_body(request, body, Publish)
        self._check_publication(asked)
        return self._published(self._hub_server(), asked)

    async def _published(self, server: BaseHubServer, asked: Publish) -> Response:
        try:
            published = await server.publish(
                asked.topic,
                asked.message,
                sender=asked.sender,
                key=asked.key,
                idempotency_key=asked.idempotency_key,
            )
        except LocalProtocolError as error:
            return Refused(400, ErrorCode.BAD_REQUEST, str(error)).response
        except StoreUnavailable as error:
            return Refused(503, ErrorCode.UNAVAILABLE, str(error)).response
        logger.debug("published on %s: %d recipients", asked.topic, published.recipients)
        return json_response(_told(published))

    def _disconnect(self, request: Request, body: bytes) -> Awaitable[Response]:
        asked = parsed_body(request, body, Disconnect)
        if len(asked.reason.encode(errors="replace")) > 123:
            text = "reason has more than 123 bytes"
            raise Refused(400, ErrorCode.TOO_LARGE, text, "reason")
        return self._disconnected(self._hub_server(), asked)

    async def _disconnected(self, server: BaseHubServer, asked: Disconnect) -> Response:
        count = await server.disconnect(asked.user, asked.reason)
        logger.info("disconnected %s: sessions: %d", one_line(asked.user), count)
        return json_response(Sessions(count))

    def _revoke(self, request: Request, body: bytes) -> Awaitable[Response]:
        asked = parsed_body(request, body, Revoke)
        try:
            check_pattern(asked.pattern)
        except ValueError as error:
            raise Refused(400, ErrorCode.BAD_TOPIC, str(error), "pattern") from None
        return self._revoked(self._hub_server(), asked)

    async def _revoked(self, server: BaseHubServer, asked: Revoke) -> Response:
        count = await server.revoke(asked.user, asked.pattern)
        logger.info("revoked %s of %s: sessions: %d", asked.pattern, one_line(asked.user), count)
        return json_response(Sessions(count))

    def _topics(self, request: Request, _: bytes) -> Response:
        asked = parsed_query(request, ("prefix", "limit"))
        found = (
            Topic(name, count)
            for name, count in self._hub_server().hub.topics()
            if name.startswith(asked.prefix)
        )
        topics = list(islice(found, asked.limit + 1))
        return json_response(Topics(topics[: asked.limit], len(topics) > asked.limit))

    def _connections(self, request: Request, _: bytes) -> Response:
        asked = parsed_query(request, ("limit",))
        # The hub's time began somewhere; people want the time of day.
        offset = self._wall_clock() - self._clock()
        sessions = list(islice(self._hub_server().hub.sessions(), asked.limit + 1))
        told = [
            Connection(
                session.number,
                session.user,
                session.grant is not None and session.grant.anonymous,
                session.address,
                datetime.fromtimestamp(session.since + offset, UTC).isoformat(
                    timespec="milliseconds"
                ),
                len(session.subscriptions),
                session.outbox.size,
            )
            for session in sessions[: asked.limit]
        ]
        return json_response(Connections(told, len(sessions) > asked.limit))

    def _check_publication(self, asked: Publish) -> None:
        """Refuse what clients could not publish either, or could not be sent.

        Raises:
            Refused: 400 or 413.
        """
        try:
            check_topic(asked.topic)
        except ValueError as error:
            raise Refused(400, ErrorCode.BAD_TOPIC, str(error), "topic") from None
        if asked.sender is not None:
            try:
                check_name(asked.sender, self._limits)
            except ValueError as error:
                raise Refused(400, ErrorCode.BAD_NAME, str(error), "sender") from None
        for field, longest in (("key", MAX_KEY), ("idempotency_key", MAX_IDEMPOTENCY_KEY)):
            text: str | None = getattr(asked, field)
            if text is not None and len(text.encode()) > longest:
                raise Refused(
                    400, ErrorCode.TOO_LARGE, f"{field} has more than {longest} bytes", field
                )
        try:
            msgspec.msgpack.encode(asked.message)
        except OverflowError:
            raise Refused(
                400,
                ErrorCode.BAD_REQUEST,
                "message has a whole number of more than 64 bits: send it as a string",
                "message",
            ) from None
        limits = [self._rules.of(asked.topic).max_message, self._limits.max_size]
        limit = min((size for size in limits if size is not None), default=None)
        if limit is not None and len(msgspec.json.encode(asked.message)) > limit:
            raise Refused(
                413,
                ErrorCode.MESSAGE_TOO_LARGE,
                f"a message on this topic has at most {limit} bytes",
                "message",
            )


def _told(published: Published) -> dict[str, Any]:
    """The answer to a publication."""
    told: dict[str, Any] = {"recipients": published.recipients}
    if published.offset is not None:
        told |= {"offset": published.offset, "epoch": published.epoch}
    if published.duplicate:
        told["duplicate"] = True
    return told


def _check_method(request: Request, method: str) -> None:
    allowed = ("GET", "HEAD") if method == "GET" else (method,)
    if request.method not in allowed:
        raise Refused(
            405,
            "method_not_allowed",
            f"use {' or '.join(allowed)}",
            None,
            (("Allow", ", ".join(allowed)),),
        )


def _check_origin(request: Request) -> None:
    """Refuse pages of other sites.

    Raises:
        Refused: 403.
    """
    host = request.headers.get("host", "").lower()
    for origin in request.headers.get_all("origin"):
        if origin.lower().partition("://")[2] != host or not host:
            raise Refused(403, ErrorCode.FORBIDDEN, "pages of other sites may not ask this")


def _is_loopback(host: str | None) -> bool:
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
