"""The page on the protocol has a cause for every close code, and limits are named as they are called."""

import re

import pytest

from hubbub.core.frames import COME_BACK, CloseCode
from hubbub.core.hub_limits import HubLimits
from hubbub.core.rules import Rule
from support.tree import ROOT

PAGE = (ROOT / "docs" / "protocol.md").read_text()


def test_every_close_code_has_a_cause() -> None:
    """The table has the codes that a hub can send, in their order, and those alone."""
    table = PAGE.partition("## Close codes")[2].partition("\n## ")[0]
    codes = [int(code) for code in re.findall(r"^\| (\d{4}) \|", table, re.MULTILINE)]
    assert codes == sorted(set(COME_BACK) - {CloseCode.ABNORMAL_CLOSURE})


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/design.md", "docs/protocol.md"])
def test_every_limit_that_is_named_is_one(page: str) -> None:
    """What stands there like the name of a limit is a field of the limits, or one of a rule."""
    endings = r"`((?:max|total)_\w+|\w+_(?:timeout|size|rate|burst|interval|max))`"
    named = set(re.findall(endings, (ROOT / page).read_text()))
    assert len(named) > 5
    fields = {*HubLimits.__struct_fields__, *Rule.__struct_fields__}
    assert named - fields - {"next_timeout", "handle_timeout"} == set()
