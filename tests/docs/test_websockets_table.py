"""The table that compares hubbub with `websockets` is complete and true.

It is read from the page and held against both packages as they are installed. What introspection can't
see, such as what a method does, has a test of its own, which DIFFERENCES names.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import sys
import textwrap
from asyncio.unix_events import _UnixSelectorEventLoop as UnixLoop
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
import websockets.asyncio.client
import websockets.asyncio.server
import websockets.datastructures
import websockets.exceptions
import websockets.http11
import websockets.version

import hubbub.core
import hubbub.transports.exceptions
from support.tree import ROOT

PAGE = ROOT / "docs" / "reference" / "websockets.md"
TEXT = PAGE.read_text()

LOOPS = ("asyncio", "trio")

VERDICTS = {"same", "different", "absent"}

DIFFERENCES: Mapping[tuple[str, str], str] = {
    ("Names", "broadcast"): "test_broadcast_returns_whom_it_skipped",
    ("serve", "port"): "test_a_server_is_told_where_to_listen",
    ("serve", "origins"): "test_origins",
    ("serve", "subprotocols"): "test_a_client_without_our_subprotocol_is_let_in",
    ("serve", "process_request"): "test_the_functions_of_a_user_get_our_types",
    ("serve", "process_response"): "test_headers_are_added_by_returning_a_response",
    ("serve", "ping_timeout"): "test_any_byte_proves_life",
    ("serve", "close_timeout"): "test_a_limit_is_one_number",
    ("serve", "max_size"): "test_a_limit_is_one_number",
    ("serve", "max_queue"): "test_the_queue_counts_messages",
    ("serve", "write_limit"): "test_a_limit_is_one_number",
    ("serve", "logger"): "test_loggers",
    ("serve", "create_connection"): "test_a_subclass_of_our_connections",
    ("connect", "additional_headers"): "test_a_client_does_not_write_the_handshake_itself",
    ("connect", "proxy"): "test_proxies",
    ("connect", "process_exception"): "test_what_is_tried_again",
    ("connect", "reconnect_delays"): "test_delays",
    ("connect", "ping_timeout"): "test_any_byte_proves_life",
    ("connect", "close_timeout"): "test_a_limit_is_one_number",
    ("connect", "max_size"): "test_a_limit_is_one_number",
    ("connect", "max_queue"): "test_the_queue_counts_messages",
    ("connect", "write_limit"): "test_a_limit_is_one_number",
    ("connect", "logger"): "test_loggers",
    ("connect", "create_connection"): "test_a_subclass_of_our_connections",
    ("connect", "ssl"): "test_tls_takes_a_context",
    ("connect", "proxy_ssl"): "test_tls_takes_a_context",
    ("broadcast", "connections"): "test_broadcast_is_for_servers",
    ("Connections", "recv"): "test_binary_data_that_is_no_text",
    ("Connections", "recv_streaming"): "test_fragments_are_given_where_they_are_asked_for",
    ("Connections", "send"): "test_fragments_of_two_types",
    ("Connections", "ping"): "test_a_payload_that_waits_for_its_pong",
    ("Connections", "latency"): "test_latency_is_of_keepalive",
    ("Connections", "state"): "test_the_functions_of_a_user_get_our_types",
    ("Connections", "request"): "test_the_functions_of_a_user_get_our_types",
    ("Connections", "respond"): "test_headers_are_added_by_returning_a_response",
    ("Connections", "logger"): "test_loggers",
    ("Connections", "response"): "test_the_functions_of_a_user_get_our_types",
    ("Server", "wait_closed"): "test_a_handler_that_runs_on_is_cancelled",
    ("The object that connect returns", "async for"): "test_lost_at_once_means_waiting",
    ("Exceptions", "InvalidProxy"): "test_proxies",
    ("Exceptions", "InvalidMessage"): "test_what_is_no_http",
    ("Exceptions", "ConnectionClosed.rcvd"): "test_how_a_connection_ended",
    ("Exceptions", "ConnectionClosed.sent"): "test_how_a_connection_ended",
    ("Exceptions", "ConnectionClosed.code"): "test_how_a_connection_ended",
    ("Exceptions", "ConnectionClosed.reason"): "test_how_a_connection_ended",
    ("Exceptions", "InvalidStatus.response"): "test_the_functions_of_a_user_get_our_types",
    ("Exceptions", "InvalidProxyStatus.response"): "test_the_functions_of_a_user_get_our_types",
    ("Requests, responses, headers", "Request.path"): "test_a_path_without_its_query",
    ("Requests, responses, headers", "Request.headers"): "test_headers_on_several_lines",
    ("Requests, responses, headers", "Response.headers"): "test_headers_on_several_lines",
    ("Requests, responses, headers", "headers[name]"): "test_headers_on_several_lines",
}
"""What differs though the names, parameters and defaults are the same, and the test of it, which is in
`test_websockets_differences.py`."""

ON_TRIO: Mapping[tuple[str, str], str] = dict.fromkeys(
    [("Names", name) for name in ("serve", "unix_serve", "connect", "unix_connect")],
    "test_nothing_is_awaited_to_connect_or_serve_on_trio",
)
"""The same for what differs on trio alone."""

LATER = {"all_errors": (3, 12), "keep_alive": (3, 13), "cleanup_socket": (3, 13)}
"""Parameters that asyncio has had only since this version of Python."""

SYNTAX = {
    "async with": ("__aenter__", "__aexit__"),
    "async for": ("__aiter__",),
    "await": ("__await__",),
}
"""Special methods by what they are written for."""

OPERATORS = {
    "__getitem__": "headers[name]",
    "__setitem__": "headers[name] = value",
    "__delitem__": "del headers[name]",
}

COMPUTED = "what no literal can say"
REQUIRED = inspect.Parameter.empty


# The page.


@dataclass(frozen=True)
class Row:
    """A name of a table."""

    line: int
    section: str
    table: int
    name: str
    parameters: tuple[str, ...] | None
    here: Mapping[str, str]
    default: str
    why: str


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _rows() -> Iterator[Row]:
    section, table = "", -1
    columns: list[str] = []
    for number, line in enumerate(TEXT.splitlines(), 1):
        if line.startswith("## "):
            section, table, columns = line[3:].replace("`", ""), -1, []
        elif line.startswith("| name |"):
            columns = _cells(line)
            table += 1
        elif not line.startswith("|"):
            columns = []
        elif columns and not line.startswith("|---"):
            cells = dict(zip(columns, _cells(line), strict=True))
            verdict, _, trio = cells["here"].partition(", trio: ")
            for span in re.findall("`([^`]*)`", cells["name"]):
                found = re.fullmatch(r"([^(]*)(?:\((.*)\))?", span)
                assert found is not None, span
                inside = found[2]
                yield Row(
                    number,
                    section,
                    table,
                    found[1],
                    None if inside is None else tuple(filter(None, inside.split(", "))),
                    {"asyncio": verdict, "trio": trio or verdict},
                    cells.get("default", ""),
                    cells["what differs"],
                )


ROWS = list(_rows())


# What there is, in either package.


@dataclass(frozen=True)
class Thing:
    """A name that introspection found."""

    kind: str
    default: object = REQUIRED
    parameters: tuple[tuple[str, object], ...] | None = None
    bases: frozenset[str] = field(default_factory=frozenset)

    def covers(self, other: Thing) -> bool:
        """Whether whatever is done with `other` can be done with this."""
        kinds = {self.kind} if not self.kind.startswith("parameter") else {self.kind, "keyword"}
        return (
            other.kind in kinds
            and self.default == other.default
            and self.parameters == other.parameters
            and self.bases >= other.bases
        )


def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    found = inspect.signature(function).parameters
    return {name: found[name] for name in found if name != "self"}


def _named(module: ModuleType, names: Iterable[str]) -> dict[str, Thing]:
    """What a module exports. What has a section of its own is compared there."""
    things: dict[str, Thing] = {}
    for name in names:
        value = getattr(module, name)
        # `serve` is a function there and a class here.
        own = name in {"Server", "ServerConnection", "ClientConnection"}
        parameters = tuple((each.name, each.default) for each in _parameters(value).values())
        things[name] = Thing("class", parameters=parameters) if own else Thing("callable")
    return things


def _keywords(*functions: Any, but: Iterable[str] = (), keyword: bool = False) -> dict[str, Thing]:
    """The parameters of functions, except those that take any other."""
    things: dict[str, Thing] = {}
    for function in functions:
        for at, each in enumerate(_parameters(function).values()):
            if each.kind is inspect.Parameter.VAR_KEYWORD or each.name in but:
                continue
            by_name = keyword or each.kind is inspect.Parameter.KEYWORD_ONLY
            things[each.name] = Thing("keyword" if by_name else f"parameter {at}", each.default)
    return things


def _our_keywords(
    function: Any, options: hubbub.core.ServerOptions | hubbub.core.ClientOptions
) -> dict[str, Thing]:
    """Those of `serve` or `connect`, among them the limits, each with the default that holds."""
    things = _keywords(function)
    effective = {
        "subprotocols": options.subprotocols or None,
        "compression": None if options.deflate is None else "deflate",
        "origin": getattr(options, "origin", None),
        "origins": getattr(options, "origins", None),
    }
    for name, thing in things.items():
        if type(thing.default).__name__ == "Unset":
            things[name] = Thing(thing.kind, effective.get(name, COMPUTED))
    for name in hubbub.core.Limits.__struct_fields__:
        things[name] = Thing("keyword", getattr(options.limits, name))
    return things


def _attributes_set(cls: type) -> Iterator[str]:
    """What the methods of a class assign to `self`, and what it only annotates."""
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(cls)))):
        targets: list[ast.expr] = [node.target] if isinstance(node, ast.AnnAssign) else []
        if isinstance(node, ast.Assign):
            targets = [
                part
                for target in node.targets
                for part in (target.elts if isinstance(target, ast.Tuple) else [target])
            ]
        for target in targets:
            if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                yield target.attr


def _members(cls: type) -> dict[str, Thing]:
    """The attributes and methods of a class, without those of classes from elsewhere."""
    package = cls.__module__.partition(".")[0]
    things: dict[str, Thing] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.partition(".")[0] != package or package == "builtins":
            continue
        for name in _attributes_set(base):
            if not name.startswith("_"):
                things.setdefault(name, Thing("value"))
        for name, value in vars(base).items():
            if not name.startswith("_"):
                things[name] = _member(value)
    for name, methods in SYNTAX.items():
        if all(hasattr(cls, method) for method in methods):
            things[name] = Thing("syntax")
    return things


def _member(value: object) -> Thing:
    if not inspect.isroutine(value) or inspect.isdatadescriptor(value):
        return Thing("value")
    kind = "method"
    if inspect.iscoroutinefunction(value):
        kind = "coroutine"
    elif inspect.isasyncgenfunction(value):
        kind = "async generator"
    parameters = tuple((each.name, each.default) for each in _parameters(value).values())
    return Thing(kind, parameters=parameters)


def _exceptions(module: ModuleType) -> dict[str, Thing]:
    """The exceptions of a module, with those of its own that each is derived from."""
    things: dict[str, Thing] = {}
    for name in module.__all__:
        value = getattr(module, name)
        if isinstance(value, type):
            bases = {base.__name__ for base in value.__mro__[1:] if base.__name__ in module.__all__}
            # A constructor counts where it is the exception's own, or its base's.
            own = _parameters(value) if "rcvd" in _members(value) else None
            parameters = None if own is None else tuple((each, None) for each in own)
            things[name] = Thing("exception", parameters=parameters, bases=frozenset(bases))
    return things


def _exceptions_attributes(module: ModuleType) -> dict[str, Thing]:
    """The attributes of those that exist here."""
    here = hubbub.transports.exceptions.__all__
    things: dict[str, Thing] = {}
    for name in set(module.__all__) & set(here) & set(websockets.exceptions.__all__):
        value = getattr(module, name)
        inherited = {each for base in value.__mro__[1:] for each in _members(base)}
        for attribute in _members(value).keys() - inherited:
            things[f"{name}.{attribute}"] = Thing("value")
    return things


def _http(request: type, response: type, headers: type) -> dict[str, Thing]:
    things: dict[str, Thing] = {}
    for name, cls in (("Request", request), ("Response", response)):
        for attribute in getattr(cls, "__struct_fields__", None) or cls.__dataclass_fields__:  # type: ignore[attr-defined]
            things[f"{name}.{attribute}"] = Thing("value")
        for attribute, member in vars(cls).items():
            # What reads and writes the wire is no user's; `exception` is deprecated there.
            if not attribute.startswith("_") and isinstance(member, property):
                things[f"{name}.{attribute}"] = Thing("value")
    for attribute, member in vars(headers).items():
        if attribute in OPERATORS:
            things[OPERATORS[attribute]] = Thing("syntax")
        elif not attribute.startswith("_"):
            things[f"headers.{attribute}"] = Thing(_member(member).kind)
    return {
        name: thing
        for name, thing in things.items()
        if not name.endswith(".exception") and "._" not in name
    }


SERVER, CLIENT = websockets.asyncio.server, websockets.asyncio.client
ASYNCIO = asyncio.BaseEventLoop
HANDED = ("self", "protocol_factory")


def _theirs() -> dict[tuple[str, int], dict[str, Thing]]:
    """What each table must have."""
    on_server, on_client = _members(SERVER.ServerConnection), _members(CLIENT.ClientConnection)
    # `response` is not the same on both sides here.
    both = (on_server.keys() & on_client.keys()) - {"response"}
    return {
        ("Names", 0): _named(SERVER, SERVER.__all__) | _named(CLIENT, CLIENT.__all__),
        ("serve", 0): _keywords(SERVER.serve),
        ("serve", 1): _keywords(
            ASYNCIO.create_server,
            UnixLoop.create_unix_server,
            but=[*HANDED, "host", "port"],
            keyword=True,
        ),
        ("unix_serve", 0): _keywords(SERVER.unix_serve),
        ("connect", 0): _keywords(CLIENT.connect),
        ("connect", 1): _keywords(
            ASYNCIO.create_connection, UnixLoop.create_unix_connection, but=HANDED, keyword=True
        )
        | {
            name: Thing("keyword", None)
            for name in re.findall(r"``(proxy_\w+)``", CLIENT.connect.__doc__ or "")
        },
        ("unix_connect", 0): _keywords(CLIENT.unix_connect),
        ("broadcast", 0): _keywords(SERVER.broadcast),
        ("basic_auth", 0): _keywords(SERVER.basic_auth),
        ("Connections", 0): {name: on_server[name] for name in both},
        ("Connections", 1): {name: on_server[name] for name in on_server.keys() - both},
        ("Connections", 2): {name: on_client[name] for name in on_client.keys() - both},
        ("Server", 0): _members(SERVER.Server),
        ("The object that connect returns", 0): _members(CLIENT.connect),
        ("Exceptions", 0): _exceptions(websockets.exceptions),
        ("Exceptions", 1): _exceptions_attributes(websockets.exceptions),
        ("Requests, responses, headers", 0): _http(
            websockets.http11.Request, websockets.http11.Response, websockets.datastructures.Headers
        ),
    }


def _ours(loop: str) -> dict[tuple[str, int], dict[str, Thing]]:
    """What there is here, for each table."""
    net = import_module(f"hubbub.transports.{loop}")
    serve = _our_keywords(net.serve, hubbub.core.ServerOptions())
    connect = _our_keywords(net.connect, hubbub.core.ClientOptions(host="example.com"))
    on_server, on_client = _members(net.ServerConnection), _members(net.ClientConnection)
    authentication = getattr(net, "basic_auth", None)
    return {
        ("Names", 0): _named(net, set(net.__all__) & THEIRS["Names", 0].keys()),
        ("serve", 0): serve,
        ("serve", 1): serve,
        ("unix_serve", 0): _keywords(net.unix_serve),
        ("connect", 0): connect,
        ("connect", 1): connect,
        ("unix_connect", 0): _keywords(net.unix_connect),
        ("broadcast", 0): _keywords(net.broadcast),
        ("basic_auth", 0): {} if authentication is None else _keywords(authentication),
        ("Connections", 0): {name: on_server[name] for name in on_server.keys() & on_client.keys()},
        ("Connections", 1): on_server,
        ("Connections", 2): on_client,
        ("Server", 0): _members(net.Server),
        ("The object that connect returns", 0): _members(net.connect),
        ("Exceptions", 0): _exceptions(hubbub.transports.exceptions),
        ("Exceptions", 1): _exceptions_attributes(hubbub.transports.exceptions),
        ("Requests, responses, headers", 0): _http(
            hubbub.core.Request, hubbub.core.Response, hubbub.core.Headers
        ),
    }


THEIRS = _theirs()
OURS = {loop: _ours(loop) for loop in LOOPS}

SEEN = re.search(r"version (\d+(?:\.\d+)+)", TEXT)
"""The version of `websockets` that the page is about."""


# The two held against each other.


def test_the_page_is_about_the_version_that_is_installed() -> None:
    """A new version of `websockets` is compared anew before its table is trusted."""
    assert SEEN is not None
    if websockets.version.version != SEEN[1]:
        pytest.skip(f"the table is about {SEEN[1]}, and {websockets.version.version} is installed")


@pytest.mark.parametrize("place", THEIRS, ids=lambda place: f"{place[0]} {place[1]}")
def test_a_table_has_every_name_once(place: tuple[str, int]) -> None:
    """A table has exactly the names that `websockets` has, in no matter which order."""
    test_the_page_is_about_the_version_that_is_installed()
    expected = list(THEIRS[place])
    expected += [
        name
        for name, since in LATER.items()
        if sys.version_info < since
        and place[0] == ("connect" if name == "all_errors" else "serve")
        and place[1] == 1
    ]
    found = [row.name for row in ROWS if (row.section, row.table) == place]
    assert sorted(found) == sorted(expected)


def test_there_is_no_other_table() -> None:
    """Each table of the page is checked."""
    assert {(row.section, row.table) for row in ROWS} == set(THEIRS)


def test_the_form_of_the_rows() -> None:
    """A verdict is one of three words, and whatever is not the same says why."""
    for row in ROWS:
        assert set(row.here.values()) <= VERDICTS, row
        alone = set(row.here.values()) == {"same"}
        # What differs is in the column of defaults, where it is no more than that.
        assert alone != bool(row.why or "→" in row.default), row


def _default_of(text: str) -> object:
    code = re.fullmatch("`(.*)`", text)
    if code is not None:
        return eval(code[1], {"__builtins__": {}})
    return REQUIRED if text in {"", "required"} else COMPUTED


def _is(default: object, said: object) -> bool:
    if said is COMPUTED:
        return default is COMPUTED or callable(default) or "websockets/" in str(default)
    return default == said and (default is None) == (said is None)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.section}: {row.name}")
def test_a_row_is_true(row: Row, loop: str) -> None:
    """'same' is the same here, 'different' exists and differs, 'absent' does not exist here."""
    theirs = THEIRS[row.section, row.table].get(row.name)
    ours = OURS[loop][row.section, row.table].get(row.name)
    if theirs is None:
        assert row.name in LATER
        assert row.here[loop] == "absent"
    elif row.parameters is not None:
        assert theirs.parameters is not None
        assert row.parameters == tuple(name for name, _ in theirs.parameters)
    if row.here[loop] == "absent":
        assert ours is None
        assert not row.default
        return
    assert theirs is not None
    assert ours is not None
    if theirs.kind == "keyword" or theirs.kind.startswith("parameter"):
        said = [_default_of(part.strip()) for part in row.default.split("→")]
        assert _is(theirs.default, said[0]), f"{theirs.default!r} there"
        assert _is(ours.default, said[-1]), f"{ours.default!r} here"
    if row.here[loop] == "same":
        assert ours.covers(theirs), f"{ours} does not cover {theirs}"
    elif ours.covers(theirs):
        shown = DIFFERENCES if loop == "asyncio" else {**DIFFERENCES, **ON_TRIO}
        assert (row.section, row.name) in shown, "the same for introspection: what shows it?"


@pytest.mark.parametrize("loop", LOOPS)
def test_what_is_absent_is_refused(loop: str) -> None:
    """`serve` and `connect` refuse keywords that they don't know."""
    net = import_module(f"hubbub.transports.{loop}")

    async def handler(_: object) -> None:
        pass

    calls: dict[str, Callable[..., object]] = {
        "serve": lambda **keywords: net.serve(handler, port=0, **keywords),
        "connect": lambda **keywords: net.connect("wss://example.com", **keywords),
    }
    for row in ROWS:
        if row.section in calls and row.here[loop] == "absent":
            with pytest.raises(TypeError, match=row.name):
                calls[row.section](**{row.name: None})


