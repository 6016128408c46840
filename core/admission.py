"""From an open WebSocket to somebody who is let in: credentials, names, hooks, expiry."""

from collections.abc import Callable
from math import inf

from .account import Account, WallClock
from .asking import Asking
from .auth import External, check_name, credentials_in
from .effects import Authenticate, Denied, Done, Failed, HookKind, Outcome
from .events import Requested
from .forwarded import client_of
from .frames import CloseCode
from .grants import Grant
from .hub_config import HubConfig
from .hub_events import AuthFailed, Joined, RequestFailed
from .messages import Authenticate as TokenMessage
from .messages import AuthResult, ChooseName, ErrorCode, Malformed, Request, RequestId
from .refusals import Refusals
from .registry import Registry, host_of
from .replies import Replies
from .revoking import Revocations
from .session import Moment, Session
from .session_states import SessionState, SessionStep

__all__ = ["Admission"]


class Admission:
    """Lets peers in.

    A token may come with the opening request or as the first message; the outcome is the same message.
    Where anonymous access is on, a name may come so, and any other first message lets the peer in under
    a name that the hub picks.

    Args:
        config: of the hub.
        registry: who is connected.
        account: what is counted.
        refusals: how those are told who are turned away.
        clock: the time of day.
        asking: how the outside is asked.
        replies: how answers are given.
    """

    handle: Callable[[Session, Request, float], None]
    """Handles a request of a session that was let in; set by the hub, which knows how."""

    def __init__(
        self,
        config: HubConfig,
        registry: Registry,
        account: Account,
        refusals: Refusals,
        clock: WallClock,
        asking: Asking,
        replies: Replies,
    ) -> None:
        self._config = config
        self._limits = config.limits
        self._registry = registry
        self._account = account
        self._refusals = refusals
        self._clock = clock
        self._asking = asking
        self._replies = replies
        self.revocations = Revocations(config.limits)
        """What was taken away from users about whom somebody is asked."""

    # The opening request.

    def requested(self, session: Session, event: Requested, now: float) -> None:
        """A request to open a WebSocket came."""
        proxies, headers = self._config.trusted_proxies, event.request.headers
        session.address = host_of(client_of(proxies, session.peer, headers))
        session.accept(now)
        limit = self._registry.connect(session)
        if limit is not None:
            self._turn_away(session, limit, now)
            return
        credentials = credentials_in(event.request)
        if credentials.fault is not None:
            self._refuse(session, None, "Invalid token", credentials.fault, now)
        elif credentials.token is not None:
            self._authenticate(session, credentials.token, None, now)
        elif credentials.name is not None and self._config.anonymous is not None:
            self._choose_name(session, credentials.name, None, now)
        if session.state is SessionState.IDENTIFYING and self._config.anonymous is None:
            session.arm(Moment.IDENTIFY, now + self._limits.auth_timeout)

    def _turn_away(self, session: Session, limit: str, now: float) -> None:
        self._refusals.turned_away(session.address, limit, now)
        session.leave(CloseCode.TRY_AGAIN_LATER, "full", now)

    # The first message.

    def identify(self, session: Session, request: Request, now: float) -> None:
        """A message came from a peer that is nobody yet."""
        if isinstance(request, TokenMessage):
            self._authenticate(session, request.token, request.id, now)
        elif isinstance(request, ChooseName) and self._config.anonymous is not None:
            self._choose_name(session, request.name, request.id, now)
        elif isinstance(request, ChooseName):
            self._replies.refuse(
                session,
                request.id,
                ErrorCode.ANONYMOUS_OFF,
                "send a token: names need one here",
                now,
            )
        elif isinstance(request, Malformed):
            self._replies.malformed(session, request, now)
        elif self._config.anonymous is None:
            self._replies.refuse(
                session, request.id, ErrorCode.UNAUTHENTICATED, 'send {"token":"…"} first', now
            )
        else:
            grant = self._config.anonymous.grant(self._registry.guest_name(self._reserved))
            self._let_in(
                session,
                grant,
                request.id,
                now,
                then=lambda at: self.handle(session, request, at),
            )

    def too_late(self, session: Session, now: float) -> None:
        """No credentials came in time."""
        self._refuse(session, None, "Authentication timeout", "no credentials in time", now)

    def _choose_name(self, session: Session, name: str, request_id: RequestId, now: float) -> None:
        anonymous = self._config.anonymous
        assert anonymous is not None
        try:
            check_name(name, self._limits)
        except ValueError as error:
            self._replies.refuse(
                session, request_id, ErrorCode.BAD_NAME, str(error), now, field="name"
            )
            return
        if self._reserved(name) or self._registry.has_name(name):
            self._replies.refuse(
                session, request_id, ErrorCode.NAME_TAKEN, "choose another name", now, field="name"
            )
            return
        grant = anonymous.grant(name)
        self._let_in(
            session, grant, request_id, now, then=lambda at: self._welcome(session, request_id, at)
        )

    def _reserved(self, name: str) -> bool:
        auth = self._config.auth
        return auth is not None and not isinstance(auth, External) and auth.reserves(name)

    # Tokens.

    def _authenticate(
        self, session: Session, token: str, request_id: RequestId, now: float
    ) -> None:
        def let_in(grant: Grant, at: float) -> None:
            self._let_in(
                session,
                grant,
                request_id,
                at,
                then=lambda moment: self._welcome(session, request_id, moment),
            )

        def refused(why: str, at: float) -> None:
            self._refuse(session, request_id, "Invalid token", why, at)

        def failed(at: float) -> None:
            self._refuse(
                session, request_id, "Authentication failed", "the authenticator failed", at,
                code=CloseCode.INTERNAL_ERROR,
            )  # fmt: skip

        self.grant_of(session, token, now, let_in, refused, failed)

    def grant_of(
        self,
        session: Session,
        token: str,
        now: float,
        granted: Callable[[Grant, float], None],
        refused: Callable[[str, float], None],
        failed: Callable[[float], None],
    ) -> None:
        """Find out what a token grants, at once or later; then one of the three is called."""
        auth = self._config.auth

        def judge(grant: Grant | None, at: float) -> None:
            if grant is None:
                refused("unknown token", at)
            elif grant.until is not None and grant.until <= self._clock.seconds(at):
                refused("expired token", at)
            else:
                granted(grant, at)

        def then(outcome: Outcome, at: float) -> None:
            match outcome:
                case Done(Grant() as grant) if self._named(grant):
                    left = self.revocations.end(session, grant)
                    if left is None:
                        self._disconnect(session, at)
                    else:
                        judge(left, at)
                case Done(None) | Denied():
                    self.revocations.forget(session)
                    judge(None, at)
                case _:
                    self.revocations.forget(session)
                    reason = "no Grant with a good name came"
                    if isinstance(outcome, Failed):
                        reason = outcome.reason
                    self._account.tell(RequestFailed(session.number, "authenticate", reason))
                    failed(at)

        if len(token) > self._limits.max_token:
            refused("a token too long", now)
        elif isinstance(auth, External):
            effect = Authenticate(self._asking.new_id(), token, session.number, session.address)
            self.revocations.begin(session)
            self._asking.ask(session, effect, then, now)
        elif auth is None:
            judge(None, now)
        else:
            judge(auth.authenticate(token, self._clock.seconds(now)), now)

    def _named(self, grant: Grant) -> bool:
        """Whether an authenticator outside gave a name that can be shown to others."""
        try:
            check_name(grant.user, self._limits)
        except ValueError:
            return False
        return True

    def _refuse(
        self,
        session: Session,
        request_id: RequestId,
        message: str,
        why: str,
        now: float,
        code: int = CloseCode.POLICY_VIOLATION,
    ) -> None:
        self._account.counters.auth_failures += 1
        self._account.tell(AuthFailed(session.number, session.address, why))
        self._replies.answer(session, AuthResult("error", message=message, id=request_id), now)
        session.leave(code, "Authentication failed", now)

    def _welcome(self, session: Session, request_id: RequestId, now: float) -> None:
        self._replies.answer(session, AuthResult("ok", username=session.user, id=request_id), now)

    # Letting in.

    def _let_in(
        self,
        session: Session,
        grant: Grant,
        request_id: RequestId,
        now: float,
        then: Callable[[float], None],
    ) -> None:
        """Ask the hook, if there is one; then let the peer in, and do what was to be done then."""
        if self._has_enough(grant):
            self._turn_away(session, "max_connections_per_user", now)
            return
        hook = self._asking.hook(HookKind.CONNECT)
        if hook is None:
            self._admit(session, grant, now)
            then(now)
            return

        def answered(outcome: Outcome, at: float) -> None:
            left = self.revocations.end(session, grant)
            match outcome:
                case Done() if left is None:
                    self._disconnect(session, at)
                case Done():
                    # Others may have come while the hook was asked.
                    assert left is not None
                    if grant.anonymous and self._registry.has_name(grant.user):
                        self._replies.refuse(
                            session, request_id, ErrorCode.NAME_TAKEN, "choose another name", at
                        )
                    elif self._has_enough(grant):
                        self._turn_away(session, "max_connections_per_user", at)
                    else:
                        self._admit(session, left, at)
                        then(at)
                case Denied(_, message):
                    self._refuse(session, request_id, message, "refused by the hook", at)
                case _:
                    session.fail(CloseCode.INTERNAL_ERROR, "internal error", at)

        self.revocations.begin(session)
        self._asking.run_hook(session, HookKind.CONNECT, hook, answered, now, grant=grant)

    def _disconnect(self, session: Session, now: float) -> None:
        """The operator disconnected its user while somebody was asked about it."""
        session.fail(CloseCode.DISCONNECTED, "disconnected by the operator", now)

    def _has_enough(self, grant: Grant) -> bool:
        """Whether the user has all sessions that one may have. A namesake, who will be closed, is another."""
        sessions = self._registry.of(grant.user)
        if len(sessions) < self._limits.max_connections_per_user:
            return False
        own = sum(
            one.grant is not None and one.grant.anonymous == grant.anonymous for one in sessions
        )
        return own >= self._limits.max_connections_per_user

    def _admit(self, session: Session, grant: Grant, now: float) -> None:
        if not grant.anonymous:
            for namesake in self._registry.namesakes(grant.user):
                # Whoever proves the name has it; somebody else must not go on speaking under it.
                namesake.fail(CloseCode.DISCONNECTED, "the name belongs to another user", now)
        session.grant = grant
        session.step(SessionStep.ADMIT)
        self._registry.admit(session)
        session.arm(Moment.IDENTIFY, None)
        self.note_expiry(session, now)
        self._account.counters.sessions += 1
        self._account.tell(Joined(session.number, grant.user, session.address, grant.anonymous))

    def expire(self, session: Session, now: float) -> None:
        """The moment has come at which a session's grant was to end, unless the clock was set since."""
        assert session.grant is not None
        assert session.grant.until is not None
        if session.grant.until <= self._clock.seconds(now):
            session.fail(CloseCode.TOKEN_EXPIRED, "token expired", now)
        else:
            self.note_expiry(session, now)

    def note_expiry(self, session: Session, now: float) -> None:
        """Have the session end when its grant does."""
        grant = session.grant
        until = None if grant is None else grant.until
        at = None
        if until is not None and until != inf:
            at = now + max(0.0, until - self._clock.seconds(now))
        session.arm(Moment.EXPIRE, at)
