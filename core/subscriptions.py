"""Who is subscribed to what, and who therefore gets a publication.

One dictionary holds the subscribers of each name, be it a topic or a pattern. So a topic's own
subscribers are one look away, however many topics there are. Patterns with wildcards are in an index
besides, a tree that is walked along the tokens of a topic (as the "sublist" of NATS), with one
difference: a path on which no two patterns part is one node. So a pattern adds two nodes at most, however
many tokens it has, and a walk visits at most the nodes that agree with the topic up to there.

Results are not remembered. A walk takes about a microsecond, and a memory of results would have to
be bounded, by receivers too, and be emptied whenever somebody subscribes to a pattern; and it would make
a publication dear just where there are many topics.
"""

from collections.abc import Collection, Hashable, Iterator
from sys import getsizeof
from typing import Final, Generic, TypeVar

from .topics import is_pattern

__all__ = ["SubscriptionTable"]

S = TypeVar("S", bound=Hashable)

_SPARSE: Final = 256
"""Bytes for each subscriber above which a dictionary is made anew. One that only grew takes less than
100; one from which nearly all have gone keeps its size, and is slow to iterate over."""


class SubscriptionTable(Generic[S]):
    """The subscriptions of all subscribers to topics and patterns.

    Subscribers are told apart by identity. Names must have been checked. No cost depends on the number
    of topics; that of `receivers` grows with the patterns that agree with the topic, and with the
    receivers where several names have some. What nobody is subscribed to takes no memory.
    """

    __slots__ = ("_index", "_names", "subscriptions")

    def __init__(self) -> None:
        # Most names of most hubs have one subscriber: a tuple takes 64 bytes, a dictionary 200.
        self._names: dict[str, tuple[S] | dict[S, None]] = {}
        self._index = _Index()
        self.subscriptions = 0
        """Pairs of a subscriber and a name."""

    def __len__(self) -> int:
        """How many names, topics and patterns, have a subscriber."""
        return len(self._names)

    def add(self, subscriber: S, pattern: str) -> bool:
        """Subscribe to a topic or a pattern. Return False if that was so already."""
        held = self._names.get(pattern)
        if held is None:
            self._names[pattern] = (subscriber,)
            if is_pattern(pattern):
                self._index.add(pattern)
        elif subscriber in held:
            return False
        elif isinstance(held, tuple):
            self._names[pattern] = {held[0]: None, subscriber: None}
        else:
            held[subscriber] = None
        self.subscriptions += 1
        return True

    def remove(self, subscriber: S, pattern: str) -> bool:
        """End the subscription to exactly this name. Return False if there is none."""
        held = self._names.get(pattern)
        if held is None or subscriber not in held:
            return False
        if isinstance(held, tuple):
            del self._names[pattern]
            if is_pattern(pattern):
                self._index.remove(pattern)
        else:
            del held[subscriber]
            if len(held) == 1:
                (last,) = held
                self._names[pattern] = (last,)
            elif getsizeof(held) > _SPARSE * len(held):
                self._names[pattern] = dict.fromkeys(held)
        self.subscriptions -= 1
        return True

    def receivers(self, topic: str) -> Collection[S]:
        """Who gets a publication on a topic: each once, however many of its names match.

        First come those of the topic's own name; then those of each pattern that matches, patterns in
        an order that depends on their text only. Of one name, who subscribed earlier comes earlier.

        Returns:
            Perhaps a live view: don't change the table while you iterate over it. Nothing is copied
            where all receivers have one name in common.
        """
        patterns = self._index.matching(topic)
        if not patterns:
            return self.exact(topic)
        names = self._names
        held = names.get(topic)
        if held is None:
            if len(patterns) == 1:
                return _view(names[patterns[0]])
            held = names[patterns.pop(0)]
        merged = dict.fromkeys(held)
        for pattern in patterns:
            held = names[pattern]
            if isinstance(held, tuple):
                merged[held[0]] = None
            else:
                merged.update(held)
        return merged.keys()

    def exact(self, topic: str) -> Collection[S]:
        """Who is subscribed to exactly this name, in the order of subscribing. Perhaps a live view."""
        held = self._names.get(topic)
        return () if held is None else _view(held)

    def names(self) -> Iterator[tuple[str, int]]:
        """Each name that has subscribers, and how many. Don't change the table meanwhile."""
        for name, held in self._names.items():
            yield name, len(held)


