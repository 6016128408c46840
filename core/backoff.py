"""How long to wait before the next attempt to reconnect."""

from collections.abc import Iterator
from math import isfinite

import msgspec

from .sender import Entropy

__all__ = ["Backoff"]


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Delays that grow with every failed attempt, each drawn anew between nothing and its ceiling.

    The ceiling is `first` seconds, then `factor` times the one before, up to `cap`: 5, 10, 20, 40, 60,
    60 and so on. Drawing from the whole range is the "full jitter" of "Exponential Backoff And Jitter"
    (AWS Architecture Blog, M. Brooker, 2015), where it costs the server the fewest calls of the ways
    compared; half a fixed delay and half a random one ("equal jitter") costs more and is no sooner done.

    Half of all first retries come within 2.5 s, and when a server of 10 000 clients restarts, about
    2000 of them come back in each of the first five seconds.

    Raises:
        ValueError: a field cannot work; the message names it and says what can.
    """

    first: float = 5.0
    """Seconds, the first ceiling. RFC 6455, 7.2.3 calls a first delay of 0 to 5 s reasonable."""

    factor: float = 2.0
    """What each ceiling is multiplied with. RFC 6455, 7.2.3 suggests binary exponential backoff."""

    cap: float = 60.0
    """Seconds, the highest ceiling: a server that is back sees everyone within a minute."""

    def __post_init__(self) -> None:
        for name, least in (("first", 0.0), ("factor", 1.0), ("cap", self.first)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"{name}={value!r}: must be a number")  # noqa: TRY004 - as the others
            if not isfinite(value) or value < least or not value:
                words = {
                    "first": "a number of seconds above 0",
                    "factor": "a number of at least 1",
                    "cap": f"a number of seconds, at least first, which is {self.first!r}",
                }
                raise ValueError(f"{name}={value!r}: must be {words[name]}")

    def delays(self, entropy: Entropy) -> Iterator[float]:
        """The seconds to wait before each attempt, without end.

        Begin a new iterator when a connection has held for some time. If each opening began a new one,
        a server that accepts and closes at once would be asked without pause.

        Args:
            entropy: where the jitter comes from. It need not be secret, but must differ between clients.
        """
        ceiling = float(self.first)
        while True:
            # 53 bits, as many as a float holds: from 0 up to, but without, 1.
            yield ceiling * ((int.from_bytes(entropy(8), "big") >> 11) * 2.0**-53)
            ceiling = min(float(self.cap), ceiling * self.factor)
