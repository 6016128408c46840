"""The tests that any store must pass, on ours; and that they would fail on wrong ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from hubbub.core.records import Acknowledged, Heads, Record
from hubbub.transports.stores.conformance import CHECKS, Make, check_store
from hubbub.transports.stores.memory import MemoryStore, Shelf
from hubbub.transports.stores.sqlite import SQLiteStore


def _make(kind: str, folder: Path) -> Make:
    if kind == "sqlite":
        return partial(SQLiteStore, folder / "hub.db")
    return partial(MemoryStore, Shelf())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", ["sqlite", "memory"])
async def test_ours_conform(
    backend: str, kind: str, check: Callable[[Make], Awaitable[None]], tmp_path: Path
) -> None:
    """Both stores do what every store must, on each loop."""
    await check(_make(kind, tmp_path))


class _Forgetful(MemoryStore):
    async def reopen(self) -> Heads:
        await super().reopen()
        return Heads()


class _Twice(MemoryStore):
    async def read(self, topic: str, after: int, max_bytes: int) -> list[Record]:
        return [record for record in await super().read(topic, after, max_bytes) for _ in (0, 1)]


class _Lossy(MemoryStore):
    async def append(self, records: Sequence[Record], acknowledged: Sequence[Acknowledged]) -> None:
        await super().append(records, [])


@pytest.mark.parametrize("wrong", [_Forgetful, _Twice, _Lossy])
async def test_a_wrong_one_is_found(backend: str, wrong: type[MemoryStore]) -> None:
    """A store that forgets, doubles or loses fails, and the message says what was expected."""
    with pytest.raises(AssertionError, match="expected"):
        await check_store(lambda: partial(wrong, Shelf()))
