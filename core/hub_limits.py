"""Every bound of a hub: those of each connection, and what sessions and the hub add to them.

Sizes are bytes unless a field says otherwise; durations are seconds.
"""

from typing import Final

from .limits import Limits

__all__ = ["HubLimits"]

_REVOKED: Final = 256
"""Bytes that one pattern that was taken away costs: at most 128, and its place, rounded up."""

_SUBSCRIPTION: Final = 2048
"""Bytes that one subscription costs: its name, its place in the session and in the table, rounded up."""


class HubLimits(Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bounds of a hub, its sessions and their connections. One frozen object holds them all.

    Raises:
        ValueError: a field cannot work; the message names it and says what can.
    """

    max_size: int | None = 65536
    """A message. 64 KiB, as OWASP advises for messages that people and services exchange."""

    auth_timeout: float = 5.0
    """From the end of the opening handshake to valid credentials, where they are needed."""

    hook_timeout: float = 5.0
    """For a user's hook, or an authenticator outside the machine, to answer."""

    store_timeout: float = 30.0
    """For the store to answer. A publication that it was asked to keep is then `unavailable`."""

    max_token: int = 8192
    """Characters of a token. JWTs with many claims have 2 to 4 KiB."""

    max_name: int = 64
    """Characters of a user's name."""

    max_subscriptions: int = 128
    """Topics and patterns of one session. 128 as in Centrifugo."""

    max_revoked: int = 128
    """Patterns that `revoke` took away from one session and that are remembered with its grant, as many
    as it may subscribe to. What a later one contains does not count. One more is closed with 4003, as
    `disconnect` does."""

    max_revocations: int = 10_000
    """Revocations and disconnections that are remembered for answers about who a peer is that are on
    their way. Beyond it the oldest goes, and who waits for an answer since before it is closed with
    4003."""

    max_topics_per_request: int = 128
    """Topics that one request names."""

    request_burst: int = 200
    """Requests that a session may send at once; then we read no faster than `request_rate`."""

    request_rate: float = 50.0
    """Requests a second that a session may send for ever."""

    error_burst: int = 100
    """Requests of a session that may fail at once. More is closed with 4029."""

    error_rate: float = 1.0
    """Failing requests a second that a session may send for ever."""

    outbox_size: int = 2**20
    """What waits for one session, with what each message costs beyond its bytes. Then the rule of the
    topic says what happens."""

    answers_size: int = 65536
    """Answers that wait for one session before its requests are no longer read."""

    max_pending_publishes: int = 64
    """Publications of one session that may wait for the store."""

    max_connections: int = 20_000
    """Sessions of the hub. One more is closed with 1013."""

    max_opening: int = 2_000
    """Connections whose opening handshake is not done. One more is closed at once, and so is one more than
    this and `max_connections` together, those that close included."""

    max_opening_per_address: int = 500
    """Of these, those from one address: one host can't keep all others out. A quarter of `max_opening`;
    a handshake takes a tenth of a second or so, which lets thousands a second in from behind one router.
    One more is closed at once. Behind `trusted_proxies` only `max_opening` counts, since whose connection
    it is, is known when the handshake is done."""

    max_connections_per_user: int = 100
    """Sessions of one user. One more is closed with 1013."""

    max_connections_per_address: int = 2_000
    """Sessions from one address; many people may share one. One more is closed with 1013. Sockets
    without an address, such as Unix sockets, share one count."""

    max_topics: int = 200_000
    """Topics and patterns with a subscriber. A subscription to one more is refused."""

    total_history_size: int = 256 * 2**20
    """What all topics keep in memory. Above it the largest let go of their oldest publications."""

    max_logs: int = 100_000
    """Topics with history in memory. Beyond it the one that was quiet longest is forgotten, unless it
    is durable."""

    durable_memory: int = 1_000
    """Publications of a durable topic that are in memory too; older ones are read from the store."""

    max_idempotency_keys: int = 200_000
    """Names of publications, of all topics, that are remembered to recognise a repeat."""

    max_history_told: int = 1_000
    """Publications in one answer about history."""

    max_unacknowledged: int = 64
    """Publications that are out to one consumer and not acknowledged."""

    ack_timeout: float = 30.0
    """For a consumer to acknowledge; then it gets again what it has not."""

    max_consumers: int = 100_000
    """Consumers whose acknowledged position is remembered; beyond it the oldest is forgotten."""

    max_members_told: int = 1_000
    """Members that an answer about presence names, if they fit into `answers_size`; the count is always
    right."""

    total_outbox_size: int = 256 * 2**20
    """What waits for all sessions together whose sockets don't take it. Above it such a session may have
    an equal share of this waiting, and with more counts as at its bound."""

    max_events: int = 10_000
    """Events of the hub that wait to be taken; older ones are dropped and counted."""

    reconnect_spread: float = 10.0
    """A drain tells clients to come back after a time between 0 and this, so that they don't all come
    at once."""

    drain_delay: float = 0.0
    """Before a drain: newcomers are refused with 503 and `/readyz` says 503, but it still listens, and
    nobody is closed. Longer than a load balancer needs to see that: its interval times the failures that
    it waits for. At 0 the drain begins at once."""

    drain_batch: int = 200
    """Sessions that a drain closes at once."""

    drain_interval: float = 0.1
    """Between two batches of a drain."""

    def worst_case_bytes(self, connections: int) -> int:
        """An upper bound, in bytes, for what `connections` sessions can make the hub hold.

        To what each connection may hold come its outbox with one message more, its answers, its
        subscriptions, what was taken away from it, and the history of all topics.

        Raises:
            ValueError: `max_size` is None, so there is no bound.
        """
        connection = super().worst_case_bytes(connections)
        assert self.max_size is not None
        outboxes = min(connections * self.outbox_size, self.total_outbox_size + self.outbox_size)
        session = self.answers_size + 2 * self.max_size + self.max_subscriptions * _SUBSCRIPTION
        session += self.max_revoked * _REVOKED
        return connection + outboxes + connections * session + self.total_history_size
