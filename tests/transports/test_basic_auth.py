"""HTTP Basic authentication on connect."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.core.errors import LocalProtocolError
from hubbub.core.http import Headers, Request
from hubbub.transports.basic_auth import basic_auth
from hubbub.transports.exceptions import InvalidStatus


async def _name(connection: Any) -> None:
    await connection.send(connection.username)


def _uri(server: Any, user: str) -> str:
    return f"ws://{user}127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def _later(user: str, password: str) -> bool:
    return (user, password) == ("ann", "p:w")


@pytest.mark.parametrize(
    "keywords",
    [
        {"credentials": ("ann", "p:w")},
        {"credentials": [("bob", "x"), ("ann", "p:w")]},
        {"check_credentials": lambda user, password: (user, password) == ("ann", "p:w")},
        {"check_credentials": _later},
    ],
    ids=["a pair", "pairs", "a function", "a coroutine function"],
)
async def test_who_may_enter(net: Any, keywords: dict[str, Any]) -> None:
    """The right name and password open the connection and name it; others and none get 401."""
    asked = basic_auth("the hub", **keywords)
    async with net.serve(_name, "127.0.0.1", 0, process_request=asked) as server:
        async with net.connect(_uri(server, "ann:p%3Aw@")) as connection:
            assert await connection.recv() == "ann"
        for wrong in ("", "ann:pw@", "carl:p%3Aw@", "ann@"):
            with pytest.raises(InvalidStatus) as raised:
                await net.connect(_uri(server, wrong)).__aenter__()
            response = raised.value.response
            assert response.status == 401
            assert response.headers["WWW-Authenticate"] == 'Basic realm="the hub", charset="UTF-8"'


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic ä", "Basic YW5u", "Bearer YW5uOnB3", "Basic /w==", "basic  YW5uOnB3!"],
)
async def test_what_is_no_basic_authentication(net: Any, header: str) -> None:
    """A malformed header is as good as none: 401, and no error in the server."""
    asked = basic_auth(credentials=("ann", "pw"))
    request = Request("GET", "/", Headers([("Authorization", header)]))
    response = await asked(object(), request)
    assert response is not None
    assert response.status == 401


@pytest.mark.parametrize("wrong", [5, "ab", ("a",), [("a", 5)], [5]], ids=repr)
def test_wrong_credentials_are_told_when_set_up(wrong: Any) -> None:
    """What is no pair of texts raises at once."""
    with pytest.raises(TypeError):
        basic_auth(credentials=wrong)


def test_one_way_to_decide() -> None:
    """Both ways to decide, or none, is a mistake; so is a realm that can't be sent."""
    with pytest.raises(ValueError, match="one of the two"):
        basic_auth()
    with pytest.raises(ValueError, match="one of the two"):
        basic_auth(credentials=("a", "b"), check_credentials=lambda user, password: True)
    with pytest.raises(LocalProtocolError, match="realm"):
        basic_auth("a\r\nb", credentials=("a", "b"))
