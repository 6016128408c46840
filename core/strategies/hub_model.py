"""A real hub held against a plain model of one, as a state machine of Hypothesis that tests extend."""

from collections.abc import Collection, Sequence
from types import FunctionType
from typing import Any, ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, consumes, multiple, precondition, rule

from ..codecs import native
from ..effects import HookKind
from ..grants import Grant
from ..messages import Malformed
from .hub_steps import HubSteps
from .model_clients import ModelClient
from .requests import messages, texts

__all__ = ["HubModel"]


def _of(name: str) -> st.SearchStrategy[Any]:
    """What a class says, so that a subclass may say something else."""
    runner: st.SearchStrategy[Any] = st.runner()
    return runner.flatmap(lambda model: getattr(model, name))


_PATTERNS = st.lists(_of("patterns"), min_size=1, max_size=2)
_SELDOM = st.sampled_from((False, False, False, True))


def _added(client: ModelClient | None) -> ModelClient | MultipleResults[ModelClient]:
    """For the bundle: who was not let in is not in it."""
    return multiple() if client is None else client


class HubModel(HubSteps):
    """People come, subscribe, publish, call, leave; the hub must do with each what a few dictionaries say.

    Each run has a hub of its own. After each step everybody must have got what the model expects, in
    order and nothing else, and the hub's books must be those of the model. So your own functions are
    asked in many situations, what they answer must come about, and they must not fail. What only you can
    know, such as who was muted, you add as rules and invariants of a subclass.

    The model foresees no limits: whoever passes one may be closed with the limit's code. It does not
    resume, acknowledge or repeat, and functions answer at once.
    """

    clients: Bundle[ModelClient] = Bundle("clients")
    """Who came, for rules of your own. Its connection may have ended; then what it does is nothing."""

    tokens = {  # noqa: RUF012 - declared as a ClassVar above
        "t-alice": Grant(user="alice", read=(">",), write=(">",)),
        "t-carol": Grant(user="carol", read=("alerts.>", "room.lobby"), write=("room.*",)),
    }
    topics: ClassVar[st.SearchStrategy[str]] = st.sampled_from(
        ("room.lobby", "room.den", "alerts.fire", "alerts.flood.east")
    )
    """Where is published. They must be lawful."""
    patterns: ClassVar[st.SearchStrategy[str]] = st.sampled_from(
        ("room.lobby", "room.den", "alerts.fire", "room.*", "alerts.>", ">", "*.*")
    )
    """What is subscribed to and revoked. They must be lawful."""
    people: ClassVar[st.SearchStrategy[str]] = st.sampled_from(("ann", "bob", "Ann"))
    """Names under which those come who have no token. They must be lawful."""
    messages: ClassVar[st.SearchStrategy[Any]] = messages(max_leaves=3)
    """What is published, and what calls carry."""
    most: ClassVar[int] = 8
    """How many are connected at a time."""

    steps: ClassVar[Collection[str] | None] = None
    """Names of the steps below that are taken; None is all. The fewer, the more often those are taken that
    you add."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.steps is None:
            return
        for name in cls.steps:
            if name not in _STEPS:
                known = ", ".join(sorted(_STEPS))
                raise ValueError(f"steps: there is no step {name!r}; there are {known}")
        for name in _STEPS - set(vars(cls)):
            # Hypothesis takes what is None for no rule at all, which costs less than one that is never due.
            setattr(cls, name, getattr(HubModel, name) if name in cls.steps else None)

    @property
    def some_token(self) -> st.SearchStrategy[str]:
        """One of the tokens."""
        return st.sampled_from(sorted(self.tokens))

    @property
    def some_user(self) -> st.SearchStrategy[str]:
        """Somebody who is there, or nobody."""
        users = dict.fromkeys(one.user for one in self.book.sessions.values())
        return st.sampled_from([*users, "nobody"])

    @property
    def some_call(self) -> st.SearchStrategy[str]:
        """A name that one of the functions for calls answers to."""
        patterns = self.table.get(HookKind.CALL, ())
        return st.sampled_from([one.replace("*", "x").replace(">", "x") for one in patterns])

    @property
    def has_room(self) -> bool:
        """Whether somebody else may come."""
        return sum(client.closed is None for client in self.everybody.values()) < self.most

    # The steps of a run.

    @precondition(lambda self: bool(self.tokens) and self.has_room)
    @rule(target=clients, token=_of("some_token"))
    def come_with_token(self, token: str) -> ModelClient | MultipleResults[ModelClient]:
        """Somebody comes, who shows a token."""
        return _added(self.comes(token=token))

    @precondition(lambda self: self.hub.config.anonymous is not None and self.has_room)
    @rule(target=clients, name=_of("people"))
    def come_with_name(self, name: str) -> ModelClient | MultipleResults[ModelClient]:
        """Somebody comes, who says a name."""
        return _added(self.comes(name=name))

    @precondition(lambda self: self.has_room)
    @rule(target=clients)
    def come_as_nobody(self) -> ModelClient | MultipleResults[ModelClient]:
        """Somebody comes, who says nothing yet."""
        return _added(self.comes())

    @rule(client=consumes(clients), cut=st.booleans())
    def leave(self, client: ModelClient, cut: bool) -> None:
        """Somebody leaves, or is cut off."""
        self.leaves(client, cut=cut)

    @rule(client=clients, patterns=_PATTERNS, presence=_SELDOM)
    def subscribe(self, client: ModelClient, patterns: Sequence[str], presence: bool) -> None:
        """Somebody subscribes."""
        self.subscribes(client, *patterns, presence=presence)

    @rule(client=clients, patterns=_PATTERNS)
    def unsubscribe(self, client: ModelClient, patterns: Sequence[str]) -> None:
        """Somebody gives subscriptions up."""
        self.unsubscribes(client, *patterns)

    @rule(client=clients, topic=_of("topics"), message=_of("messages"))
    def publish(self, client: ModelClient, topic: str, message: Any) -> None:
        """Somebody publishes."""
        self.publishes(client, topic, message)

    @rule(client=clients, user=_of("some_user"), message=_of("messages"))
    def send_to_user(self, client: ModelClient, user: str, message: Any) -> None:
        """Somebody sends a direct message."""
        self.sends_to(client, user, message)

    @precondition(lambda self: bool(self.table.get(HookKind.CALL)))
    @rule(client=clients, name=_of("some_call"), data=_of("messages"))
    def call(self, client: ModelClient, name: str, data: Any) -> None:
        """Somebody calls a function."""
        self.calls(client, name, data)

    @precondition(lambda self: bool(self.tokens))
    @rule(client=clients, token=_of("some_token"))
    def refresh(self, client: ModelClient, token: str) -> None:
        """Somebody shows another token."""
        self.refreshes(client, token)

    @rule(client=clients, topic=_of("topics"))
    def ask_who_is_there(self, client: ModelClient, topic: str) -> None:
        """Somebody asks who is present."""
        self.asks_who_is_there(client, topic)

    @rule(client=clients, topic=_of("topics"), limit=st.integers(1, 4))
    def ask_what_was(self, client: ModelClient, topic: str, limit: int) -> None:
        """Somebody asks for what was published."""
        self.asks_what_was(client, topic, limit)

    @rule(client=clients, text=texts())
    def say_nonsense(self, client: ModelClient, text: str) -> None:
        """Somebody says what is no request."""
        found = native.decode(text, self.hub.limits)
        if isinstance(found, Malformed):
            self.says_nonsense(client, text, found.code)

    @rule(topic=_of("topics"), message=_of("messages"), sender=st.none() | _of("people"))
    def publish_as_server(self, topic: str, message: Any, sender: str | None) -> None:
        """The server itself publishes."""
        self.server_publishes(topic, message, sender)

    @rule(user=_of("some_user"))
    def disconnect(self, user: str) -> None:
        """The operator closes all connections of a user."""
        self.disconnects(user)

    @rule(user=_of("some_user"), pattern=_of("patterns"))
    def revoke(self, user: str, pattern: str) -> None:
        """The operator takes topics away from a user."""
        self.revokes(user, pattern)

    @rule(seconds=st.sampled_from((0.5, 5.0, 45.0)))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.advance(seconds)


_STEPS: Final = frozenset(
    name
    for name, found in vars(HubModel).items()
    if isinstance(found, FunctionType) and not name.startswith("_")
)
