"""The HTTP interface of a hub: who may use it, what it does, and how it says no."""

from __future__ import annotations

import inspect
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.apps.hub.http_api import HttpApi
from hubbub.apps.hub.metrics import Metrics
from hubbub.core.auth import hash_token
from hubbub.core.forwarded import TrustedProxies
from hubbub.core.http import Headers, Request, Response
from hubbub.core.hub_config import HubConfig
from hubbub.core.hub_limits import HubLimits
from hubbub.core.rules import DEFAULT_RULES, Rule
from support.http_asking import KEY, HttpAnswer, ask, bearer
from support.hub_peers import HubServer, hub, hub_config, named, peer, token_auth
from support.loops import until
from support.net import adapter, address

RULES = (
    Rule(pattern="kept", history=10),
    Rule(pattern="short", max_message=10),
    Rule(pattern="latest", slow="latest"),
    *DEFAULT_RULES,
)


def _api(config: HubConfig, **fields: Any) -> HttpApi:
    everything: dict[str, Any] = {
        "key_hash": hash_token(KEY),
        "rules": config.rules,
        "limits": config.limits,
        "metrics": Metrics(),
    }
    return HttpApi(**(everything | fields))


@asynccontextmanager
async def _hub(
    config: HubConfig | None = None, **fields: Any
) -> AsyncIterator[tuple[HubServer, int]]:
    """A hub with its HTTP interface, and its port."""
    config = config if config is not None else hub_config(rules=RULES)
    api = _api(config, **fields)
    async with hub(adapter("asyncio"), config, http=api, clock=time.monotonic) as server:
        api.serve(server)
        yield server, address(server)[1]


async def _post(port: int, path: str, body: object, **headers: str) -> HttpAnswer:
    return await ask(port, "POST", path, body, bearer() | headers)


# Publishing.


async def test_publishing() -> None:
    """Subscribers get a notification, and the answer says how many they were."""
    async with _hub() as (server, port), peer(server) as ann, peer(server) as bob:
        await ann.subscribe("alerts.fire")
        await bob.subscribe("alerts.>")
        answer = await _post(port, "/api/publish", {"topic": "alerts.fire", "message": {"n": 1}})
        assert (answer.status, answer.data) == (200, {"recipients": 2})
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        for one in (ann, bob):
            got = await one.recv()
            assert (got["type"], got["topic"], got["message"]) == (
                "notification",
                "alerts.fire",
                {"n": 1},
            )
        answer = await _post(port, "/api/publish", {"topic": "nobody", "message": None})
        assert answer.data == {"recipients": 0}


async def test_publishing_in_a_room() -> None:
    """With a sender it is something that somebody said; without one it is a notification."""
    async with _hub() as (server, port), named(server, "ann") as ann:
        await ann.subscribe("room.lobby")
        said = {"topic": "room.lobby", "message": "hello", "sender": "Robot 1"}
        assert (await _post(port, "/api/publish", said)).data == {"recipients": 1}
        got = await ann.wait_for("chat")
        assert (got["sender"], got["message"]) == ("Robot 1", "hello")
        del said["sender"]
        await _post(port, "/api/publish", said)
        assert (await ann.recv())["type"] == "notification"


