"""A share of the fuzzing, and the proof that it finds what is planted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from hubbub.core import BinaryMessage, Closed, Event, Refused, http_parser, splitter
from hubbub.core.codecs import native
from hubbub.core.http_parser import HeadReader
from hubbub.core.inbox import Inbox
from hubbub.core.limits import Limits
from hubbub.core.messages import Malformed
from hubbub.core.opening import ServerOpening
from hubbub.core.timeouts import Timers
from hubbub.core.websocket import WebSocket

from .campaign import LIVES, fuzz
from .cli import main

SECONDS = dict.fromkeys(LIVES, 15.0) | {"native": 4.0}  # one message is soon read
ENOUGH = 20_000
"""Inputs within which a planted fault must be found."""


@pytest.mark.slow
@pytest.mark.parametrize("area", LIVES)
def test_an_area_holds(area: str) -> None:
    """For some seconds no input raises or breaks an invariant, and the inputs reach deep."""
    result = fuzz(area, seed=1, inputs=None, seconds=SECONDS[area])
    assert result.failure is None, result.failure
    assert result.inputs > 1000
    # Each kind of life: messages or handshakes that succeed, and many ways to end.
    assert result.messages > result.inputs / 20
    assert len(result.outcomes) > 15, result.outcomes


@pytest.mark.parametrize("area", LIVES)
def test_a_number_replays_its_input(area: str) -> None:
    """The same number gives the same bytes, and they come to the same end."""
    for number in range(200):
        one, two = LIVES[area](number), LIVES[area](number)
        assert one.stream == two.stream
        one.run()
        two.run()
        assert (one.outcome, one.messages, one.now) == (two.outcome, two.messages, two.now)


def plant_an_exception(patch: pytest.MonkeyPatch) -> None:
    """A binary message of eleven bytes raises."""

    def faulty(data: bytes, final: bool = True) -> BinaryMessage:
        if len(data) == 11:
            raise IndexError(data)
        return BinaryMessage(data, final)

    patch.setattr(splitter, "BinaryMessage", faulty)


def plant_a_unicode_error(patch: pytest.MonkeyPatch) -> None:
    """A header beyond ASCII raises, as in wsproto."""
    right = http_parser._decode_headers
    patch.setattr(
        http_parser,
        "_decode_headers",
        lambda lines: right([(name, value.decode("ascii").encode()) for name, value in lines]),
    )


def plant_a_second_end(patch: pytest.MonkeyPatch) -> None:
    """The last event is told twice."""
    right = Inbox.push

    def faulty(self: Inbox, events: Sequence[Event]) -> None:
        right(self, events)
        if events and isinstance(events[-1], Closed | Refused):
            right(self, events)

    patch.setattr(Inbox, "push", faulty)


def plant_no_end(patch: pytest.MonkeyPatch) -> None:
    """An end of stream is overheard."""
    patch.setattr(WebSocket, "receive_eof", lambda _self, _now: None)


def plant_a_forgotten_timer(patch: pytest.MonkeyPatch) -> None:
    """Timers go on after the end."""
    patch.setattr(Timers, "disarm_all", lambda _self: None)


def plant_a_limitless_wait(patch: pytest.MonkeyPatch) -> None:
    """What comes before the answer is kept without limit."""
    patch.setattr(ServerOpening, "_too_early", lambda _self: iter(()))


def plant_a_limitless_head(patch: pytest.MonkeyPatch) -> None:
    """A head may be ten times as long as it should."""
    right = HeadReader.__init__

    def faulty(self: HeadReader, limits: Limits) -> None:
        right(self, limits)
        self._limit *= 10

    patch.setattr(HeadReader, "__init__", faulty)


def plant_a_leak(patch: pytest.MonkeyPatch) -> None:
    """What the parser of JSON raises is passed on."""
    patch.setattr(native, "_PARSING", ())


def plant_large_numbers(patch: pytest.MonkeyPatch) -> None:
    """Whole numbers may have any size."""
    patch.setattr(native, "_is_portable", lambda _value: True)


def plant_an_echo(patch: pytest.MonkeyPatch) -> None:
    """An error repeats what the peer wrote."""
    right = native._misfit

    def faulty(data: dict[str, Any], kind: Any) -> Malformed:
        found = right(data, kind)
        return msgspec.structs.replace(found, message=str(data.get(found.field or "")))

    patch.setattr(native, "_misfit", faulty)


def plant_a_lost_null(patch: pytest.MonkeyPatch) -> None:
    """A message that is null is not written."""
    right = native._write
    patch.setattr(native, "_write", lambda message: right(message).replace(b'"message":null,', b""))


PLANTED: list[tuple[str, Callable[[pytest.MonkeyPatch], None], str]] = [
    ("frames-server", plant_an_exception, "IndexError"),
    ("handshake-server", plant_a_unicode_error, "UnicodeDecodeError"),
    ("handshake-client", plant_a_unicode_error, "UnicodeDecodeError"),
    ("frames-client", plant_a_second_end, "came after"),
    ("handshake-server", plant_a_second_end, "came after"),
    ("frames-server", plant_no_end, "did not end"),
    ("frames-client", plant_a_forgotten_timer, "Violation"),
    ("handshake-server", plant_a_limitless_wait, "early bytes"),
    ("handshake-server", plant_a_limitless_head, "a request"),
    ("handshake-client", plant_a_limitless_head, "a response"),
    ("native", plant_a_leak, "DecodeError"),
    ("native", plant_large_numbers, "OverflowError"),
    ("native", plant_an_echo, "cannot be shown"),
    ("native", plant_a_lost_null, "message is missing"),
]


@pytest.mark.parametrize(
    ("area", "plant", "found"),
    PLANTED,
    ids=[f"{area}: {plant.__name__}" for area, plant, _ in PLANTED],
)
def test_a_planted_fault_is_found(
    area: str,
    plant: Callable[[pytest.MonkeyPatch], None],
    found: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each planted fault is found soon, and its number finds it again."""
    plant(monkeypatch)
    failure = fuzz(area, seed=0, inputs=ENOUGH).failure
    assert failure is not None
    assert found in failure.report
    again = fuzz_one(area, failure.number)
    assert again == failure.stream


