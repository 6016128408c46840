"""The subscription table, held against lists of names that are looked through one by one."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterable
from typing import Any, NamedTuple, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hubbub.core import subscriptions
from hubbub.core.subscriptions import SubscriptionTable, _Index, _Node
from hubbub.core.topics import is_pattern
from support import naive_topics
from support.naive_topics import PATTERNS, TOPICS, by_specificity, naive_matches


class Peer:
    """A subscriber, told apart by identity."""

    def __init__(self, label: str) -> None:
        self.label = label

    def __repr__(self) -> str:
        return self.label


class NaiveTable:
    """The same as lists, in which everything is searched for."""

    def __init__(self) -> None:
        self.held: dict[str, list[Peer]] = {}

    def add(self, peer: Peer, name: str) -> bool:
        """Subscribe."""
        if peer in self.held.get(name, ()):
            return False
        self.held.setdefault(name, []).append(peer)
        return True

    def remove(self, peer: Peer, name: str) -> bool:
        """Unsubscribe."""
        if peer not in self.held.get(name, ()):
            return False
        self.held[name].remove(peer)
        if not self.held[name]:
            del self.held[name]
        return True

    def receivers(self, topic: str) -> list[Peer]:
        """Each receiver once: those of the topic's own name first, then pattern by pattern."""
        names = sorted((n for n in self.held if naive_matches(n, topic)), key=by_specificity)
        return list(dict.fromkeys(peer for name in names for peer in self.held[name]))

    def exact(self, name: str) -> list[Peer]:
        """Those of one name."""
        return self.held.get(name, [])

    def names(self) -> list[tuple[str, int]]:
        """Names and counts."""
        return [(name, len(peers)) for name, peers in self.held.items()]


def nodes(index: _Index) -> list[_Node]:
    """All nodes of an index but the root."""
    found: list[_Node] = []
    waiting = list(index._root.nodes.values())
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += node.nodes.values()
    return found


def form(node: _Node) -> object:
    """A tree as data, to be compared."""
    return node.edge, node.name, {token: form(behind) for token, behind in node.nodes.items()}


def same_table(table: SubscriptionTable[Peer], naive: NaiveTable, topics: Iterable[str]) -> bool:
    """Whether all answers are the same, in the same order, and nothing is left over inside."""
    wildcards = {name for name in naive.held if is_pattern(name)}
    return (
        all(list(table.receivers(topic)) == naive.receivers(topic) for topic in topics)
        and all(list(table.exact(name)) == naive.exact(name) for name in naive.held)
        and sorted(table.names()) == sorted(naive.names())
        and len(table) == len(naive.held)
        and table.subscriptions == sum(map(len, naive.held.values()))
        and {node.name for node in nodes(table._index)} - {None} == wildcards
    )


few = [
    "a",
    "a.b",
    "b.a.a",
    "*",
    ">",
    "a.*",
    "*.b",
    "a.>",
    "*.>",
    "a.*.a",
    "a.*.>",
    "b.a.>",
    "b.a.*",
]
names = st.one_of(st.sampled_from(few), st.sampled_from(PATTERNS), st.sampled_from(TOPICS))
labels = st.integers(0, 3)


