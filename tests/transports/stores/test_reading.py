"""What a start finds in one reading of a store is what it would find topic by topic."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hubbub.core.records import Record
from hubbub.transports.stores import reading
from hubbub.transports.stores.database import Database
from hubbub.transports.stores.protocol import Counters
from hubbub.transports.stores.reading import load_logs, remembered_keys, verify_records
from hubbub.transports.stores.schema import connect

_SINCE = 50.0

_named = st.tuples(
    st.sampled_from(["alerts", "zoo"]),
    st.sampled_from([None, "k1", "k2", "k3", "k4"]),
    st.sampled_from([None, "ann"]),
    st.sampled_from([49.0, 50.0, 51.0]),
)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only three keys of a topic are remembered."""
    monkeypatch.setattr(reading, "KEYS_REMEMBERED", 3)


@pytest.mark.usefixtures("few")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(published=st.lists(_named, max_size=30))
@example(published=[("zoo", f"k{number}", None, 51.0) for number in range(9)])
@example(
    published=[("zoo", "k1", None, 51.0), ("zoo", "k2", None, 49.0), ("zoo", "k3", None, 51.0)]
)
def test_keys(published: list[tuple[str, str | None, str | None, float]], quick_path: Path) -> None:
    """The same keys, in the same order, whichever way the records are read."""
    path = quick_path / f"{len(list(quick_path.iterdir()))}.db"
    store = Database(path, lambda: 60.0, Counters())
    store.open()
    counts = {"alerts": 0, "zoo": 0}
    records: list[Record] = []
    for topic, key, user, at in published:
        counts[topic] += 1
        records.append(Record(topic, counts[topic], "e", b"x", at, user, key))
    store.append(records, [])
    store.close()
    with closing(connect(path)) as connection:
        logs = load_logs(connection)
        found = verify_records(connection, logs, _SINCE)
        assert found == {
            topic: remembered_keys(connection, log, _SINCE) for topic, log in logs.items()
        }
