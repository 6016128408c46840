"""`--store` and `[store]`: durable topics outlive a hub that runs as a program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.configured import loaded, mistakes, settings, warnings
from support.programs import finished, running

DURABLE = '[[rules]]\npattern = "log.>"\nhistory = 100\ndurable = true\n'


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_where_it_is() -> None:
    """The file, a variable or the flag may name it, the strongest last."""
    assert settings().store.path is None
    text = DURABLE + '[store]\npath = "a.db"\n'
    assert settings(text).store.path == "a.db"
    assert settings(text, HUBBUB_STORE_PATH="b.db").store.path == "b.db"
    found = loaded(text, {"HUBBUB_STORE_PATH": "b.db"}, {"store.path": "c.db"})
    assert found.settings.store.path == "c.db"
    assert str(found.sources["store", "path"]) == "--store"


def test_a_folder_that_is_not_there() -> None:
    """It is said before anything listens."""
    (line,) = mistakes(flags={"store.path": "no/such/hub.db"})
    assert line.startswith("--store: there is no folder ")


def test_durable_topics_without_a_store() -> None:
    """They end with the process, which may not be meant; with a store nothing is said."""
    (line,) = warnings(DURABLE)
    assert "rules[1].durable: what is published there ends with the process" in line
    assert warnings(DURABLE + '[store]\npath = "a.db"\n') == []


@pytest.mark.slow
async def test_a_store_outlives_the_program(tmp_path: Path) -> None:
    """What was published is there in the next run; a second program is not let in, and says so."""
    (tmp_path / "hubbub.toml").write_text(DURABLE)
    options = ("serve", "--port", "0", "--store", "hub.db")
    for transport in ("asyncio", "trio"):
        async with running(*options, "--transport", transport, folder=tmp_path) as program:
            async with program.client() as client:
                await client.send(json.dumps({"action": "history", "topic": "log.a"}))
                before = json.loads(await client.recv())["publications"]
                assert [one["message"] for one in before] == [1] * (transport == "trio")
                said = {"action": "publish", "topic": "log.a", "message": 1}
                await client.send(json.dumps(said))
                assert json.loads(await client.recv())["offset"] == len(before) + 1
            if transport == "trio":
                second = finished(*options, folder=tmp_path)
                assert second.returncode == 1
                assert "is in use by process" in second.stderr