class TableMachine(RuleBasedStateMachine):
    """Subscribes and unsubscribes, and asks both tables everything."""

    def __init__(self) -> None:
        super().__init__()
        self.table = SubscriptionTable[Peer]()
        self.naive = NaiveTable()
        self.peers = [Peer(f"peer {number}") for number in range(4)]

    @rule(label=labels, name=names)
    def subscribe(self, label: int, name: str) -> None:
        """Adding says whether it is new."""
        peer = self.peers[label]
        assert self.table.add(peer, name) == self.naive.add(peer, name)

    @rule(label=labels, name=names)
    def unsubscribe(self, label: int, name: str) -> None:
        """Removing says whether it was there; mostly it is not."""
        peer = self.peers[label]
        assert self.table.remove(peer, name) == self.naive.remove(peer, name)

    @precondition(lambda self: self.naive.held)
    @rule(data=st.data())
    def unsubscribe_from_one_that_is_there(self, data: st.DataObject) -> None:
        """Removing what is there says so."""
        name = data.draw(st.sampled_from(sorted(self.naive.held)))
        peer = data.draw(st.sampled_from(self.naive.held[name]))
        assert self.naive.remove(peer, name)
        assert self.table.remove(peer, name)

    @rule(topic=st.sampled_from(TOPICS))
    def publish(self, topic: str) -> None:
        """Receivers, their order and the table's own members are those of the lists."""
        assert same_table(self.table, self.naive, [topic])

    @invariant()
    def every_node_has_a_purpose(self) -> None:
        """A pattern ends at each node, or two part there."""
        assert all(node.edge for node in nodes(self.table._index))
        assert all(node.name or len(node.nodes) > 1 for node in nodes(self.table._index))

    def teardown(self) -> None:
        """After the last one has left, nothing is there."""
        for name, peers in list(self.naive.held.items()):
            for peer in list(peers):
                assert self.table.remove(peer, name)
        assert not self.table._names
        assert not self.table._index._root.nodes
        assert self.table.subscriptions == len(self.table) == 0


TableMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestTable = TableMachine.TestCase


def differs(kind: type[SubscriptionTable[Peer]]) -> bool:
    """Whether a fixed run of 400 steps tells this table from the lists."""
    chance = random.Random(1)
    table, naive = kind(), NaiveTable()
    peers = [Peer(f"peer {number}") for number in range(5)]
    asked = ["a", "a.b", "b.a.a", "b.a.c", "b.b.b", "b.a.c.c.c", "c"]
    try:
        for step in range(400):
            peer, name = chance.choice(peers), chance.choice(few)
            # First more come than go, then more go.
            comes = chance.random() < (0.65 if step < 200 else 0.35)
            did, should = (
                (table.add(peer, name), naive.add(peer, name))
                if comes
                else (table.remove(peer, name), naive.remove(peer, name))
            )
            if did != should or not same_table(table, naive, asked):
                return True
        for name, count in list(naive.names()):
            for peer in naive.held[name][:count]:
                table.remove(peer, name)
        return bool(table._names or table._index._root.nodes)
    except Exception:  # noqa: BLE001 - a fault that raises is noticed, whatever it raises
        return True


class Fault(NamedTuple):
    """A wrong line in `subscriptions.py`: `right` stands in exactly one place."""

    name: str
    right: str
    wrong: str

    def plant(self) -> type[SubscriptionTable[Peer]]:
        """The table with the fault."""
        source = inspect.getsource(subscriptions)
        assert source.count(self.right) == 1, f"{self.name}: not found exactly once"
        spoilt: dict[str, Any] = {"__name__": "planted", "is_pattern": is_pattern}
        source = source.replace("from .topics import is_pattern\n", "")
        exec(compile(source.replace(self.right, self.wrong), self.name, "exec"), spoilt)
        return cast("type[SubscriptionTable[Peer]]", spoilt["SubscriptionTable"])


