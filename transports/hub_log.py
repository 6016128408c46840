"""What a hub tells of itself, as lines of a log."""

import logging
from typing import Any, Final

from ..core.hub_events import (
    AuthFailed,
    HubEvent,
    Joined,
    Left,
    OpeningRefused,
    RequestFailed,
    Slow,
    StoreDamaged,
    StoreFailed,
    StoreReopened,
    TurnedAway,
)

__all__ = ["log_event", "one_line"]

_LONGEST: Final = 200
"""Characters of a text that somebody else chose."""


def one_line(text: str) -> str:
    """A text as part of a line of a log: nothing in it can end the line or move the cursor."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}…"
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def log_event(logger: "logging.Logger | logging.LoggerAdapter[Any]", event: HubEvent) -> None:
    """Write one line about an event. Coming and going is information, the rest a warning."""
    match event:
        case Joined() | Left():
            if logger.isEnabledFor(logging.INFO):
                logger.info("%s", _line(event))
        case RequestFailed():
            # A function that failed has a line of its own, with more in it.
            level = logging.DEBUG if event.reason.startswith("raised ") else logging.WARNING
            logger.log(level, "%s", _line(event))
        case StoreFailed() | StoreDamaged():
            logger.error("%s", _line(event))
        case _:
            logger.warning("%s", _line(event))


def _line(event: HubEvent) -> str:
    match event:
        case Joined():
            anonymous = ", anonymous" if event.anonymous else ""
            return f"joined {_whose(event.session, event.user, event.address)}{anonymous}"
        case Left():
            unsent = f", {event.unsent} unsent" if event.unsent else ""
            cause = f" {one_line(event.cause)}" if event.cause else ""
            whose = _whose(event.session, event.user, event.address)
            return f"left {whose}: {event.code}{cause}{unsent}"
        case AuthFailed():
            return f"not let in {_address(event.address)}, session {event.session}: {one_line(event.reason)}"
        case TurnedAway():
            text = f"turned away {_address(event.address)}: {event.limit} is reached"
            return text + _untold(event.untold)
        case OpeningRefused():
            text = (
                f"refused {_address(event.address)} with {event.status}: {one_line(event.reason)}"
            )
            return text + _untold(event.untold)
        case Slow():
            topic = "" if event.topic is None else f" on {one_line(event.topic)}"
            return (
                f"too slow {one_line(event.user)}, session {event.session}{topic}: {event.policy}"
            )
        case RequestFailed():
            return (
                f"failed {one_line(event.what)}, session {event.session}: {one_line(event.reason)}"
            )
        case StoreFailed():
            return f"the store failed, and durable topics wait for it: {one_line(event.reason)}"
        case StoreDamaged():
            damage = event.damage
            topic = "" if damage.topic is None else f" on {one_line(damage.topic)}"
            end = "" if damage.last is None else f"; it now ends at {damage.last}"
            lost = "" if damage.lost is None else f"; {damage.lost} publications are lost"
            return f"the store is damaged{topic}: {one_line(damage.reason)}{end}{lost}"
        case StoreReopened():
            return f"the store works again, with {event.topics} topics"


def _whose(session: int, user: str, address: str | None) -> str:
    return f"{one_line(user)} from {_address(address)}, session {session}"


def _untold(count: int) -> str:
    return f" (and {count} before it, not told)" if count else ""


def _address(address: str | None) -> str:
    return "a Unix socket" if address is None else one_line(address)
