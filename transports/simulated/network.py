"""What lies between two machines."""

from typing import Final

import msgspec

__all__ = ["PERFECT", "Network"]


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """What the network does, the same in both directions. The defaults harm nothing.

    Raises:
        ValueError: a field cannot work; the message names it and says what can.
    """

    latency: tuple[float, float] = (0.0, 0.0)
    """Least and most seconds that a piece is under way; pieces of one direction keep their order."""
    chunk: tuple[int, int] = (1 << 30, 1 << 30)
    """Least and most bytes of a piece."""
    window: int = 65536
    """Bytes that may be under way or unread before the sender's socket takes no more."""
    cut_at: float | None = None
    """When the connection is lost, for both sides at once; what is under way is lost too."""
    silent_from: float | None = None
    """When everything that is sent begins to vanish, as if a cable was pulled."""

    def __post_init__(self) -> None:
        for name, lowest in (("latency", 0), ("chunk", 1)):
            pair: object = getattr(self, name)
            match pair:
                case (int() | float() as least, int() | float() as most) if lowest <= least <= most:
                    pass
                case _:
                    raise ValueError(
                        f"{name}={pair!r}: must be (least, most) with {lowest} <= least <= most"
                    )
        if self.window < 1:
            raise ValueError(f"window={self.window!r}: must be at least 1 byte")


PERFECT: Final = Network()
"""A network that harms nothing."""
