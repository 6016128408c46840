"""How a simulation says that something does not hold."""

__all__ = ["Violation"]


class Violation(Exception):
    """An invariant does not hold.

    Args:
        invariant: which, in a few words.
        text: what was seen, and what should have been.
        connections: the numbers of those involved.
    """

    def __init__(self, invariant: str, text: str, *connections: int) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant
        self.text = text
        self.connections = connections