FAULTS = [
    Fault("a receiver of two patterns gets two", "merged = dict.fromkeys(held)\n        for", "return [p for n in [topic, *patterns] for p in names.get(n, ())]\n        for"),
    Fault("own names are forgotten beside patterns", "held = names.get(topic)\n        if held is None", "held = None\n        if held is None"),
    Fault("the first pattern is lost", "held = names[patterns.pop(0)]", "held = names[patterns.pop()]; patterns = []"),
    Fault("a lone subscriber of a pattern is lost", "merged[held[0]] = None", "pass"),
    Fault("the others of a pattern are lost", "merged.update(held)", "pass"),
    Fault("the order is turned round", "merged = dict.fromkeys(held)\n        for", "merged = dict.fromkeys(reversed(list(held)))\n        for"),
    Fault("a second subscription counts", "return False\n        elif isinstance", "pass\n        elif isinstance"),
    Fault("the second takes the first one's place", "{held[0]: None, subscriber: None}", "{subscriber: None}"),
    Fault("the second comes first", "{held[0]: None, subscriber: None}", "{subscriber: None, held[0]: None}"),
    Fault("anyone ends another's subscription", "if held is None or subscriber not in held:", "if held is None:"),
    Fault("a pattern stays in the index", "self._index.remove(pattern)", "pass"),
    Fault("a name without anyone stays", "            del self._names[pattern]\n", "            self._names[pattern] = {}\n"),
    Fault("subscriptions are not counted down", "self.subscriptions -= 1", "pass"),
    Fault("`>` matches no token too", "if len(tokens) - at < len(parts):", "if len(tokens) - at < len(parts) - 1:"),
    Fault("`>` ends too early", "end = len(tokens)\n", "end = at + len(parts)\n"),
    Fault("a lone `>` is one token", 'return len(tokens) if edge == ">" else at + 1', "return at + 1"),
    Fault("`*` is a word", 'if part != "*" and part != tokens[at]:', "if part != tokens[at]:"),
    Fault("an edge is not compared", 'if part != "*" and part != tokens[at]:', "if False:"),
    Fault("a longer edge matches", "if end > len(tokens):", "if False:"),
    Fault("a pattern inside another is lost", "if node.name is not None:\n                    found", "if node.name is not None and not node.nodes:\n                    found"),
    Fault("`*` hides words", '(">", "*", tokens[at])', '(">", "*")'),
    Fault("words hide `*`", '(">", "*", tokens[at])', '(">", tokens[at])'),
    Fault("general patterns come first", '(">", "*", tokens[at])', '(tokens[at], "*", ">")'),
    Fault("a split loses what was behind", "middle.nodes[edge[shared]] = following\n", "pass\n"),
    Fault("a split keeps the whole edge", "following.edge = \".\".join(edge[shared:])\n", "pass\n"),
    Fault("a name inside an edge is not set", "node.name = pattern\n", "pass\n"),
    Fault("a branch is removed whole", "if not node.nodes:\n            del before", "if True:\n            del before"),
    Fault("a name is not taken out", "node.name = None\n        if not", "if not"),
    Fault("a joint loses its edge", "node.edge = f\"{node.edge}.{behind.edge}\"", "node.edge = behind.edge"),
    Fault("a joint loses its name", "node.name = behind.name", "pass"),
    Fault("a joint loses what is behind", "node.nodes = behind.nodes", "node.nodes = {}"),
    Fault("a joint swallows a name", "if node.name is None and len(node.nodes) == 1 and", "if len(node.nodes) == 1 and"),
    Fault("the root is joined", " and node is not self._root:", ":"),
]  # fmt: skip


def test_the_right_table_passes() -> None:
    """The fixed run finds nothing wrong with the real table."""
    assert not differs(SubscriptionTable)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_planted_fault_is_noticed(fault: Fault) -> None:
    """A table with this mistake is told from the lists, in its answers or by what it leaves behind."""
    assert differs(fault.plant())


def table_of(*pairs: tuple[Peer, str]) -> SubscriptionTable[Peer]:
    """A table with these subscriptions, made in this order."""
    table = SubscriptionTable[Peer]()
    for peer, name in pairs:
        table.add(peer, name)
    return table


A, B, C, D = (Peer(label) for label in "ABCD")


def test_overlapping_patterns_deliver_once() -> None:
    """One peer with four names that match is one receiver."""
    table = table_of((A, "a.b"), (A, "a.*"), (A, "*.b"), (A, "a.>"), (B, ">"))
    assert list(table.receivers("a.b")) == [A, B]


def test_the_order_is_that_of_subscribing_within_a_name() -> None:
    """Own names come first, then patterns from the more to the less specific; coming back is last."""
    table = table_of((D, ">"), (C, "*.b"), (B, "a.b"), (A, "a.b"), (C, "a.b"), (A, ">"))
    assert list(table.receivers("a.b")) == [B, A, C, D]
    assert not table.add(B, "a.b")
    assert list(table.receivers("a.b")) == [B, A, C, D]
    table.remove(B, "a.b")
    table.add(B, "a.b")
    assert list(table.receivers("a.b")) == [A, C, B, D]


