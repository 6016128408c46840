"""The pytest plugin: the fixture `simulated_hub`, which makes hubs on virtual time for tests of users' own.

It is there once hubbub is installed, and loads nothing before a test asks for it. It runs no event loop
and needs none, so it stands beside every plugin that does.

What happens in a hub is decided by a seed. Each test has one of its own, the same in each run, which the
report of a failure tells; `--hubbub-seed` replaces it.
"""

from argparse import ArgumentTypeError
from collections.abc import Callable, Generator
from hashlib import blake2b
from random import SystemRandom
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from ..core.hub_config import HubConfig
    from .hooks import Hooks
    from .simulated.network import Network
    from .simulated.under_test import HubUnderTest

__all__ = ["MakeHub", "simulated_hub"]

_SEEDS: Final = 1_000_000
"""How many there are: few enough to be typed."""


class MakeHub:
    """What the fixture `simulated_hub` gives: call it for a hub.

    Args:
        seed: that of all tests; None gives each its own.
    """

    def __init__(self, seed: int | None) -> None:
        self._fixed = seed
        self._seed = 0
        self._newest: HubUnderTest | None = None

    def __call__(
        self,
        config: "HubConfig | None" = None,
        *,
        hooks: "Hooks | None" = None,
        authenticate: Callable[[str], object] | None = None,
        network: "Network | None" = None,
        hook_delay: tuple[float, float] = (0.0, 0.0),
        seed: int | None = None,
    ) -> "HubUnderTest":
        """A hub that nobody has connected to.

        Args:
            config: of the hub.
            hooks: functions that are asked. Async ones may await each other, and no event loop.
            authenticate: whose token it is, where `config` does not know the tokens.
            network: what lies between it and its clients; one that harms nothing unless given.
            hook_delay: least and most seconds until a function's answer arrives. It is called at once.
            seed: instead of the test's.
        """
        from .simulated.network import PERFECT
        from .simulated.under_test import HubUnderTest

        self._newest = HubUnderTest(
            config,
            hooks=hooks,
            authenticate=authenticate,
            network=network if network is not None else PERFECT,
            hook_delay=hook_delay,
            seed=seed if seed is not None else self._seed,
        )
        return self._newest

    # For the plugin.

    def begin(self, test: str) -> None:
        """A test begins."""
        self._newest = None
        digest = blake2b(test.encode(), digest_size=8).digest()
        own = int.from_bytes(digest, "big") % _SEEDS
        self._seed = self._fixed if self._fixed is not None else own

    def report(self) -> str:
        """What happened in the newest hub of this test; empty if there was none."""
        hub = self._newest
        if hub is None:
            return ""
        return f"seed {hub.seed}: --hubbub-seed={hub.seed} replays it\n{hub.report()}"


_MAKE_HUB: Final = pytest.StashKey[MakeHub]()


def _seed(text: str) -> int:
    if text == "random":
        return SystemRandom().randrange(_SEEDS)
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r}: give a whole number, or 'random'")
    return int(text)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("hubbub").addoption(
        "--hubbub-seed",
        metavar="SEED",
        type=_seed,
        help="what decides all that happens in simulated hubs: a number, or 'random' for a new one. "
        "Without it each test has its own number, the same in each run",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make what all tests of this run share."""
    config.stash[_MAKE_HUB] = MakeHub(config.getoption("hubbub_seed"))


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which seed was given."""
    seed = config.getoption("hubbub_seed")
    return None if seed is None else f"hubbub: seed {seed}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test begins: it has a seed of its own."""
    item.config.stash[_MAKE_HUB].begin(item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell of a test that failed what is needed to replay it."""
    report = yield
    if report.failed:
        text = item.config.stash[_MAKE_HUB].report()
        if text:
            report.sections.append(("simulated hub", text))
    return report


# For the whole session, since it is only what makes hubs: so it can be used with Hypothesis, which calls
# a test many times and therefore refuses fixtures that belong to one call.
@pytest.fixture(scope="session")
def simulated_hub(pytestconfig: pytest.Config) -> MakeHub:
    """Makes hubs on virtual time, with users' own hooks: `simulated_hub(config, hooks=hooks)`."""
    return pytestconfig.stash[_MAKE_HUB]
