"""The hub's page as it is served."""

from __future__ import annotations

import re

from hubbub.apps.hub.page import hub_routes


def test_the_routes() -> None:
    """The page needs nothing but itself, and its policy names what it may run."""
    routes = hub_routes()
    assert set(routes) == {"/", "/healthz"}
    page = routes["/"].body.decode()
    assert len(page) < 50_000
    assert not re.search(r"<(?:img|iframe|object|embed|base)\b|<script\s|@import|url\(", page)
    assert re.findall(r"<link[^>]*href=\"(\w+):", page) == ["data"]
    assert not re.search(r"\son\w+=\"|\sstyle=\"|innerHTML|insertAdjacentHTML|eval\(", page)
    policy = routes["/"].headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert len(re.findall(r"(script|style)-src 'sha256-[\w+/]{43}='", policy)) == 2
