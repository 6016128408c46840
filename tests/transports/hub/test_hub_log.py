"""What a hub tells of itself: lines of a log that nobody can forge, and events for metrics."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.core.hub_events import (
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
from hubbub.core.records import Damage
from hubbub.transports.hub_log import log_event, one_line
from support.hub_peers import hub, named, peer, until_left
from support.net import Net

logger = logging.getLogger("hubbub.hub")

LINES: list[tuple[HubEvent, int, str]] = [
    (
        Joined(3, "ann", "192.0.2.7", False),
        logging.INFO,
        "joined ann from 192.0.2.7, session 3",
    ),
    (
        Joined(3, "a\nb", None, True),
        logging.INFO,
        r"joined a\nb from a Unix socket, session 3, anonymous",
    ),
    (
        Left(3, "ann", "192.0.2.7", 1006, "the connection was lost", 2),
        logging.INFO,
        "left ann from 192.0.2.7, session 3: 1006 the connection was lost, 2 unsent",
    ),
    (
        AuthFailed(3, "192.0.2.7", "unknown token"),
        logging.WARNING,
        "not let in 192.0.2.7, session 3: unknown token",
    ),
    (
        TurnedAway("192.0.2.7", "max_connections"),
        logging.WARNING,
        "turned away 192.0.2.7: max_connections is reached",
    ),
    (
        TurnedAway("192.0.2.7", "max_opening", untold=3),
        logging.WARNING,
        "turned away 192.0.2.7: max_opening is reached (and 3 before it, not told)",
    ),
    (
        OpeningRefused("192.0.2.7", 403, "Pages of this origin may not connect"),
        logging.WARNING,
        "refused 192.0.2.7 with 403: Pages of this origin may not connect",
    ),
    (
        OpeningRefused(None, 400, "a\nb", untold=1),
        logging.WARNING,
        r"refused a Unix socket with 400: a\nb (and 1 before it, not told)",
    ),
    (
        Slow(3, "ann", "alerts", "drop-oldest"),
        logging.WARNING,
        "too slow ann, session 3 on alerts: drop-oldest",
    ),
    (
        Slow(3, "ann", None, "disconnect"),
        logging.WARNING,
        "too slow ann, session 3: disconnect",
    ),
    (
        RequestFailed(3, "on_publish", "it took too long"),
        logging.WARNING,
        "failed on_publish, session 3: it took too long",
    ),
    (
        RequestFailed(3, "on_publish", "raised KeyError"),
        logging.DEBUG,
        "failed on_publish, session 3: raised KeyError",
    ),
    (
        StoreFailed("the disk is full"),
        logging.ERROR,
        "the store failed, and durable topics wait for it: the disk is full",
    ),
    (StoreReopened(3), logging.WARNING, "the store works again, with 3 topics"),
]


@pytest.mark.parametrize(("event", "level", "line"), LINES)
def test_lines(caplog: pytest.LogCaptureFixture, event: HubEvent, level: int, line: str) -> None:
    """Each event is one line, at its level."""
    caplog.set_level(logging.DEBUG)
    log_event(logger, event)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(level, line)]


def test_damage(caplog: pytest.LogCaptureFixture) -> None:
    """A line says where it is and what is lost, as far as that is known."""
    log_event(logger, StoreDamaged(Damage("a record is damaged", "alerts", 3, 2)))
    log_event(logger, StoreDamaged(Damage("positions are lost")))
    first, second = (record.getMessage() for record in caplog.records)
    assert first == (
        "the store is damaged on alerts: a record is damaged; it now ends at 3; "
        "2 publications are lost"
    )
    assert second == "the store is damaged: positions are lost"


@given(st.text())
def test_a_line_stays_one(text: str) -> None:
    """Whatever a peer is called, the line is printable, bounded, and can be written in any encoding."""
    line = one_line(text)
    assert line.isprintable()
    assert len(line) <= 10 * 201
    assert "\n" not in line
    if text.isprintable() and len(text) <= 200:
        assert line == text
    line.encode()


async def test_events_for_metrics(net: Net) -> None:
    """`on_event` gets each event, in order; what it raises is logged and harms nobody."""
    events: list[HubEvent] = []

    def note(event: HubEvent) -> None:
        events.append(event)
        raise KeyError

    async with hub(net, on_event=note) as server:
        async with named(server, "ann") as ann:
            await ann.subscribe("alerts")
        async with peer(server, "/?token=x") as eve:
            await eve.closed()
        await until_left(server)
    assert [type(event).__name__ for event in events] == ["Joined", "Left", "AuthFailed"]


async def test_what_the_log_says(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """Coming and going is told for information, and nothing of what is said."""
    caplog.set_level(logging.DEBUG, logger="hubbub.hub")
    async with hub(net) as server, named(server, "ann") as ann:
        await ann.subscribe("alerts")
        await ann.publish("alerts", "a secret")
    assert "joined ann from 127.0.0.1, session 1, anonymous" in caplog.text
    assert "secret" not in caplog.text
