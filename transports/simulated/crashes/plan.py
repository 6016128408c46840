"""What one seed stands for: a configuration, its clients, and how often what goes wrong."""

from random import Random
from typing import Final, Literal

import msgspec

from ....core.auth import TokenAuth
from ....core.grants import Grant
from ....core.handshake import ServerOptions
from ....core.hub_config import HubConfig
from ....core.hub_limits import HubLimits
from ....core.rules import Rule
from .faults import CrashFaults, some_crash_faults

__all__ = ["TOPICS", "CrashPlan", "GuestPlan", "crash_plan_of"]

TOPICS: Final = ("d.a", "d.b", "d.short", "m.few", "m.bytes")
"""Those that begin with d are durable, the others kept in memory."""

_CONSUMED: Final = ("d.a", "d.b", "d.short", "m.few")
_USERS: Final = ("ann", "bob", "carol", "dora")


class GuestPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One client."""

    role: Literal["publisher", "reader", "consumer"]
    user: str
    topics: tuple[str, ...] = ()
    name: str | None = None
    """Of the consumer."""
    last: int | None = None
    """What a reader asks for when it comes first."""
    lazy: bool = False
    """Whether it takes, or acknowledges, only now and then."""


class CrashPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All that a seed decides before anything happens."""

    seed: int
    config: HubConfig
    guests: tuple[GuestPlan, ...]
    faults: CrashFaults
    turn: float
    """Seconds that a turn of the server's loop takes, at most."""
    pause: float
    """Seconds between two actions, on average."""
    actions: int


def crash_plan_of(seed: int, *, actions: int = 300) -> CrashPlan:
    """What a seed stands for.

    Args:
        seed: any integer.
        actions: how many there are at least.
    """
    random = Random(seed)
    return CrashPlan(
        seed=seed,
        config=_config(random),
        guests=_guests(random),
        faults=some_crash_faults(random),
        turn=random.choice((0.0, 0.0, 0.01)),
        pause=random.choice((0.03, 0.08, 0.15)),
        actions=actions,
    )


_TOKENS: Final = TokenAuth.of_plain(
    {f"t-{user}": Grant(user=user, read=(">",), write=(">",)) for user in _USERS}
)


def _config(random: Random) -> HubConfig:
    rules = (
        Rule(
            pattern="d.short",
            history=10_000,
            history_seconds=random.choice((1.5, 4.0)),
            durable=True,
        ),
        Rule(pattern="d.*", history=10_000, durable=True),
        Rule(pattern="m.few", history=random.choice((3, 8))),
        Rule(pattern="m.bytes", history_bytes=random.choice((1500, 4000)), priority="high"),
    )
    limits = HubLimits(
        outbox_size=random.choice((2000, 6000, 2**20)),
        durable_memory=random.choice((3, 20, 1000)),
        max_unacknowledged=random.choice((3, 8, 64)),
        max_pending_publishes=random.choice((4, 64)),
        ack_timeout=random.choice((1.5, 3.0)),
        store_timeout=random.choice((1.0, 2.0)),
        request_burst=1000,
        request_rate=500.0,
    )
    options = ServerOptions(limits=limits)
    return HubConfig(options=options, rules=rules, auth=_TOKENS, anonymous=None)


def _guests(random: Random) -> tuple[GuestPlan, ...]:
    guests = [GuestPlan(role="publisher", user=_USERS[number]) for number in range(2)]
    for _ in range(3):
        topics = tuple(random.sample(TOPICS, random.choice((1, 1, 2))))
        guests.append(
            GuestPlan(
                role="reader",
                user=random.choice(_USERS),
                topics=topics if random.random() < 0.9 else (">",),
                last=random.choice((None, None, 3)),
                lazy=random.random() < 0.4,
            )
        )
    # Two of one name, and two users with consumers of one name: who is taken for whom?
    for user, name in (("ann", "x"), ("ann", "x"), ("ann", "y"), ("bob", "x"), ("bob", None)):
        guests.append(
            GuestPlan(
                role="consumer",
                user=user,
                name=name,
                topics=tuple(random.sample(_CONSUMED, random.randint(1, 2))),
                lazy=random.random() < 0.7,
            )
        )
    del guests[-random.randint(1, 2)]
    return tuple(guests)
