"""How a hub answers its sessions, and how many mistakes it forgives them."""

from .account import Account
from .codecs import native
from .effects import Denied, Failed, Outcome
from .frames import CloseCode
from .messages import Answer, ErrorAnswer, ErrorCode, Malformed, RequestId
from .session import Session

__all__ = ["Replies"]


class Replies:
    """Answers and errors.

    Args:
        account: what is counted.
    """

    def __init__(self, account: Account) -> None:
        self._account = account

    def answer(self, session: Session, answer: Answer, now: float) -> None:
        """Answer a request."""
        session.answer(native.encode(answer), now)

    def refuse(
        self,
        session: Session,
        request_id: RequestId,
        code: ErrorCode | str,
        message: str,
        now: float,
        *,
        field: str | None = None,
    ) -> None:
        """Answer with an error. Too many of them end the connection with 4029."""
        error = ErrorAnswer(code=code, message=message, field=field, id=request_id)
        self.mistake(session, error, now)

    def mistake(self, session: Session, answer: Answer, now: float) -> None:
        """Answer a request that failed, and count it."""
        self._account.counters.errors += 1
        self.answer(session, answer, now)
        if not session.allow_error(now):
            session.leave(CloseCode.TOO_MANY, "too many errors", now)

    def malformed(self, session: Session, found: Malformed, now: float) -> None:
        """Answer what is no request."""
        self.refuse(session, found.id, found.code, found.message, now, field=found.field)

    def denied(self, session: Session, request_id: RequestId, outcome: Outcome, now: float) -> bool:
        """Whether a hook refused or failed; then the request is answered."""
        match outcome:
            case Denied(code, message):
                self.refuse(session, request_id, code, message, now)
            case Failed():
                text = "the server failed with this request"
                self.refuse(session, request_id, ErrorCode.INTERNAL, text, now)
            case _:
                return False
        return True
