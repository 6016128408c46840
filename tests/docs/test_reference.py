"""The reference names what is public, all of it and nothing else."""

import re

import pytest

import hubbub.core
import hubbub.core.strategies
import hubbub.transports.asyncio
import hubbub.transports.exceptions
import hubbub.transports.trio
from support.tree import ROOT

DIRECTIVE = re.compile(
    r"^\.\. (?:auto(?:class|function|data|exception)|py:data):: (\w+)$", re.MULTILINE
)

EXCEPTIONS = set(hubbub.transports.exceptions.__all__)

# They stand for their arguments, which `serve`, `serve_hub`, `connect` and `connect_hub` of either loop take.
BASES = {"BaseServer", "BaseHubServer", "BaseConnect", "BaseRemoteHub", "ClientLimits"}


# What users' tests need beside the strategies: of the pytest plugin, the simulation and the stores.
KIT = {
    *("MakeHub", "simulated_hub", "HubUnderTest", "Visitor", "without_loop", "LoopNeeded"),
    *("check_store", "CHECKS", "Fresh", "Make"),
}


def named(page: str) -> list[str]:
    """What a page of the reference describes."""
    return DIRECTIVE.findall((ROOT / "docs" / "reference" / page).read_text())


def exported(module: object) -> set[str]:
    """What an adapter exports, without the exceptions, which have a page of their own."""
    names: list[str] = getattr(module, "__all__", [])
    return set(names) - EXCEPTIONS - {"exceptions"}


@pytest.mark.parametrize(
    ("pages", "public"),
    [
        (
            ["core.md", "hub.md", "hub-client.md"],
            # Those stand in their module, and with `connect_hub`.
            set(hubbub.core.__all__) - {"Link", "End", "ClientLimits"},
        ),
        (["asyncio.md", "shared.md"], exported(hubbub.transports.asyncio) | BASES),
        (["trio.md", "shared.md"], exported(hubbub.transports.trio) | BASES),
        (["exceptions.md"], EXCEPTIONS),
        (["testing.md"], set(hubbub.core.strategies.__all__) | KIT),
    ],
)
def test_the_reference_names_what_is_public(pages: list[str], public: set[str]) -> None:
    """The pages for a module have each exported name once, and no other."""
    assert sorted(name for page in pages for name in named(page)) == sorted(public)


def test_what_both_loops_share_is_one_object() -> None:
    """What the page for both loops describes is the same thing in either module."""
    for name in set(named("shared.md")) - BASES:
        found = getattr(hubbub.transports.asyncio, name)
        assert found is getattr(hubbub.transports.trio, name), name
