"""The equality tests can fail: wrong splitters are planted, and each must be noticed.

Without this the tests would prove little. A reader that takes lengths in the wrong form, say, equals
wsproto for every stream that has none.
"""

from __future__ import annotations

from functools import cache

import pytest

from hubbub.core.events import Close
from hubbub.core.splitter import FrameSplitter, Item
from support.frame_readers import TIGHT, Reading, Setting, comparable, follow, read_all
from support.planted_faults import FAULTS, Fault
from support.telling_streams import every_kind, limit_streams, telling_cases, two_pieces
from support.wire import pieces

Expected = list[tuple[Setting, list[bytes], list[Reading]]]


def sample_cuts() -> list[tuple[Setting, list[bytes]]]:
    """The telling streams whole, the small ones in pieces, and one cut everywhere."""
    cases: list[tuple[Setting, list[bytes]]] = []
    for setting, stream in telling_cases():
        cases.append((setting, [stream]))
        if len(stream) < 1000:
            cases.append((setting, pieces(stream, 5)))
    for client in (False, True):
        setting = Setting(client=client)
        cases += [(setting, chunks) for chunks in two_pieces(every_kind(setting))]
        tight = setting._replace(limits=TIGHT)
        cases += [(tight, pieces(stream, 1)) for stream in limit_streams(tight)]
    return cases


@cache
def expected() -> Expected:
    """The cases, each with what is right: what wsproto says where no limit plays a part."""
    cases: Expected = []
    for setting, chunks in sample_cuts():
        if setting.limits is TIGHT:
            readings = follow(setting.splitter(fast_path=False), chunks)
        else:
            readings = comparable(follow(setting.plain(), chunks))
        cases.append((setting, chunks, readings))
    return cases


GATEWAY: list[Item] = [Close(1014, "gateway")]


def is_noticed(kind: type[FrameSplitter]) -> bool:
    """Whether any case tells this class from a right one."""
    for setting, chunks, right in expected():
        try:
            readings = follow(setting.splitter(kind), chunks)
        except Exception:  # noqa: BLE001 - a fault that raises is noticed, whatever it raises
            return True
        if (readings if setting.limits is TIGHT else comparable(readings)) != right:
            return True
    # The one Close frame about which wsproto is wrong, and cannot be the judge.
    bad_gateway = b"\x88\x09\x03\xf6gateway"
    return read_all(Setting(client=True).splitter(kind), [bad_gateway]) != GATEWAY


def test_the_right_splitter_passes() -> None:
    """The real class differs in no case."""
    assert not is_noticed(FrameSplitter)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_planted_fault_is_noticed(fault: Fault) -> None:
    """This wrong splitter differs from wsproto, or from the slow path within limits, in some case."""
    assert is_noticed(fault.plant())