async def test_publishing_where_history_is_kept() -> None:
    """The answer has the position; a repeat with the same idempotency key has the same one."""
    async with _hub() as (_, port):
        asked = {"topic": "kept", "message": "x", "idempotency_key": "one"}
        first = (await _post(port, "/api/publish", asked)).data
        assert first["offset"] == 1
        assert first["epoch"]
        again = (await _post(port, "/api/publish", asked)).data
        assert again == {**first, "duplicate": True}
        other = {"topic": "kept", "message": "y", "sender": None, "key": None}
        assert (await _post(port, "/api/publish", other)).data["offset"] == 2


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"message": "x"}, (400, "bad_request", "topic")),
        ({"topic": "a"}, (400, "bad_request", "message")),
        ({"topic": 7, "message": "x"}, (400, "bad_request", "topic")),
        ({"topic": None, "message": "x"}, (400, "bad_request", "topic")),
        ({"topic": "a", "message": "x", "sender": ["ann"]}, (400, "bad_request", "sender")),
        ({"topic": "a", "message": "x", "to": "ann"}, (400, "bad_request", "to")),
        ({"topic": "a b", "message": "x"}, (400, "bad_topic", "topic")),
        ({"topic": "a.*", "message": "x"}, (400, "bad_topic", "topic")),
        ({"topic": "", "message": "x"}, (400, "bad_topic", "topic")),
        ({"topic": "a", "message": "x", "sender": "a\nb"}, (400, "bad_name", "sender")),
        ({"topic": "a", "message": "x", "key": "k" * 129}, (400, "too_large", "key")),
        (
            {"topic": "a", "message": "x", "idempotency_key": "é" * 33},
            (400, "too_large", "idempotency_key"),
        ),
        ({"topic": "a", "message": [2**70]}, (400, "bad_request", "message")),
        ({"topic": "short", "message": "x" * 9}, (413, "message_too_large", "message")),
        ({"topic": "a", "message": "x" * 65_535}, (413, "message_too_large", "message")),
        ([], (400, "bad_request", None)),
        ("x", (400, "bad_request", None)),
        (b"", (400, "bad_json", None)),
        (b"{", (400, "bad_json", None)),
        (b'{"topic":"a","message":"\xff"}', (400, "bad_json", None)),
        (b'{"topic":"a","message":"\\ud800"}', (400, "bad_json", None)),
        (b'{"topic":"a","message":1e999}', (400, "bad_request", None)),
        (
            b'{"topic":"a","message":' + b"[" * 32 + b"]" * 32 + b"}",
            (400, "too_deep", None),
        ),
        (b'{"topic":"a","message":' + b"[" * 100_000, (400, "too_deep", None)),
    ],
    ids=lambda value: None if isinstance(value, tuple) else repr(value)[:40],
)
async def test_what_cannot_be_published(body: object, expected: tuple[object, ...]) -> None:
    """The answer names the field, and nobody is sent anything."""
    async with _hub() as (server, port):
        answer = await _post(port, "/api/publish", body)
        assert answer.error == expected
        assert server.hub.counters.publications == 0


async def test_what_just_fits() -> None:
    """A message of the size that the rule allows, and one nested as deep as may be, are published."""
    async with _hub() as (_, port):
        for body in (
            {"topic": "short", "message": "x" * 8},
            {"topic": "a", "message": "x" * 65_534},
            {"topic": "a", "message": 2**64 - 1},
            b'{"topic":"a","message":' + b"[" * 31 + b"]" * 31 + b"}",
            b'{"topic":"b","topic":"a","message":"{[{[{[{[{[{[{[{[{[{[{[{[{[{[{[{[{["}',
        ):
            assert (await _post(port, "/api/publish", body)).data == {"recipients": 0}


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": ""},
        {"Content-Encoding": "gzip"},
    ],
    ids=str,
)
async def test_other_content_types(headers: Mapping[str, str]) -> None:
    """A body that does not say that it is plain JSON is refused with 415."""
    async with _hub() as (_, port):
        body = {"topic": "a", "message": "x"}
        answer = await ask(port, "POST", "/api/publish", body, {**bearer(), **headers})
        assert answer.error == (415, "unsupported_media_type", None)
        answer = await ask(
            port,
            "POST",
            "/api/publish",
            body,
            {**bearer(), "Content-Type": "Application/JSON; charset=utf-8"},
        )
        assert answer.status == 200


async def test_a_body_that_is_too_long() -> None:
    """Beyond 1 MiB it is not read; the answer is 413."""
    async with _hub() as (_, port):
        answer = await _post(port, "/api/publish", b"[" + b" " * 2**20)
        assert answer.status == 413


# What operators do.


async def test_disconnecting_a_user() -> None:
    """All sessions of the user are closed with 4003 and the reason; others stay."""
    async with (
        _hub() as (server, port),
        named(server, "ann") as ann,
        named(server, "bob") as bob,
    ):
        answer = await _post(port, "/api/disconnect", {"user": "ann", "reason": "go home"})
        assert answer.data == {"sessions": 1}
        assert await ann.closed() == (4003, "go home")
        assert (await _post(port, "/api/disconnect", {"user": "ann"})).data == {"sessions": 0}
        assert (await bob.ask(action="ping"))["type"] == "pong"
        answer = await _post(port, "/api/disconnect", {"user": "bob", "reason": "é" * 62})
        assert answer.error == (400, "too_large", "reason")


