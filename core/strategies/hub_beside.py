"""A real hub, its clients, and the model that it is held against after each step."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final
from urllib.parse import quote

import msgspec
from hypothesis.stateful import RuleBasedStateMachine

from ..auth import External, TokenAuth
from ..effects import Authenticate, Denied, Done, Effect, Failed, HookKind, Outcome, RunHook
from ..frames import CloseCode
from ..grants import Grant
from ..hub import Hub
from ..hub_config import HubConfig
from ..hub_events import HubEvent, Left, RequestFailed
from .hub_book import Book, BookSession
from .model_clients import Message, ModelClient, Wires, counted_entropy
from .naive_patterns import contains, is_pattern, overlaps

__all__ = ["HookFunctions", "HubBeside", "refusal"]

HookFunctions = Mapping[HookKind, Mapping[str, Callable[[RunHook], Outcome]]]
"""For each kind of hook and each of its patterns, the function that answers it."""

WALL: Final = 1_800_000_000.0
"""Seconds since 1970 at the start."""

_PATIENCE: Final = 60
"""Seconds within which a request is answered, whatever rates hold it back."""

_BY_LIMITS: Final = frozenset(
    {
        CloseCode.MESSAGE_TOO_BIG,
        CloseCode.TRY_AGAIN_LATER,
        CloseCode.TOO_SLOW,
        CloseCode.TOO_MANY,
    }
)
"""Codes with which a hub closes whoever passes a limit. The model does not foresee these."""


class HubBeside(RuleBasedStateMachine):
    """A hub beside its model: who comes in, what is asked of the outside, and that both are equal."""

    tokens: ClassVar[Mapping[str, Grant]] = {}
    """What each token grants."""
    config: ClassVar[HubConfig | None] = None
    """Of the hub. None is the default, with `tokens`."""
    may_fail: ClassVar[bool] = False
    """Whether a function may raise anything but `Refuse`, which its client is told as `internal`."""

    def __init__(self) -> None:
        super().__init__()
        config = self.config
        if config is None:
            config = HubConfig(auth=TokenAuth.of_plain(self.tokens))
        self._functions = self.hooks()
        self.table = {kind: tuple(functions) for kind, functions in self._functions.items()}
        """The patterns of the functions, by kind."""
        self.hub = Hub(config, now=0.0, entropy=counted_entropy(0), hooks=self.table)
        """The machine under test."""
        self.hub.set_wall_clock(WALL, 0.0)
        self.book = Book(WALL, config.rules)
        """What the model knows, by the numbers of clients."""
        self.everybody: dict[int, ModelClient] = {}
        """All that ever came, by their numbers."""
        self.failures: list[RequestFailed] = []
        """Times that one of the functions raised what it should not, or returned nonsense."""
        self._wires = Wires(self.hub, self._answer, self._told)
        self._asked: deque[tuple[RunHook, Outcome]] = deque()
        self._granted: Grant | None = None
        self._left: list[Left] = []
        self._farewells: dict[int, int] = {}
        self._epochs: dict[str, str] = {}
        self._last_id = 0

    # For subclasses to say.

    def hooks(self) -> HookFunctions:
        """Your functions, made anew for each run. There are none unless you say so.

        `hubbub.transports.simulated.without_loop` makes them of a `Hooks` object.
        """
        return {}

    def authenticate(self, token: str) -> Grant | None:
        """Whose token it is, where the configuration says `External()`; by default `tokens` know it."""
        return self.tokens.get(token)

    # For rules.

    @property
    def now(self) -> float:
        """Seconds since the run began."""
        return self._wires.now

    def ask(self, client: ModelClient, request: Mapping[str, Any]) -> Message | None:
        """A client sends a request; its answer comes without the `id`.

        What follows from the request the model does not know: where there is a method for it, use that.
        """
        if not client.is_open:
            return None
        self._last_id += 1
        number = self._last_id
        text = msgspec.json.encode({**request, "id": number}).decode()
        self._say(client, text, lambda: any(one.get("id") == number for one in client.answers))
        answer = _taken(client, number)
        if client.seat is None and not self._is_guest(client, answer):
            return None
        if answer is None:
            assert client.closed is not None, f"{client} got no answer to {dict(request)}"
            self._asked.clear()
        return answer

    def comes(self, *, token: str | None = None, name: str | None = None) -> ModelClient | None:
        """Somebody connects; None if it is not let in.

        With neither a token nor a name it is nobody until it asks for something.
        """
        target = "/"
        if token is not None:
            target = f"/?token={quote(token, safe='')}"
        elif name is not None:
            target = f"/?name={quote(name, safe='')}"
        client = self._wires.connect(target)
        self.everybody[client.number] = client
        let_in = True
        if client.code in _BY_LIMITS:
            let_in = False
            self._asked.clear()
        elif token is not None:
            grant = self._grant_of(token)
            let_in = self._is_let_in(client, grant) if grant else self._is_turned_away(client)
        elif name is not None:
            let_in = self._has_said(client, name)
        self._agree()
        return client if let_in else None

    def advance(self, seconds: float) -> None:
        """Time passes."""
        end = self.book.wall + seconds
        for at in (*sorted(at for at in self.book.ends() if at < end), end):
            self._pass(at - self.book.wall)
            self._agree()

    # Inside: saying something.

    def _say(self, client: ModelClient, text: str, done: Callable[[], bool]) -> None:
        """A client says something; time passes until something is so, where rates hold it back."""
        self._wires.send(client, text)
        for _ in range(_PATIENCE):
            if done() or not client.is_open:
                break
            self._pass(1.0)

    def _pass(self, seconds: float) -> None:
        self._wires.advance(seconds)
        self.book.advance(seconds)

    # Coming in.

    def _grant_of(self, token: str) -> Grant | None:
        """What a token grants now."""
        auth = self.hub.config.auth
        grant = self._granted if isinstance(auth, External) else self.tokens.get(token)
        if grant is None or auth is None:
            return None
        return None if grant.until is not None and grant.until <= self.book.wall else grant

    def _has_said(self, client: ModelClient, name: str) -> bool:
        config = self.hub.config
        assert config.anonymous is not None
        reserved = isinstance(config.auth, TokenAuth) and config.auth.reserves(name)
        if reserved or self.book.taken(name):
            self._same(client, _only(client), {"type": "error", "code": "name_taken"})
            self._wires.close(client)
            return False
        return self._is_let_in(client, config.anonymous.grant(name))

    def _is_let_in(self, client: ModelClient, grant: Grant) -> bool:
        """Whether somebody is, who said in the opening request who it is."""
        if not self._passes(client, grant):
            return False
        self._answered(client, _only(client))
        return True

    def _is_guest(self, client: ModelClient, answer: Message | None) -> bool:
        """Whether a first request lets somebody in who has said nothing of who it is."""
        anonymous = self.hub.config.anonymous
        if anonymous is None:
            if answer is not None:
                self._same(client, answer, {"type": "error", "code": "unauthenticated"})
            return False
        found = client.session.grant
        name = "nobody" if found is None else found.user
        assert not self.book.taken(name), f"{name} is there already"
        if not self._passes(client, anonymous.grant(name), answer):
            return False
        self._seat(client).answers.clear()  # it is not told that it was let in
        return True

    def _passes(self, client: ModelClient, grant: Grant, answer: Message | None = None) -> bool:
        """Whether somebody who is known is let in: the hook says so."""
        outcome: Outcome | None = None
        if self.table.get(HookKind.CONNECT):
            outcome = self._hook(client, HookKind.CONNECT, None, 0)
        match outcome:
            case Denied():
                return self._is_turned_away(client, answer)
            case Failed():
                code = client.code
                assert code == CloseCode.INTERNAL_ERROR, f"{client} is closed with {code}"
                return False
            case _:
                self.book.join(client.number, grant)
                client.seat = self.book.sessions[client.number]
                return True

    def _is_turned_away(self, client: ModelClient, answer: Message | None = None) -> bool:
        answer = answer if answer is not None else _only(client)
        self._same(client, answer, {"type": "auth", "status": "error"})
        code = client.code
        assert code == CloseCode.POLICY_VIOLATION, f"{client} is closed with {code}, not 1008"
        return False

    def _seat(self, client: ModelClient) -> BookSession:
        """What the book has of somebody who was let in."""
        assert client.seat is not None
        return client.seat

    # The outside.

    def hooks_for(self, kind: HookKind, name: str) -> list[int]:
        """Which functions are asked about a topic or a name that is called, or about a pattern."""
        patterns = self.table.get(kind, ())
        if is_pattern(name):
            return [at for at, one in enumerate(patterns) if overlaps(one, name)]
        return [at for at, one in enumerate(patterns) if contains(one, name)][:1]

    def _answer(self, effect: Effect) -> Outcome:
        match effect:
            case RunHook(kind=kind, hook=hook):
                outcome = list(self._functions[kind].values())[hook](effect)
                if kind is HookKind.DISCONNECT:
                    number = effect.who.session
                    self._farewells[number] = self._farewells.get(number, 0) + 1
                else:
                    self._asked.append((effect, outcome))
                return outcome
            case Authenticate(token=token):
                self._granted = self.authenticate(token)
                return Done(self._granted)
            case _:
                return Failed("the model has none of this")

    def _hook(self, client: ModelClient, kind: HookKind, about: str | None, hook: int) -> Outcome:
        """What a function has answered that must have been asked."""
        what = f"on_{kind.value} about {about or client.number}"
        assert self._asked, f"{what} was not asked"
        effect, outcome = self._asked.popleft()
        told = effect.name if kind is HookKind.CALL else effect.topic
        found = (effect.kind, effect.hook, effect.who.session, told)
        expected = (kind, hook, client.number, about)
        assert found == expected, f"{what} was not asked, but {effect}"
        return outcome

    def _told(self, event: HubEvent) -> None:
        match event:
            case Left():
                self._left.append(event)
            case RequestFailed():
                self.failures.append(event)
            case _:
                pass

    # What must be equal.

    def _answered(self, client: ModelClient, answer: Message) -> None:
        """An answer must be the newest that is due."""
        due = self._seat(client).answers
        assert due, f"{client} is answered {answer}, and nothing is due"
        self._same(client, answer, due.pop())

    def _same(self, client: ModelClient, answer: Message, expected: Message) -> None:
        """An answer must say this at least."""
        seen = self._seen(answer)
        found = {name: seen.get(name) for name in expected}
        assert found == expected, f"{client} is answered {answer}, not {expected}"

    def _seen(self, message: Message) -> Message:
        """What was told, without what the model does not know."""
        seen = dict(message)
        seen.pop("timestamp", None)
        epoch = seen.pop("epoch", None)
        if epoch is not None:
            known = self._epochs.setdefault(seen["topic"], epoch)
            assert epoch == known, f"{seen['topic']} has the epochs {known} and {epoch}"
        if "positions" in seen:
            positions: dict[str, Message] = seen["positions"]
            seen["positions"] = {name: {"offset": at["offset"]} for name, at in positions.items()}
        if "members" in seen:
            seen["members"] = {member["user"]: member["connections"] for member in seen["members"]}
        return seen

    def _agree(self) -> None:
        """The end of a step: everybody has left whom the hub let go, and got what is due."""
        for left in self._left:
            client = self.everybody[left.session]
            if left.session in self.book.sessions:
                assert left.code in _BY_LIMITS, f"{client} has left: {left}"
                self.book.leave(left.session)
            if self.table.get(HookKind.DISCONNECT):
                told = self._farewells.pop(left.session, 0)
                assert told == 1, f"on_disconnect was asked {told} times about {client}"
        self._left.clear()
        if self._asked:
            effect, _ = self._asked.popleft()
            raise AssertionError(f"nobody expected that this is asked: {effect}")
        for client in self.everybody.values():
            self._got(client)
        self._books_agree()
        assert self.may_fail or not self.failures, f"a function has failed: {self.failures}"

    def _got(self, client: ModelClient) -> None:
        """Whether a client got what is due to it; of who has left, something may be lost at the end."""
        over = client.closed is not None
        seat = client.seat
        if over and seat is not None and seat.code is not None:
            assert client.code == seat.code, f"{client} is closed with {client.code}: {seat}"
        pushes = _by_topic([] if seat is None else seat.pushes)
        for topic, told in _by_topic(client.pushes).items():
            found = [self._seen(message) for message in told]
            expected = pushes.pop(topic, [])
            expected = expected[: len(found)] if over else expected
            where = "direct messages" if topic is None else topic
            assert found == expected, f"{client} got of {where} {found}, not {expected}"
        answers = [] if seat is None else seat.answers
        if not over:
            assert not pushes, f"{client} did not get {pushes}"
            assert client.answers == answers, f"{client} is told {client.answers}, not {answers}"
        for told in (client.pushes, client.answers, answers):
            told.clear()
        if seat is not None:
            seat.pushes.clear()

    def _books_agree(self) -> None:
        book, hub = self.book, self.hub
        inside = {session.number: session.user for session in hub.sessions()}
        expected = {number: one.user for number, one in book.sessions.items()}
        assert inside == expected, f"{inside} are inside, not {expected}"
        names, known = dict(hub.topics()), book.names()
        assert names == known, f"the subscriptions are {names}, not {known}"
        for topic in names:
            if book.presence(topic):
                found, members = hub.presence(topic), book.members(topic)
                assert found == members, f"{found} are on {topic}, not {members}"


def _by_topic(pushes: Sequence[Message]) -> dict[str | None, list[Message]]:
    """Inside a topic order holds. Of topics, those with priority may overtake others."""
    found: dict[str | None, list[Message]] = {}
    for push in pushes:
        found.setdefault(push.get("topic"), []).append(push)
    return found


def _taken(client: ModelClient, number: int) -> Message | None:
    """The answer to a request, taken out of what a client was told."""
    found = [answer for answer in client.answers if answer.get("id") == number]
    if not found:
        return None
    assert len(found) == 1, f"{client} got several answers to one request: {found}"
    client.answers.remove(found[0])
    del found[0]["id"]
    return found[0]


def _only(client: ModelClient) -> Message:
    """The answer to what its opening request carried, taken out."""
    assert len(client.answers) == 1, f"{client} is told {client.answers}"
    return client.answers.pop()


def refusal(outcome: Outcome | None) -> str | None:
    """The code of the error that follows from a function's answer; None if it allows."""
    match outcome:
        case Denied(code, _):
            return code
        case Failed():
            return "internal"
        case _:
            return None
