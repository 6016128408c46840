"""One input of the native codec: a message, mostly damaged, as a server and as a client read it."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec

from hubbub.core.codecs.native import decode, decode_answer, encode, encode_request
from hubbub.core.hub_limits import HubLimits
from hubbub.core.messages import (
    Answer,
    CallResult,
    ErrorAnswer,
    ErrorCode,
    Malformed,
    Publish,
    Push,
    Request,
    Unknown,
)
from support.mutations import mutate

from .life import Violation

_LIMITS = (HubLimits(), HubLimits(max_name=3, max_topics_per_request=2))

_SIZE = 6
"""How much longer a value may become when it is written again: `1e15` has 18 characters then."""

_REQUESTS = (
    ("token", "id"),
    ("name", "id"),
    ("action=refresh", "token", "id"),
    ("action=subscribe", "topics", "since", "last", "ack", "name", "presence", "id"),
    ("action=subscribe", "topics", "id"),
    ("action=unsubscribe", "topics", "id"),
    ("action=publish", "topic", "message", "idempotency_key", "key", "id"),
    ("action=publish", "to", "message", "id"),
    ("action=ack", "topic", "offset", "id"),
    ("action=presence", "topic", "id"),
    ("action=history", "topic", "before", "limit", "id"),
    ("action=call", "name", "data", "id"),
    ("action=ping", "id"),
)
_TOLD = (
    ("type=auth", "status", "username", "id"),
    ("type=subscribed", "topics", "positions", "id"),
    ("type=unsubscribed", "topics", "reason", "id"),
    ("type=published", "topic", "recipients", "offset", "epoch", "duplicate", "id"),
    ("type=presence", "topic", "members", "count", "id"),
    ("type=presence", "topic", "event", "user", "count"),
    ("type=history", "topic", "publications", "id"),
    ("type=result", "name", "data", "id"),
    ("type=pong", "id"),
    ("type=error", "code", "message", "field", "id"),
    ("type=chat", "topic", "sender", "message", "timestamp", "offset", "epoch", "redelivered"),
    ("type=notification", "topic", "message", "timestamp"),
    ("type=system", "message", "timestamp", "topic"),
    ("type=direct", "sender", "message", "timestamp"),
    ("type=gap", "topic", "missed", "offset", "epoch"),
    ("type=reconnect", "after"),
)

_POSITION = '{"offset":7,"epoch":"e"}'
_CHAT = '{"type":"chat","topic":"a","sender":"b","message":[1],"timestamp":"c","offset":1}'
_RIGHT: dict[str, tuple[str, ...]] = {
    "ack": ("true", "false"),
    "after": ("2.5", "0"),
    "before": ("1", "9223372036854775807"),
    "count": ("0", "12"),
    "duplicate": ("true", "false"),
    "event": ('"join"', '"leave"'),
    "id": ("1", '"s1"', "null", "-9223372036854775808"),
    "last": ("0", "20"),
    "limit": ("1", "20"),
    "members": ("[]", '[{"user":"ann","connections":2}]'),
    "missed": ("null", "3"),
    "offset": ("0", "8", "9223372036854775807"),
    "positions": ("{}", f'{{"a":{_POSITION}}}'),
    "presence": ("true", "false"),
    "publications": ("[]", f"[{_CHAT},{_CHAT}]"),
    "recipients": ("0", "3"),
    "redelivered": ("true", "false"),
    "since": ("null", f'{{"a":{_POSITION},"b":{_POSITION}}}'),
    "status": ('"ok"', '"error"'),
    "topics": ('["a"]', '["a","room.*"]', '["a","b","c"]'),
}
_TEXTS = ('"a"', '""', '"gr\\u00fc\\u00dfe"', '"\\ud83d\\ude00"', '"\U0001f600"', '"alice"')
_ANY = (
    *_TEXTS,
    "null",
    "true",
    "-0",
    "-0.0",
    "1e15",
    "1.7976931348623157e308",
    "5e-324",
    "18446744073709551615",
    "[]",
    "{}",
    '{"a":[1,{"b":null}]}',
    "[" * 31 + "]" * 31,
    json.dumps("[{\\" * 20),
)
_WRONG = (
    *_ANY,
    "1.5",
    "-1",
    "18446744073709551616",
    "9" * 400,
    "9" * 5000,
    "1e999",
    "NaN",
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\x1b[31m"',
    '"' + "x" * 70 + '"',
    '"' + "\u00e9" * 70 + '"',
    "[" * 40 + "]" * 40,
    '{"x":' * 2000,
    "[" + "[]," * 200 + "1]",
    "{" + ",".join(f'"{n}":{n}' for n in range(300)) + "}",
)


def draw_message(source: random.Random) -> bytes:
    """A request, an answer or a push, mostly with something wrong in it."""
    draw = source.random

    def one(choices: tuple[Any, ...]) -> Any:
        return choices[int(draw() * len(choices))]

    parts: list[str] = []
    for field in one(_REQUESTS if draw() < 0.6 else _TOLD):
        name, _, tag = field.partition("=")
        if tag:
            parts.append(f'"{name}":"{tag}"')
            continue
        kind = draw()
        if kind < 0.05:
            continue
        if kind < 0.15:
            value = one(_WRONG)
        elif name in {"message", "data"}:
            value = one(_ANY)
        else:
            value = one(_RIGHT.get(name, _TEXTS))
        parts.append(f'"{name}":{value}')
    kind = draw()
    if kind < 0.1:
        parts.append(f'"unknown":{one(_WRONG)}')
    elif kind < 0.2:
        parts.append(one(tuple(parts)) if parts else "")  # twice
    elif kind < 0.3:
        source.shuffle(parts)
    data = ("{" + ",".join(parts) + "}").encode(errors="surrogatepass")
    return mutate(source, data) if draw() < 0.4 else data


class NativeLife:
    """Draws one message from a seed and reads it."""

    def __init__(self, number: int) -> None:
        source = random.Random(number)
        self.stream = draw_message(source)
        # A WebSocket gives only what is Unicode; the codec must not rely on it.
        self.text = self.stream.decode(
            errors="replace" if source.random() < 0.9 else "surrogateescape"
        )
        self.limits = _LIMITS[source.random() < 0.3]
        self.messages = 0
        self.fullest = 0
        self.bound = _SIZE * len(self.stream) + 100
        self.now = 0.0
        """Time plays no part in it."""
        self.outcome = "?"

    def run(self) -> None:
        """Read, write and read again.

        Raises:
            Exception: whatever the codec raised; `Violation` where it broke its contract.
        """
        asked, told = decode(self.text, self.limits), decode_answer(self.text)
        self.outcome = f"{_kind(asked)} / {_kind(told)}"
        if isinstance(asked, Malformed):
            self._check_malformed(asked)
        else:
            self.messages += 1
            self._check_request(asked)
        if isinstance(told, Malformed):
            self._check_malformed(told)
        elif not isinstance(told, Unknown):
            self.messages += 1
            self._check_told(told)

    def _check_malformed(self, found: Malformed) -> None:
        if not found.message.isprintable() or found.code not in ErrorCode:
            raise Violation(f"{found!r} cannot be shown")
        self._check_told(ErrorAnswer(found.code, found.message, found.field, found.id))

    def _check_request(self, request: Request) -> None:
        written = encode_request(request)
        self._measure(written)
        again = decode(written.decode(), self.limits)
        if again != request:
            raise Violation(f"{request!r} came back as {again!r}")
        if isinstance(request, Publish):
            msgspec.msgpack.encode(request.message)  # another codec can write it too
            self._check_told(CallResult("a", request.message, request.id))

    def _check_told(self, told: Answer | Push) -> None:
        written = encode(told)
        if not isinstance(told, ErrorAnswer):
            self._measure(written)
        again = decode_answer(written.decode())
        if again != told:
            raise Violation(f"{told!r} came back as {again!r}")

    def _measure(self, written: bytes) -> None:
        self.fullest = max(self.fullest, len(written))
        if self.fullest > self.bound:
            raise Violation(f"{len(self.stream)} bytes became {self.fullest}")


def _kind(found: object) -> str:
    if isinstance(found, Malformed):
        return found.code if found.field is None else f"{found.code} {found.field}"
    return type(found).__name__
