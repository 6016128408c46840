"""Two machines in memory with TLS between them."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings

from hubbub.core import Deflate, State
from hubbub.transports.tls import TLSLink
from support.certificates import Certificate
from support.joined import Joined, Side
from support.talk import Talker, Word, talkers

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

versions = pytest.mark.parametrize("version", VERSIONS)

# The certificates are made once; what is made of them is new in each example.
in_turn = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)


@dataclass
class Contexts:
    """What both sides know."""

    client: ssl.SSLContext
    server: ssl.SSLContext
    hostname: str = "localhost"


def all_contexts(certificate: Certificate) -> dict[str, Contexts]:
    """Both sides' contexts, for each version of TLS."""
    made: dict[str, Contexts] = {}
    for name, version in VERSIONS.items():
        both = Contexts(certificate.client_context(), certificate.server_context())
        for context in (both.client, both.server):
            context.minimum_version = context.maximum_version = version
        made[name] = both
    return made


@dataclass
class Pair:
    """A client and a server with TLS between them."""

    client: Talker
    server: Talker
    client_tls: TLSLink
    server_tls: TLSLink
    joined: Joined
    sides: tuple[Side, Side] = field(init=False)

    def __post_init__(self) -> None:
        self.sides = self.joined.sides

    def assert_ended(self) -> None:
        """Both sides have told their end, closed their sockets, and ask for nothing more."""
        for talker, side in zip((self.client, self.server), self.sides, strict=True):
            assert side.closed
            assert talker.ws.state is State.CLOSED
            assert side.link.next_timeout() is None
            assert not side.link.wants_read

    def errors(self) -> tuple[str, str]:
        """What ended TLS, on the client's and on the server's side."""
        return str(self.client_tls.error), str(self.server_tls.error)


def tls_pair(
    contexts: Contexts,
    words: Sequence[Word] = (),
    sizes: Sequence[int] = (),
    deflate: Deflate | None = None,
    close: bool = True,
) -> Pair:
    """A client that says these words, and a server, neither of which has begun."""
    client, server = talkers(words, deflate=deflate, close=close)
    client_tls = TLSLink(
        client.ws, contexts.client, server_side=False, server_hostname=contexts.hostname
    )
    server_tls = TLSLink(server.ws, contexts.server, server_side=True)
    joined = Joined(Side(client_tls, client), Side(server_tls, server), sizes)
    return Pair(client, server, client_tls, server_tls, joined)