def test_every_difference_has_its_test() -> None:
    """DIFFERENCES names rows that say 'different', and all tests of the other file."""
    said = {
        loop: {(row.section, row.name) for row in ROWS if row.here[loop] == "different"}
        for loop in LOOPS
    }
    assert set(DIFFERENCES) - said["asyncio"] == set()
    assert set(ON_TRIO) - said["trio"] == set()
    tree = ast.parse((ROOT / "tests" / "docs" / "test_websockets_differences.py").read_text())
    tests = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name[:5] == "test_"
    ]
    assert sorted({*DIFFERENCES.values(), *ON_TRIO.values()}) == sorted(tests)


def test_what_only_hubbub_has() -> None:
    """What the last table lists exists here, and not there."""
    table = TEXT.partition("## Only here")[2]
    listed: dict[str, list[str]] = {}
    for line in table.splitlines():
        if line.startswith("| ") and not line.startswith("| where"):
            where, cell = _cells(line)
            listed[where.replace("`", "")] = re.findall(r"`(\w+)(?:\(\))?`", cell)
    places = {
        "keywords of serve": [("serve", 0), ("serve", 1)],
        "keywords of connect": [("connect", 0), ("connect", 1)],
        "keywords of both": [],
        "connections": [("Connections", 0)],
        "Server on trio": [("Server", 0)],
    }
    assert listed.keys() == places.keys()
    for where, names in listed.items():
        for place in places[where]:
            assert set(names) <= OURS["trio"][place].keys()
            assert not set(names) & THEIRS[place].keys()
    fields = set(hubbub.core.Limits.__struct_fields__)
    for function in ("serve", "connect"):
        known = {name for row in (0, 1) for name in THEIRS[function, row]}
        more = OURS["asyncio"][function, 0].keys() - known - fields
        assert more == set(listed[f"keywords of {function}"])
