"""Seeded damage to valid bytes. `random()` is used for all choices: `randrange` takes ten times as long."""

from __future__ import annotations

import random

_ODD_BYTES = bytes(
    (0, 1, 9, 10, 13, 32, 34, 44, 58, 59, 61, 126, 127, 128, 129, 160, 192, 237, 255)
)

_ODD_TEXT = (
    b"\r\n",
    b"\n",
    b"\r\n\r\n",
    b"\r\n ",
    b", ",
    b"; ",
    b'"',
    b"\0",
    b"\xe9",
    b"\xff\xfe",
    b"xn--\x80",
    b"websocket",
    b"Upgrade",
    b"13",
    b"HTTP/1.0",
    b"HTTP/1.1 101 \r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: a\r\n",
    b"Origin: null\r\n",
    b"Expect: 100-continue\r\n",
    b"Sec-WebSocket-Protocol: chat\r\n",
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n",
    b"permessage-deflate; client_max_window_bits=10",
    b"; server_max_window_bits=9",
    b"1" * 30,
)


def mutate(source: random.Random, data: bytes, times: int = 2) -> bytes:
    """Damage any bytes in up to `times` places: flip, set, delete, double, insert, cut off, blow up."""
    draw = source.random
    damaged = bytearray(data)
    for _ in range(1 + int(draw() * times)):
        size = len(damaged)
        if not size:
            return bytes(damaged)
        at = int(draw() * size)
        kind = draw()
        if kind < 0.35:
            damaged[at] ^= 1 << int(draw() * 8)
        elif kind < 0.55:
            damaged[at] = _ODD_BYTES[int(draw() * len(_ODD_BYTES))]
        elif kind < 0.68:
            del damaged[at : at + 1 + int(draw() * 6)]
        elif kind < 0.80:
            damaged[at:at] = damaged[at : at + 1 + int(draw() * 12)]
        elif kind < 0.92:
            damaged[at:at] = source.randbytes(1 + int(draw() * 4))
        elif kind < 0.99:
            del damaged[at:]
        else:
            damaged[at:at] = damaged[at : at + 1] * 3000
    return bytes(damaged)


def mutate_http(source: random.Random, data: bytes) -> bytes:
    """Damage an HTTP message: its lines, its words, its bytes, and now and then its size."""
    draw = source.random
    kind = draw()
    if kind < 0.30:
        return mutate(source, data, 3)
    if kind < 0.55:
        at = int(draw() * (len(data) + 1))
        return data[:at] + _ODD_TEXT[int(draw() * len(_ODD_TEXT))] + data[at:]
    if kind < 0.97:
        lines = data.split(b"\r\n")
        one, two = int(draw() * len(lines)), int(draw() * len(lines))
        if kind < 0.65:
            lines[one], lines[two] = lines[two], lines[one]
        elif kind < 0.75:
            lines.insert(two, lines[one])
        elif kind < 0.85:
            del lines[one]
        elif kind < 0.92:
            name, _, _ = lines[one].partition(b":")
            lines[one] = name + b": " + _ODD_TEXT[int(draw() * len(_ODD_TEXT))]
        else:
            source.shuffle(lines)
        return b"\r\n".join(lines)
    if kind < 0.985:
        # Around the limits of the number of lines and of the size of a head.
        line = b"\r\nX: " + b"y" * int(draw() * 300)
        return data.replace(b"\r\n", line * int(90 + draw() * 20) + b"\r\n", 1)
    return mutate(source, mutate_http(source, data), 3)
