"""The page of a hub: a chat over its native protocol, in one file."""

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import Final

from ...core.handshake import HEALTHZ
from ...core.http import Response, Routes, respond

__all__ = ["hub_routes"]

_INLINE: Final = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)


def hub_routes() -> Routes:
    """The page at `/`, and what every server has.

    Its policy names the page's own script and style by their hashes. So markup that somebody gets onto
    the page can run nothing, and nothing can connect to, or load from, another place.
    """
    package = __name__.rpartition(".hub.")[0]
    page = files(package).joinpath("pages", "hub.html").read_bytes().replace(b"\r\n", b"\n")
    html: Response = respond(200, page, "text/html; charset=utf-8", _headers(page))
    return {**HEALTHZ, "/": html}


def _headers(page: bytes) -> list[tuple[str, str]]:
    hashes = {name.decode(): _hash(text) for name, text in _INLINE.findall(page)}
    policy = (
        f"default-src 'none'; script-src {hashes['script']}; style-src {hashes['style']}; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return [
        ("Content-Security-Policy", policy),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Cache-Control", "no-cache"),
    ]


def _hash(text: bytes) -> str:
    return f"'sha256-{b64encode(sha256(text).digest()).decode()}'"