async def test_revoking_topics() -> None:
    """Subscriptions that reach the pattern end, and cannot be made again."""
    config = hub_config(auth=token_auth("ann"), rules=RULES)
    async with _hub(config) as (server, port), peer(server, "/?token=token-ann") as ann:
        await ann.wait_for("auth")
        await ann.subscribe("alerts.fire", "news")
        answer = await _post(port, "/api/revoke", {"user": "ann", "pattern": "alerts.>"})
        assert answer.data == {"sessions": 1}
        assert (await ann.wait_for("unsubscribed"))["topics"] == ["alerts.fire"]
        refused = await ann.ask(action="subscribe", topics=["alerts.fire"])
        assert refused["code"] == "forbidden"
        for pattern, code in (("a..b", "bad_topic"), (7, "bad_request")):
            answer = await _post(port, "/api/revoke", {"user": "ann", "pattern": pattern})
            assert answer.error == (400, code, "pattern")


async def test_what_operators_do_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """There is one line for each, and a name in it cannot end the line."""
    async with _hub() as (_, port):
        with caplog.at_level(logging.INFO, "hubbub.http"):
            await _post(port, "/api/disconnect", {"user": "ann\nroot"})
            await _post(port, "/api/revoke", {"user": "ann", "pattern": "a.>"})
        assert [record.message for record in caplog.records] == [
            "disconnected ann\\nroot: sessions: 0",
            "revoked a.> of ann: sessions: 0",
        ]


async def test_topics() -> None:
    """Topics and patterns with their subscribers, those with a prefix, and not more than asked for."""
    async with _hub() as (server, port), peer(server) as ann, peer(server) as bob:
        await ann.subscribe("alerts.fire", "alerts.*", "news")
        await bob.subscribe("news")
        everything = await ask(port, "GET", "/api/topics", headers=bearer())
        assert everything.data == {
            "topics": [
                {"topic": "alerts.fire", "subscribers": 1},
                {"topic": "alerts.*", "subscribers": 1},
                {"topic": "news", "subscribers": 2},
            ],
            "more": False,
        }
        some = await ask(port, "GET", "/api/topics?prefix=alerts.&limit=1", headers=bearer())
        assert some.data == {"topics": [{"topic": "alerts.fire", "subscribers": 1}], "more": True}
        none = await ask(port, "GET", "/api/topics?prefix=%C3%A9&limit=1000", headers=bearer())
        assert none.data == {"topics": [], "more": False}


async def test_connections() -> None:
    """Sessions with what is known of them, and nothing of their tokens."""
    config = hub_config(
        auth=token_auth("ann"), rules=RULES, trusted_proxies=TrustedProxies(["127.0.0.1"])
    )
    forwarded = {"X-Forwarded-For": "192.0.2.7"}
    began = datetime.now(UTC)
    async with (
        _hub(config) as (server, port),
        peer(server, "/?token=token-ann", additional_headers=forwarded) as ann,
        named(server, "bob"),
    ):
        await ann.wait_for("auth")
        await ann.subscribe("alerts", "news")
        answer = await ask(port, "GET", "/api/connections", headers=bearer())
        assert b"token" not in answer.body
        first, second = answer.data["connections"]
        assert abs(datetime.fromisoformat(first.pop("since")) - began).total_seconds() < 10
        assert first == {
            "session": 1,
            "user": "ann",
            "anonymous": False,
            "address": "192.0.2.7",
            "subscriptions": 2,
            "outbox_bytes": 0,
        }
        assert (second["user"], second["anonymous"], second["address"]) == (
            "bob",
            True,
            "127.0.0.1",
        )
        answer = await ask(port, "GET", "/api/connections?limit=1", headers=bearer())
        assert len(answer.data["connections"]) == 1
        assert answer.data["more"] is True


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("limit=%D9%A3", "limit"),
        ("limit=99999999999999999999999", "limit"),
        ("limit=1&limit=2", "limit"),
        ("prefix=a", "prefix"),
        ("x" * 100 + "=1", "x" * 64),
    ],
)
async def test_a_wrong_query(query: str, field: str) -> None:
    """The answer names what is wrong in it."""
    async with _hub() as (_, port):
        answer = await ask(port, "GET", f"/api/connections?{query}", headers=bearer())
        assert answer.error == (400, "bad_request", field)


