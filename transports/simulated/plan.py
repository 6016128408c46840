"""What one seed stands for: a hub's configuration, who uses it, and what goes wrong."""

from random import Random
from typing import Final, Literal, get_args

import msgspec

from ...core.auth import AnonymousAccess, External, TokenAuth
from ...core.effects import HookKind
from ...core.extensions import Deflate
from ...core.grants import Grant
from ...core.handshake import ServerOptions
from ...core.hub_config import HubConfig
from ...core.hub_limits import HubLimits
from ...core.rules import Rule, SlowPolicy
from .faults import Fault, some_faults

__all__ = ["NAMES", "PATTERNS", "TOPICS", "USERS", "Plan", "plan_of"]

USERS: Final = ("alice", "bob", "carol", "dave")
NAMES: Final = ("ann", "Ann", "ben", "cleo", "alice")
"""Names that anonymous clients choose; one is that of a user, one is another one's in capitals."""

TOPICS: Final = (
    "room.lobby",
    "room.den",
    "where.office",
    "alerts.fire",
    "alerts.flood",
    "alerts.tiny",
    "news.a",
    "news.b",
    "ticker.x",
    "ticker.y",
    "mod.chat",
    "plain",
)
PATTERNS: Final = (
    "room.*",
    "room.>",
    "alerts.>",
    "alerts.*",
    "*.fire",
    "news.*",
    "ticker.>",
    "*.*",
    "mod.>",
    ">",
)
_GRANTED: Final[tuple[tuple[str, ...], ...]] = (
    (">",),
    (">",),
    ("room.>", "alerts.>", "ticker.>"),
    ("*.*",),
    ("news.*", "mod.>", "where.office", "room.lobby"),
    ("alerts.fire", "room.*"),
)
_WALL: Final = 1_800_000_000.0

_LOSSY: Final[tuple[SlowPolicy, ...]] = ("disconnect", "drop-oldest")

End = Literal["drain", "close", "cut", "silence", "drain under fire", "stop under fire"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    seed: int
    config: HubConfig
    tokens: dict[str, Grant]
    hooks: dict[HookKind, tuple[str, ...]]
    faults: dict[Fault, float]
    clients: int
    actions: int
    seconds: float
    """How long the actions take."""
    turn: float
    lag: float
    deflate: Deflate | None
    end: End
    """How it ends. Under fire, while everything still goes wrong; otherwise after all have caught up."""


def plan_of(seed: int, *, actions: int = 300, clients: int = 8) -> Plan:
    """The plan of a seed.

    Args:
        seed: any integer.
        actions: how many there are at least.
        clients: likewise.
    """
    random = Random(seed)
    clients += random.randint(0, 4)
    seconds = random.uniform(15.0, 60.0)
    faults = some_faults(random)
    tokens = _tokens(random, seconds, Fault.EXPIRY in faults)
    external = random.random() < 0.7
    auth = random.choice((True, True, True, False))
    deflate = Deflate(threshold=random.choice((0, 64))) if random.random() < 0.4 else None
    config = HubConfig(
        options=ServerOptions(limits=_limits(random, clients), deflate=deflate),
        rules=_rules(random),
        auth=(External() if external else TokenAuth.of_plain(tokens)) if auth else None,
        anonymous=AnonymousAccess() if not auth or random.random() < 0.5 else None,
    )
    return Plan(
        seed=seed,
        config=config,
        tokens=tokens if auth else {},
        hooks=_hooks(random),
        faults=faults,
        clients=clients,
        actions=actions + random.randint(0, actions // 10),
        seconds=seconds,
        turn=random.choice((0.0, 0.002, 0.02, 0.1)),
        lag=0.5 if Fault.LAG in faults else 0.0,
        deflate=deflate,
        end=random.choice(get_args(End)),
    )


def _tokens(random: Random, seconds: float, short: bool) -> dict[str, Grant]:
    """Several for each user, one of which is good for everything and for ever."""
    tokens = {f"{user}-0": Grant(user=user, read=(">",), write=(">",)) for user in USERS}
    for user in USERS:
        for number in (1, 2, 3):
            ends = short and random.random() < 0.6
            tokens[f"{user}-{number}"] = Grant(
                user=user,
                read=random.choice(_GRANTED),
                write=random.choice(_GRANTED),
                until=_WALL + random.uniform(2.0, seconds) if ends else None,
            )
    return tokens


def _limits(random: Random, clients: int) -> HubLimits:
    """Small ones, so that a few hundred requests reach them."""
    outbox = random.choice((1_500, 3_000, 6_000, 20_000))
    return HubLimits(
        max_size=4_096,
        max_queue=random.choice((4, 16)),
        max_queue_size=8_192,
        request_burst=random.choice((10, 30)),
        request_rate=random.choice((5.0, 20.0)),
        error_burst=random.choice((4, 12)),
        error_rate=random.choice((0.2, 1.0)),
        outbox_size=outbox,
        total_outbox_size=random.choice((3 * outbox, 1_000_000)),
        answers_size=random.choice((600, 4_000)),
        control_burst=20,
        control_rate=5.0,
        auth_timeout=random.choice((2.0, 5.0)),
        hook_timeout=random.choice((1.0, 4.0)),
        max_connections=random.choice((clients - 2, 100, 100)),
        max_connections_per_user=random.choice((2, 4, 100)),
        max_connections_per_address=random.choice((2, 100, 100)),
        max_opening=random.choice((3, 100, 100)),
        max_subscriptions=random.choice((4, 16)),
        max_topics=random.choice((6, 200, 200)),
        open_timeout=5.0,
        ping_interval=random.choice((6.0, 15.0)),
        ping_timeout=random.choice((4.0, 10.0)),
        message_timeout=5.0,
        write_timeout=random.choice((8.0, 30.0)),
        close_timeout=random.choice((2.0, 5.0)),
        reconnect_spread=2.0,
        drain_batch=3,
        drain_interval=0.2,
    )


def _rules(random: Random) -> tuple[Rule, ...]:
    """One for each family of topics. `latest` is for topics without announcements, which have no keys."""

    def of(pattern: str, *, presence: bool = False, announce: bool = False) -> Rule:
        return Rule(
            pattern=pattern,
            presence=presence,
            announce=announce,
            announce_max=random.choice((2, 200)),
            priority=random.choice(("high", "normal", "normal", "low")),
            slow=random.choice(_LOSSY if presence else (*_LOSSY, "latest")),
            max_message=40 if pattern == "alerts.tiny" else None,
        )

    return (
        of("room.>", presence=True, announce=True),
        of("where.*", presence=True),
        of("alerts.tiny"),
        of("alerts.>"),
        of("news.*"),
        Rule(pattern="ticker.>", slow="latest", priority=random.choice(("high", "normal", "low"))),
        of("mod.>"),
    )


def _hooks(random: Random) -> dict[HookKind, tuple[str, ...]]:
    choices: dict[HookKind, tuple[str, ...]] = {
        HookKind.CONNECT: (">",),
        HookKind.SUBSCRIBE: ("mod.>", "room.den", "*.fire"),
        HookKind.PUBLISH: ("mod.>", "alerts.fire"),
        HookKind.CALL: ("sum", "echo.*"),
        HookKind.DISCONNECT: (">",),
    }
    return {kind: patterns for kind, patterns in choices.items() if random.random() < 0.5}
