"""What a hub is made with, and that what cannot work is told when it is made."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.core import Limits
from hubbub.core.handshake import ServerOptions
from hubbub.core.hub import Hub
from hubbub.core.hub_config import HubConfig
from hubbub.core.hub_limits import HubLimits
from support.hub_pair import HubPair, config


def test_the_default_lets_everybody_in() -> None:
    """Under a name of their choice, with all topics."""
    pair = HubPair(HubConfig())
    pair.named("ann").subscribe(">")
    assert Hub(now=0.0, entropy=bytes).config == HubConfig()


def test_a_hub_needs_its_own_limits() -> None:
    """Those of a connection alone don't say enough."""
    with pytest.raises(ValueError, match=r"^options.limits: must be a HubLimits"):
        HubConfig(options=ServerOptions(limits=Limits()))


def test_a_hub_that_nobody_could_enter_is_refused() -> None:
    """No tokens and no anonymous access."""
    with pytest.raises(ValueError, match="nobody could come in"):
        HubConfig(auth=None, anonymous=None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_connections": 0},
        {"request_rate": 0.0},
        {"error_rate": -1.0},
        {"auth_timeout": 0},
        {"hook_timeout": None},
        {"drain_interval": float("inf")},
        {"reconnect_spread": 0.0},
        {"outbox_size": 1.5},
        {"max_name": True},
        {"answers_size": "64 KiB"},
        {"max_write_buffer": 1},
    ],
)
def test_a_limit_that_cannot_work_is_told(wrong: dict[str, Any]) -> None:
    """By its name."""
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}="):
        HubLimits(**wrong)


def test_a_delay_may_be_none_at_all() -> None:
    """0 s is the default; less, and what is no number, is told."""
    assert HubLimits().drain_delay == 0.0
    assert HubLimits(drain_delay=15).drain_delay == 15
    for wrong in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=r"drain_delay=.*: must be a number of at least 0"):
            HubLimits(drain_delay=wrong)


def test_limits_are_told_by_the_configuration() -> None:
    """As the type that they are."""
    assert config(max_name=7).limits.max_name == 7


def test_the_worst_case_has_all_that_a_session_may_hold() -> None:
    """It grows with each bound, and needs `max_size`."""
    limits = HubLimits()
    assert limits.worst_case_bytes(100) > Limits(max_size=65536).worst_case_bytes(100)
    for more in (
        {"outbox_size": 2**21},
        {"answers_size": 2**20},
        {"max_subscriptions": 10_000},
        {"max_revoked": 10_000},
        {"total_history_size": 2**30},
    ):
        assert HubLimits(**more).worst_case_bytes(100) > limits.worst_case_bytes(100)
    large = HubLimits(total_outbox_size=2**40)
    assert large.worst_case_bytes(10**6) > limits.worst_case_bytes(10**6)
    with pytest.raises(ValueError, match="max_size=None"):
        HubLimits(max_size=None).worst_case_bytes(1)
