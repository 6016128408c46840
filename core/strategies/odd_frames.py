"""Frames that no honest peer sends: any two first bytes, lengths in the wrong form, lengths that lie."""

from functools import cache
from typing import Final, Literal

__all__ = ["MASK", "LengthForm", "masked", "odd_frame", "shortest_form"]

MASK: Final = b"\x37\xfa\x21\x3d"
"""The masking key of RFC 6455, 5.7."""

LengthForm = Literal[7, 16, 64]
"""Bits in which a frame's length is written."""


def shortest_form(size: int) -> LengthForm:
    """The number of bits that RFC 6455, 5.2 asks for."""
    return 7 if size < 126 else 16 if size < 65536 else 64


@cache
def _xor_table(with_byte: int) -> bytes:
    return bytes(byte ^ with_byte for byte in range(256))


def masked(payload: bytes, key: bytes) -> bytes:
    """`payload` XOR the repeated key; each fourth byte by a table, which is not how we do it elsewhere."""
    result = bytearray(payload)
    for at, byte in enumerate(key):
        result[at::4] = payload[at::4].translate(_xor_table(byte))
    return bytes(result)


def odd_frame(
    first: int,
    payload: bytes = b"",
    *,
    key: bytes | None = MASK,
    form: LengthForm | None = None,
    declared: int | None = None,
) -> bytes:
    """One frame.

    Args:
        first: the first byte as it stands.
        payload: not masked yet.
        key: the masking key, or None for a frame that is not masked.
        form: bits of the length, by default the fewest that hold it.
        declared: the length that the header tells, by default the payload's.
    """
    size = len(payload) if declared is None else declared
    mask_bit = 0 if key is None else 0x80
    form = shortest_form(size) if form is None else form
    if form == 7:
        header = bytes((first, mask_bit | size))
    elif form == 16:
        header = bytes((first, mask_bit | 126)) + size.to_bytes(2, "big")
    else:
        header = bytes((first, mask_bit | 127)) + size.to_bytes(8, "big")
    return header + payload if key is None else header + key + masked(payload, key)
