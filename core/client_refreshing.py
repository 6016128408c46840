"""Newer tokens for the connection that there is."""

from .messages import Answer, AuthResult, ErrorAnswer, ErrorCode

__all__ = ["Refreshing"]


class Refreshing:
    """Who waits for a newer token to be taken by the hub.

    Where the connection ends first, the next one begins with a newer token, which answers them too.
    """

    __slots__ = ("_sent", "_waiting", "fetching")

    def __init__(self) -> None:
        self._waiting: list[int] = []
        self._sent: dict[int, list[int]] = {}
        self.fetching: int | None = None
        """The effect that fetches one."""

    def ask(self, number: int) -> None:
        """Somebody waits."""
        self._waiting.append(number)

    def send(self, request: int) -> None:
        """A request with a newer token leaves; it answers all who wait now."""
        self._sent[request] = self._waiting
        self._waiting = []

    def answered(self, request: object, answer: Answer) -> tuple[list[int], Answer] | None:
        """Who is answered by that, and with what; None if it was no such request."""
        numbers = self._sent.pop(request, None) if isinstance(request, int) else None
        if numbers is None:
            return None
        if isinstance(answer, AuthResult) and answer.status == "error":
            answer = ErrorAnswer(
                ErrorCode.UNAUTHENTICATED, answer.message or "the token was refused", "token"
            )
        return numbers, answer

    def lost(self) -> None:
        """The connection is gone."""
        self.fetching = None
        for numbers in self._sent.values():
            self._waiting += numbers
        self._sent.clear()

    def withdraw(self, number: int) -> None:
        """One waits no more."""
        for numbers in (self._waiting, *self._sent.values()):
            if number in numbers:
                numbers.remove(number)

    def take_waiting(self) -> list[int]:
        """Who waits for one that was not sent; they are about to be answered."""
        waiting, self._waiting = self._waiting, []
        return waiting