def _view(held: tuple[S] | dict[S, None]) -> Collection[S]:
    return held if isinstance(held, tuple) else held.keys()


class _Node:
    """The end of a path: of a pattern, or where two part."""

    __slots__ = ("edge", "name", "nodes")

    def __init__(self, edge: str, name: str | None) -> None:
        self.edge = edge
        """The tokens that lead here from the node before, joined: apart they would take ten times as
        much. Only the root has none."""
        self.name = name
        """The pattern that ends here."""
        self.nodes: dict[str, _Node] = {}
        """What goes on from here, by the first token of its edge."""


class _Index:
    """A set of patterns with wildcards, asked for those that match a topic.

    Every node but the root has a name, or at least two nodes behind it.
    """

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root = _Node("", None)

    def add(self, pattern: str) -> None:
        """Put in a pattern that is not there."""
        tokens = pattern.split(".")
        node = self._root
        while tokens:
            following = node.nodes.get(tokens[0])
            if following is None:
                node.nodes[tokens[0]] = _Node(".".join(tokens), pattern)
                return
            edge = following.edge.split(".")
            shared = _shared(edge, tokens)
            if shared < len(edge):
                middle = _Node(".".join(tokens[:shared]), None)
                node.nodes[tokens[0]] = middle
                following.edge = ".".join(edge[shared:])
                middle.nodes[edge[shared]] = following
                following = middle
            node = following
            tokens = tokens[shared:]
        node.name = pattern

    def remove(self, pattern: str) -> None:
        """Take out a pattern that is there."""
        tokens = pattern.split(".")
        before = node = self._root
        at = began = 0
        while at < len(tokens):
            before, node = node, node.nodes[tokens[at]]
            began = at
            at += node.edge.count(".") + 1
        node.name = None
        if not node.nodes:
            del before.nodes[tokens[began]]
            node = before
        if node.name is None and len(node.nodes) == 1 and node is not self._root:
            # Nothing ends or parts here any more: the node behind takes its place.
            (behind,) = node.nodes.values()
            node.edge = f"{node.edge}.{behind.edge}"
            node.name = behind.name
            node.nodes = behind.nodes

    def matching(self, topic: str) -> list[str]:
        """The patterns that match a topic, sorted token by token: the same one, then `*`, then `>`."""
        if not self._root.nodes:
            return []
        tokens = topic.split(".")
        size = len(tokens)
        found: list[str] = []
        waiting = [(self._root, 0)]
        while waiting:
            node, at = waiting.pop()
            if at == size:
                if node.name is not None:
                    found.append(node.name)
                continue
            nodes = node.nodes
            for token in (">", "*", tokens[at]):  # the last one is looked at first
                following = nodes.get(token)
                if following is not None:
                    end = _end(following.edge, tokens, at)
                    if end:
                        waiting.append((following, end))
        return found


def _shared(edge: list[str], tokens: list[str]) -> int:
    """How many tokens both have in common from the start."""
    count = 0
    for one, other in zip(edge, tokens, strict=False):
        if one != other:
            break
        count += 1
    return count


def _end(edge: str, tokens: list[str], at: int) -> int:
    """Up to where an edge matches the tokens from `at` on; 0 if it does not.

    Its first token is known to match.
    """
    if "." not in edge:
        return len(tokens) if edge == ">" else at + 1
    parts = edge.split(".")
    if parts[-1] == ">":
        if len(tokens) - at < len(parts):
            return 0
        end = len(tokens)
        parts.pop()
    else:
        end = at + len(parts)
        if end > len(tokens):
            return 0
    for part in parts:
        if part != "*" and part != tokens[at]:
            return 0
        at += 1
    return end