def fuzz_one(area: str, number: int) -> bytes:
    """The bytes of an input that fails."""
    life = LIVES[area](number)
    with pytest.raises(Exception):  # noqa: B017 - which one depends on what was planted
        life.run()
    return life.stream


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """A clean run exits with 0 and prints a line for each area, with what was reached."""
    assert main(["--inputs", "300", "--jobs", "1"]) == 0
    printed = capsys.readouterr().out
    for area in LIVES:
        assert f"| {area} | 300 |" in printed
    assert "http 400: " in printed
    assert "sent 1002: " in printed


def test_the_command_tells_how_to_replay(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing run exits with 1 and prints the input and the command that replays it."""
    plant_an_exception(monkeypatch)
    assert main(["--area", "frames-server", "--inputs", str(ENOUGH), "--jobs", "1"]) == 1
    printed = capsys.readouterr().out
    assert "IndexError" in printed
    *_, command = printed.strip().splitlines()
    assert command.startswith("replay: python tests/fuzz/run.py --area frames-server --replay ")
    assert main(command.split()[3:]) == 1
    assert "IndexError" in capsys.readouterr().out


@pytest.mark.slow
def test_the_command_uses_processes(capsys: pytest.CaptureFixture[str]) -> None:
    """With two jobs the inputs are the same, and so is what becomes of them."""
    outcomes = []
    for jobs in ("1", "2"):
        assert main(["--area", "frames-client", "--inputs", "3000", "--jobs", jobs]) == 0
        outcomes.append(capsys.readouterr().out.strip().splitlines()[-1])
    assert outcomes[0] == outcomes[1]
