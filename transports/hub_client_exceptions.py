"""What a hub refused, and the end of a client of one."""

from ..core.client_events import Ending
from ..core.errors import WebSocketException
from ..core.messages import ErrorAnswer

__all__ = ["HubClosed", "HubError"]


class HubError(WebSocketException):
    """A request was refused, or nobody knows whether it was done.

    `code` is what went wrong, for programs: one of the native protocol's, or one of the server's own.
    `unavailable` means that it may or may not have been done. `message` is for people, and `field` names
    the field of the request that is at fault, if one is.
    """

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field

    def __str__(self) -> str:
        """The code, and what it says."""
        return f"{self.code}: {self.message}"

    def __reduce__(self) -> tuple[type["HubError"], tuple[str, str, str | None]]:
        return HubError, (self.code, self.message, self.field)


class HubClosed(HubError):
    """The client is over: it was closed, or gave up.

    `code` is `closed`, or that of the error with which the hub did not let us in; `close_code` is the close
    code with which the last connection ended, None if it ended without one.
    """

    def __init__(self, message: str, code: str = "closed", close_code: int | None = None) -> None:
        super().__init__(code, message)
        self.close_code = close_code

    def __reduce__(self) -> tuple[type[HubError], tuple[str, str, int | None]]:  # type: ignore[override]  # other arguments
        return HubClosed, (self.message, self.code, self.close_code)


def error_of(answer: ErrorAnswer) -> HubError:
    """The exception for an error."""
    return HubError(answer.code, answer.message, answer.field)


def closed_of(ending: Ending | None) -> HubClosed:
    """The exception for the end of a client; None is that it is about to end."""
    if ending is None:
        return HubClosed("the client was closed")
    return HubClosed(
        ending.reason or "the client was closed", ending.error or "closed", ending.code
    )
