"""The keywords of `serve` and `connect`, which are those of `websockets`, as options of the core."""

from collections.abc import Sequence
from typing import Any, Final, Literal, TypedDict, TypeVar

import msgspec

from ..core.extensions import Deflate
from ..core.handshake import Options
from ..core.limits import Limits

__all__ = ["UNSET", "LimitKeywords", "Origins", "Unset", "with_keywords"]

Origins = Literal["same-host"] | Sequence[str] | None
"""Whose pages may connect; see `ServerOptions.origins`."""


class LimitKeywords(TypedDict, total=False):
    """The bounds of one connection that may be given as keywords: the fields of `Limits`."""

    max_size: int | None
    max_fragments: int
    max_queue: int
    max_queue_size: int
    max_handshake_size: int
    max_headers: int
    max_host: int
    max_body: int
    max_request_body: int
    max_pending_pongs: int
    max_pending_pings: int
    control_burst: int
    control_rate: float
    write_limit: int
    max_write_buffer: int
    drain_size: int
    open_timeout: float | None
    ping_interval: float | None
    ping_timeout: float | None
    message_timeout: float | None
    write_timeout: float | None
    close_timeout: float
    answer_timeout: float
    drain_timeout: float


class Unset(msgspec.Struct, frozen=True):
    """The type of `UNSET`."""

    def __repr__(self) -> str:
        return "as in options"


UNSET: Final = Unset()
"""A keyword that was left out: what `options` say holds."""

AnyOptions = TypeVar("AnyOptions", bound=Options)


def with_keywords(
    options: AnyOptions,
    limits: LimitKeywords,
    *,
    subprotocols: Sequence[str] | Unset | None,
    compression: str | Unset | None,
    **others: Any,
) -> AnyOptions:
    """`options`, changed by keywords.

    Raises:
        TypeError: an unknown keyword, or a value of a wrong type.
        ValueError: a value that can't work; the message names the keyword.
        LocalProtocolError: so for those that go into the handshake.
    """
    changes = {name: value for name, value in others.items() if value is not UNSET}
    if limits:
        changes["limits"] = _changed_limits(options.limits, limits)
    if not isinstance(subprotocols, Unset):
        if isinstance(subprotocols, str):
            raise TypeError(f"subprotocols={subprotocols!r}: must be a list of names")
        changes["subprotocols"] = tuple(subprotocols or ())
    if not isinstance(compression, Unset):
        if compression not in (None, "deflate"):
            raise ValueError(f"compression={compression!r}: must be 'deflate' or None")
        changes["deflate"] = None if compression is None else options.deflate or Deflate()
    # Built anew rather than replaced, so that what was changed is checked.
    fields = {name: getattr(options, name) for name in options.__struct_fields__}
    return type(options)(**(fields | changes))


def _changed_limits(limits: Limits, keywords: LimitKeywords) -> Limits:
    given: dict[str, Any] = dict(keywords)
    for name in given:
        if name not in limits.__struct_fields__:
            raise TypeError(f"unexpected keyword {name!r}")
    for name in ("max_size", "max_queue", "write_limit"):
        if isinstance(given.get(name), (tuple, list)):
            raise ValueError(  # noqa: TRY004 - as for the other values
                f"{name}={given[name]!r}: give one number, of the whole"
            )
    if "write_limit" in given and "max_write_buffer" not in given:
        given["max_write_buffer"] = max(limits.max_write_buffer, given["write_limit"])
    fields = {name: getattr(limits, name) for name in limits.__struct_fields__}
    return Limits(**(fields | given))
