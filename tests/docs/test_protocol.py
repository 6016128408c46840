"""The page on the protocol names every close code, and says no second time what another page says."""

import re

from hubbub.core.frames import COME_BACK, CloseCode
from hubbub.core.hub_limits import HubLimits
from support.tree import ROOT

PAGE = (ROOT / "docs" / "protocol.md").read_text()


def test_every_close_code_has_a_cause() -> None:
    """The table has the codes that a hub can send, in their order, and those alone."""
    table = PAGE.partition("## Close codes")[2].partition("\n## ")[0]
    codes = [int(code) for code in re.findall(r"^\| (\d{4}) \|", table, re.MULTILINE)]
    assert codes == sorted(set(COME_BACK) - {CloseCode.ABNORMAL_CLOSURE})


def test_every_limit_that_is_named_is_one() -> None:
    """What stands there like the name of a limit is a field of the limits."""
    endings = r"`((?:max|total)_\w+|\w+_(?:timeout|size|rate|burst|interval))`"
    named = set(re.findall(endings, PAGE))
    assert len(named) > 20
    assert named - set(HubLimits.__struct_fields__) == set()
