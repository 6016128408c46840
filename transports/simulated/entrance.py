"""What the model says of somebody who comes: credentials, names, the hook at the door, a newer token."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from ...core.auth import External
from ...core.effects import Denied, Done, HookKind, Outcome
from ...core.frames import CloseCode
from ...core.grants import Grant
from .hostile import BAD_NAMES
from .model import Model
from .peers import Peer, Pending, Standing

__all__ = ["Entrance"]

Then = Callable[[float], None]


class Entrance:
    """Lets sessions of a model in.

    Args:
        model: what is known.
        refuse: answers a session with an error, given its code and the request's id.
    """

    def __init__(self, model: Model, refuse: Callable[[Peer, str, object, float], None]) -> None:
        self._model = model
        self._refuse = refuse

    def opened(self, peer: Peer, now: float) -> None:
        """A request to open a WebSocket came."""
        model, limits = self._model, self._model.limits
        peer.standing = Standing.NOBODY
        peer.since = peer.opened_at = now
        connected = [
            one for one in model.peers.values() if one.standing in (Standing.NOBODY, Standing.IN)
        ]
        address = peer.connection.address
        if (
            len(connected) > limits.max_connections
            or sum(one.connection.address == address for one in connected)
            > limits.max_connections_per_address
        ):
            self._doom(peer, CloseCode.TRY_AGAIN_LATER)
            return
        kind, value = peer.connection.credentials
        if kind == "token":
            self.token(peer, value, None, now)
        elif kind == "name" and model.config.anonymous is not None:
            self.name(peer, value, None, now)

    def name(self, peer: Peer, name: str, request_id: object, now: float) -> None:
        """A name was chosen, where that is enough."""
        model = self._model
        anonymous = model.config.anonymous
        assert anonymous is not None
        if name in BAD_NAMES:
            self._refuse(peer, "bad_name", request_id, now)
        elif self._reserved(name) or model.has_name(name):
            self._refuse(peer, "name_taken", request_id, now)
        else:
            self._let_in(
                peer,
                anonymous.grant(name),
                request_id,
                now,
                lambda _: self._welcome(peer, request_id),
            )

    def guest(self, peer: Peer, request_id: object, now: float, then: Then) -> None:
        """Somebody without a name asks for something, where that is allowed."""
        anonymous = self._model.config.anonymous
        assert anonymous is not None
        self._let_in(peer, anonymous.grant(self._model.guest_name()), request_id, now, then)

    def token(self, peer: Peer, token: str, request_id: object, now: float) -> None:
        """A token came from somebody who is nobody yet."""

        def judged(grant: Grant | None, at: float) -> None:
            if grant is None:
                self._turn_down(peer, "Invalid token", request_id)
                return
            self._let_in(peer, grant, request_id, at, lambda _: self._welcome(peer, request_id))

        def failed(_: float) -> None:
            self._turn_down(peer, "Authentication failed", request_id, CloseCode.INTERNAL_ERROR)

        self._judge(peer, token, now, judged, failed)

    def refresh(self, peer: Peer, token: str, request_id: object, now: float) -> None:
        """Somebody who is in sends a newer token."""

        def judged(grant: Grant | None, at: float) -> None:
            if grant is None:
                self._not_refreshed(peer, "Invalid token", request_id, at)
            elif grant.user != peer.user:
                self._refuse(peer, "forbidden", request_id, at)
            else:
                peer.grant = grant
                peer.revoked = []
                peer.expired_at = None
                self._model.drop_forbidden(peer, at)
                self._welcome(peer, request_id)

        self._judge(
            peer,
            token,
            now,
            judged,
            lambda at: self._not_refreshed(peer, "Authentication failed", request_id, at),
        )

    def _not_refreshed(self, peer: Peer, text: str, request_id: object, now: float) -> None:
        peer.answers.append({"type": "auth", "status": "error", "message": text, "id": request_id})
        note_error(self._model, peer, now)

    # Tokens.

    def _judge(
        self,
        peer: Peer,
        token: str,
        now: float,
        judged: Callable[[Grant | None, float], None],
        failed: Then,
    ) -> None:
        """Find out what a token grants; an expired one, nothing."""
        model = self._model

        def live(grant: Grant | None, at: float) -> None:
            over = grant is not None and grant.until is not None and grant.until <= model.wall(at)
            judged(None if over else grant, at)

        def answered(outcome: Outcome, at: float) -> None:
            match outcome:
                case Done(Grant() as grant):
                    left = self._what_is_left(peer, grant)
                    if left is not None:
                        live(left, at)
                case Done(None) | Denied():
                    judged(None, at)
                case _:
                    failed(at)

        if isinstance(model.config.auth, External):
            self._wait(peer, "authenticate", token, now, answered)
        elif model.config.auth is None:
            judged(None, now)
        else:
            live(model.tokens.get(token), now)

    def _reserved(self, name: str) -> bool:
        auth = self._model.config.auth
        if auth is None or isinstance(auth, External):
            return False
        return any(
            grant.user.casefold() == name.casefold() for grant in self._model.tokens.values()
        )

    # Letting in.

    def _let_in(self, peer: Peer, grant: Grant, request_id: object, now: float, then: Then) -> None:
        model = self._model
        if self._too_many(grant):
            self._doom(peer, CloseCode.TRY_AGAIN_LATER)
            return
        if not model.hooks.get(HookKind.CONNECT):
            self._admit(peer, grant, now, then)
            return

        def answered(outcome: Outcome, at: float) -> None:
            left = self._what_is_left(peer, grant)
            match outcome:
                case Done() if left is None:
                    pass
                case Done():
                    assert left is not None
                    if grant.anonymous and model.has_name(grant.user):
                        self._refuse(peer, "name_taken", request_id, at)
                    elif self._too_many(grant):
                        self._doom(peer, CloseCode.TRY_AGAIN_LATER)
                    else:
                        self._admit(peer, left, at, then)
                case Denied(_, message):
                    self._turn_down(peer, message, request_id)
                case _:
                    self._doom(peer, CloseCode.INTERNAL_ERROR)

        self._wait(peer, HookKind.CONNECT.value, None, now, answered)

    def _what_is_left(self, peer: Peer, grant: Grant) -> Grant | None:
        """A grant without what an operator took from its user while it was waited for."""
        revoked: list[str] = []
        for user, pattern in peer.notes:
            if user == grant.user and pattern is None:
                self._doom(peer, CloseCode.DISCONNECTED)
                return None
            if user == grant.user and pattern is not None:
                revoked.append(pattern)
        return replace(grant, revoked=(*grant.revoked, *revoked))

    def _admit(self, peer: Peer, grant: Grant, now: float, then: Then) -> None:
        for other in self._model.inside():
            same = other.user.casefold() == grant.user.casefold()
            if same and not grant.anonymous and is_anonymous(other):
                self._doom(other, CloseCode.DISCONNECTED)
                # It is closed before this one is let in: its leaving is announced first.
                self._model.end(other, now)
        self._model.admit(peer, grant, now)
        then(now)

    def _too_many(self, grant: Grant) -> bool:
        """Whether the user has enough sessions; somebody who only chose the name is another."""
        own = [one for one in self._model.of(grant.user) if is_anonymous(one) == grant.anonymous]
        return len(own) >= self._model.limits.max_connections_per_user

    def _wait(
        self,
        peer: Peer,
        kind: str,
        about: str | None,
        now: float,
        then: Callable[[Outcome, float], None],
    ) -> None:
        peer.pending = Pending(kind, about, now + self._model.limits.hook_timeout, then)

    def _welcome(self, peer: Peer, request_id: object) -> None:
        answer: dict[str, Any] = {"type": "auth", "status": "ok", "username": peer.user}
        peer.answers.append({**answer, "id": request_id})

    def _turn_down(
        self,
        peer: Peer,
        text: str,
        request_id: object,
        code: int = CloseCode.POLICY_VIOLATION,
    ) -> None:
        answer = {"type": "auth", "status": "error", "message": text, "id": request_id}
        peer.answers.append(answer)
        self._doom(peer, code)

    def _doom(self, peer: Peer, code: int) -> None:
        """It must leave in this step."""
        peer.doom.add(code)
        self._model.condemned.append(peer)


def is_anonymous(peer: Peer) -> bool:
    """Whether nobody vouched for its name."""
    return peer.grant is not None and peer.grant.anonymous


def note_error(model: Model, peer: Peer, now: float) -> None:
    """A request of a session failed."""
    model.counted["errors"] += 1
    if not peer.errors:
        peer.errors_from = now
    peer.errors += 1
