"""Who a client is: what it says first on each connection, and what the answer means."""

from enum import Enum
from typing import Final

from .client_options import HubClientOptions
from .messages import (
    Answer,
    Authenticate,
    AuthResult,
    ChooseName,
    ErrorAnswer,
    ErrorCode,
    Ping,
    PongAnswer,
    Request,
)

__all__ = ["FOR_NOW", "Identity", "Verdict"]

FOR_NOW: Final = frozenset({ErrorCode.FULL, ErrorCode.INTERNAL, ErrorCode.UNAVAILABLE})
"""Errors after which the same request may go better some time later."""


class Verdict(Enum):
    """What the hub's answer means."""

    NOTHING = "nothing"
    """It is no answer to that, or the Close frame that follows says more."""
    LET_IN = "let in"
    TAKEN = "taken"
    """Somebody has our name."""
    LATER = "later"
    """Not now."""
    REFUSED = "refused"
    """Never."""


class Identity:
    """Who we are.

    With a token, that says it. With a name, that is asked for. Without either the hub picks a name that it
    does not tell; then anything lets us in, or tells that it does not, and a ping changes nothing.

    Args:
        options: token or name.
    """

    __slots__ = ("_number", "_options", "refusal", "same", "token", "username")

    def __init__(self, options: HubClientOptions) -> None:
        self._options = options
        self._number: int | None = None
        self.token = options.token
        """The newest that we have."""
        self.username: str | None = None
        """What the hub calls us, once it said so."""
        self.same = False
        """Whether it called us the same on the connection before."""
        self.refusal: str | None = None
        """Why we are not let in, in the hub's words."""

    @property
    def nameless(self) -> bool:
        """Whether the hub picks a name, another one for each connection.

        It does not where the opening request says who we are; then it tells, too.
        """
        known = self.username is not None or self.token is not None or self._options.fetches
        return not known and self._options.name is None

    def request(self, number: int) -> Request:
        """What to say first."""
        self._number = number
        self.refusal = None
        if self.token is not None:
            return Authenticate(self.token, id=number)
        if self._options.name is not None:
            return ChooseName(self._options.name, id=number)
        return Ping(id=number)

    def judge(self, answer: Answer) -> Verdict:
        """An answer came before we were let in. Some refusals carry no id."""
        match answer:
            case AuthResult(status="ok", username=username):
                self.same = username is not None and username == self.username
                self.username = username
                return Verdict.LET_IN
            case AuthResult(message=message):
                self.refusal = message or "not let in"
                return Verdict.NOTHING
            case PongAnswer(id=number) if number == self._number:
                return Verdict.LET_IN
            case ErrorAnswer(code=code, message=message):
                if code == ErrorCode.NAME_TAKEN:
                    return Verdict.TAKEN
                return Verdict.LATER if code in FOR_NOW else Verdict.REFUSED
            case _:
                return Verdict.NOTHING