# Who may.


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer("wrong"),
        bearer(""),
        bearer(KEY[:-1]),
        bearer(f"{KEY}x"),
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Bearer {KEY}, Bearer {KEY}"},
        {"Cookie": f"key={KEY}"},
    ],
    ids=str,
)
async def test_without_the_right_key(
    headers: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Everything under /api/ answers 401, whether it is there or not, and no key is logged."""
    with caplog.at_level(logging.DEBUG):
        async with _hub() as (_, port):
            for method, path in (
                ("POST", "/api/publish"),
                ("GET", "/api/topics"),
                ("GET", "/api/nothing"),
                ("DELETE", "/api"),
                ("GET", f"/api/topics?key={KEY}"),
            ):
                answer = await ask(port, method, path, headers=headers)
                assert answer.error == (401, "unauthorized", None)
                assert answer.headers["www-authenticate"] == "Bearer"
    assert KEY not in caplog.text
    assert ("a wrong API key from 127.0.0.1" in caplog.text) is ("Authorization" in headers)


async def test_the_right_key() -> None:
    """The scheme's case does not matter."""
    async with _hub() as (_, port):
        for scheme in ("Bearer", "bearer", "BEARER  "):
            headers = {"Authorization": f"{scheme} {KEY}"}
            assert (await ask(port, "GET", "/api/topics", headers=headers)).status == 200


async def test_a_hub_without_a_key() -> None:
    """Its API is closed, even to an empty key, and says how to open it."""
    async with _hub(key_hash=None) as (_, port):
        for headers in ({}, bearer(), bearer("")):
            answer = await ask(port, "GET", "/api/topics", headers=headers)
            assert answer.error == (403, "no_api_key", None)
            assert b"api.key_file" in answer.body


async def test_other_paths_and_methods() -> None:
    """What is not there is 404, another method 405 with those that are allowed; HEAD is as GET."""
    async with _hub() as (_, port):
        for path in ("/api", "/api/", "/api/publish/", "/api/Publish"):
            answer = await ask(port, "GET", path, headers=bearer())
            assert answer.error == (404, "not_found", None)
        for method, path, allowed in (
            ("GET", "/api/publish", "POST"),
            ("PUT", "/api/disconnect", "POST"),
            ("OPTIONS", "/api/revoke", "POST"),
            ("POST", "/api/topics", "GET, HEAD"),
            ("POST", "/readyz", "GET, HEAD"),
            ("DELETE", "/metrics", "GET, HEAD"),
        ):
            answer = await ask(port, method, path, headers=bearer())
            assert answer.error == (405, "method_not_allowed", None)
            assert answer.headers["allow"] == allowed
        answer = await ask(port, "HEAD", "/api/topics", headers=bearer())
        assert (answer.status, answer.body) == (200, b"")
        assert int(answer.headers["content-length"]) > 0
        for path in ("/nothing", "/apis", "/metrics/"):
            assert (await ask(port, "GET", path)).status == 426


# Metrics, and whether it is ready.


async def test_metrics_for_this_machine() -> None:
    """A client that comes from it, by none of the usual names of elsewhere, needs no key."""
    async with _hub() as (_, port):
        for host in ("localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"):
            answer = await ask(port, "GET", "/metrics", host=host)
            assert answer.status == 200
            assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
            assert answer.headers["cache-control"] == "no-store"
            assert b"hubbub_connections 1.0\n" in answer.body
        answer = await ask(port, "HEAD", "/metrics")
        assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "192.0.2.7"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-For": ""},
        {"x-forwarded-proto": "https"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Host": "[::1"},
    ],
    ids=str,
)
@pytest.mark.parametrize("trusting", [False, True])
async def test_metrics_behind_a_proxy(headers: Mapping[str, str], *, trusting: bool) -> None:
    """What a proxy on this machine hands on needs the key, and so does what a foreign name led here."""
    proxies = TrustedProxies(["127.0.0.1"]) if trusting else None
    async with _hub(hub_config(rules=RULES, trusted_proxies=proxies)) as (_, port):
        answer = await ask(port, "GET", "/metrics", headers=headers)
        assert answer.error == (401, "unauthorized", None)
        assert b"localhost" in answer.body
        assert (await ask(port, "GET", "/metrics", headers={**headers, **bearer()})).status == 200


async def test_metrics_for_nobody_without_the_key() -> None:
    """Where it is set so, this machine needs it too; where there is none, the answer says so."""
    async with _hub(loopback=False) as (_, port):
        assert (await ask(port, "GET", "/metrics")).error == (401, "unauthorized", None)
        assert (await ask(port, "GET", "/metrics", headers=bearer())).status == 200
    async with _hub(loopback=False, key_hash=None) as (_, port):
        assert (await ask(port, "GET", "/metrics")).error == (403, "no_api_key", None)


async def test_no_metrics() -> None:
    """Where they are off the path means nothing."""
    async with _hub(metrics=None) as (_, port):
        assert (await ask(port, "GET", "/metrics", headers=bearer())).status == 426
        assert (await ask(port, "GET", "/api/topics", headers=bearer("x"))).status == 401


async def test_pages_of_other_sites() -> None:
    """They can't ask for the metrics, even with a key; a page of the hub's own host can."""
    async with _hub() as (_, port):
        for origin in ("http://evil.example", "null", f"http://localhost:{port + 1}"):
            answer = await ask(port, "GET", "/metrics", headers={"Origin": origin, **bearer()})
            assert answer.error == (403, "forbidden", None)
        own = {"Origin": f"http://localhost:{port}"}
        assert (await ask(port, "GET", "/metrics", headers=own)).status == 200


async def test_a_client_on_a_unix_socket() -> None:
    """It is who a proxy looks like, so it needs the key."""
    config = hub_config()
    request = Request("GET", "/metrics", Headers({"Host": "localhost"}))
    answer = _api(config)(request, b"", None)
    assert isinstance(answer, Response)
    assert answer.status == 401


async def test_ready() -> None:
    """It is, until it drains."""
    async with _hub() as (server, port):
        answer = await ask(port, "GET", "/readyz")
        assert (answer.status, answer.body) == (200, b"ready\n")
        assert answer.headers["cache-control"] == "no-store"
        api = _api(hub_config())
        ready = Request("GET", "/readyz", Headers())
        assert _status(api, ready) == 503  # not started
        api.serve(server)
        assert _status(api, ready) == 200
        server.close()
        await until(lambda: server.hub.draining)
        assert _status(api, ready) == 503


def _status(api: HttpApi, request: Request, body: bytes = b"") -> int:
    answer = api(request, body, "127.0.0.1")
    if inspect.iscoroutine(answer):
        answer.close()
        return 200
    assert isinstance(answer, Response)
    return answer.status


bodies = st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("message"), inner),
    max_leaves=10,
).map(lambda value: json.dumps(value).encode())


@given(
    bodies,
    st.sampled_from(["publish", "disconnect", "revoke", "topics", "connections", "readyz", ""]),
    st.sampled_from(["GET", "POST", "HEAD", "PATCH"]),
    st.text("abc=&%25?limtprefx0123456789+", max_size=20),
    st.dictionaries(
        st.sampled_from(["Content-Type", "Accept", "Host", "Origin", "Content-Encoding", "Via"]),
        st.sampled_from(["application/json", "x", "", "\xff", "*/*", "a:b:c", "[", "]", "//"]),
    ),
)
def test_whatever_is_sent(
    body: bytes, name: str, method: str, query: str, headers: dict[str, str]
) -> None:
    """Nothing that a client sends raises; it gets an answer."""
    config = hub_config(HubLimits(), rules=RULES)
    api = _api(config)
    key = {"Authorization": f"Bearer {KEY}"}
    request = Request(method, f"/api/{name}?{query}", Headers({**headers, **key}))
    assert _status(api, request, body) in {200, 400, 404, 405, 413, 415, 503}
    metrics = Request(method, f"/metrics?{query}", Headers(headers))
    assert _status(api, metrics) in {200, 401, 403, 405}