@given(st.permutations([1, 2, 3, 4, 5]), st.permutations([1, 2, 3, 4, 5]))
def test_the_order_does_not_depend_on_hashes(ours: list[int], theirs: list[int]) -> None:
    """Peers whose hashes, which are their addresses, are ordered otherwise are received alike."""

    class Hashed(Peer):
        def __init__(self, number: int, hashed: int) -> None:
            super().__init__(str(number))
            self.hashed = hashed

        def __hash__(self) -> int:
            return self.hashed

    def order(hashes: list[int]) -> list[str]:
        table = SubscriptionTable[Hashed]()
        for number, hashed in enumerate(hashes):
            peer = Hashed(number, hashed)
            for name in (["a.b", "a.*"], ["a.>", "a.*"], [">", "a.b"])[number % 3]:
                table.add(peer, name)
        return [peer.label for peer in table.receivers("a.b")]

    assert order(ours) == order(theirs)


def test_receivers_are_not_copied_where_one_name_has_them_all() -> None:
    """The result follows the table, for a topic and for a lone pattern: it is a view."""
    table = table_of((A, "a.b"), (B, "a.b"), (A, "*.c"), (B, "*.c"), (A, "b.b.b"), (B, ">.never"))
    for topic, name in (("a.b", "a.b"), ("a.c", "*.c")):
        receivers = table.receivers(topic)
        assert list(receivers) == [A, B]
        table.add(C, name)
        assert list(receivers) == [A, B, C]
        assert C in receivers
        assert len(receivers) == 3


def test_exact_leaves_patterns_out() -> None:
    """Presence counts those who named the topic itself."""
    table = table_of((A, "room.*"), (B, "room.x"), (C, ">"))
    assert list(table.exact("room.x")) == [B]
    assert list(table.exact("room.y")) == []
    assert list(table.receivers("room.y")) == [A, C]


def test_names_are_counted() -> None:
    """Each name that has subscribers stands with their number, patterns too."""
    table = table_of((A, "a"), (B, "a"), (A, ">"), (C, "b"))
    table.remove(C, "b")
    assert dict(table.names()) == {"a": 2, ">": 1}
    assert (len(table), table.subscriptions) == (2, 3)


def test_nobody_is_told_of_nothing() -> None:
    """An empty table has no receivers, and removing from it changes nothing."""
    table = SubscriptionTable[Peer]()
    assert list(table.receivers("a")) == list(table.exact("a")) == list(table.names()) == []
    assert not table.remove(A, "a")
    assert not table.remove(A, ">")


@given(st.lists(naive_topics.patterns.filter(is_pattern), unique=True, max_size=12), st.randoms())
def test_the_index_depends_on_its_members_only(members: list[str], chance: random.Random) -> None:
    """Whatever came and went, it is the tree of those that are left; two nodes for each at most."""
    index, fresh = _Index(), _Index()
    gone = [f"{name}.more" if name[-1] != ">" else f"*.{name}" for name in members]
    moves = [*members, *(name for name in gone if name not in members)]
    chance.shuffle(moves)
    for name in moves:
        index.add(name)
    chance.shuffle(moves)
    for name in moves:
        if name not in members:
            index.remove(name)
    for name in members:
        fresh.add(name)
    assert form(index._root) == form(fresh._root)
    assert len(nodes(index)) <= 2 * len(members)


@given(
    st.lists(naive_topics.patterns.filter(is_pattern), unique=True, max_size=12),
    naive_topics.topics,
)
def test_the_index_finds_what_matches(members: list[str], topic: str) -> None:
    """With longer names too: all patterns that match, from the more to the less specific."""
    index = _Index()
    for name in members:
        index.add(name)
    matching = [name for name in members if naive_matches(name, topic)]
    assert index.matching(topic) == sorted(matching, key=by_specificity)
