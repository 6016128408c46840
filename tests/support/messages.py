"""Hypothesis strategies for what clients and hubs tell each other."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from hubbub.core.messages import (
    Answer,
    AuthResult,
    CallResult,
    Chat,
    Direct,
    ErrorAnswer,
    Gap,
    History,
    Member,
    Notification,
    PongAnswer,
    Position,
    Presence,
    PresenceChange,
    Published,
    Push,
    Reconnect,
    Subscribed,
    System,
    Unsubscribed,
)
from hubbub.core.strategies import commands, messages

words = st.text(max_size=16)
ids = st.none() | st.text(max_size=64) | st.integers(-(2**63), 2**63 - 1)
counts = st.integers(0, 2**63 - 1)
flags = st.booleans()
topics = st.lists(words, min_size=1, max_size=4).map(tuple)

json_values = messages()
"""What a client may publish."""

positions = st.builds(Position, offset=counts, epoch=words, recovered=st.none() | flags)
by_topic = st.none() | st.dictionaries(words, positions, max_size=3)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """It, or nothing."""
    return st.none() | strategy


requests = commands(topic=words, pattern=words, name=words)
"""What a client may ask for; the names in it are any text."""

publications = st.one_of(
    st.builds(
        Chat,
        topic=words,
        sender=words,
        message=json_values,
        timestamp=words,
        offset=maybe(counts),
        epoch=maybe(words),
        redelivered=flags,
    ),
    st.builds(
        Notification,
        topic=words,
        message=json_values,
        timestamp=words,
        offset=maybe(counts),
        epoch=maybe(words),
        redelivered=flags,
    ),
)

answers: st.SearchStrategy[Answer] = st.one_of(
    st.builds(
        AuthResult,
        status=st.sampled_from(["ok", "error"]),
        username=maybe(words),
        message=maybe(words),
        id=ids,
    ),
    st.builds(Subscribed, topics=topics, positions=by_topic, id=ids),
    st.builds(Unsubscribed, topics=topics, reason=maybe(words), id=ids),
    st.builds(
        Published,
        topic=maybe(words),
        to=maybe(words),
        recipients=counts,
        offset=maybe(counts),
        epoch=maybe(words),
        duplicate=flags,
        id=ids,
    ),
    st.builds(
        Presence,
        topic=words,
        members=st.lists(st.builds(Member, user=words, connections=counts), max_size=3).map(tuple),
        count=counts,
        id=ids,
    ),
    st.builds(
        History,
        topic=words,
        publications=st.lists(publications, max_size=3).map(tuple),
        id=ids,
    ),
    st.builds(CallResult, name=words, data=json_values, id=ids),
    st.builds(PongAnswer, id=ids),
    st.builds(ErrorAnswer, code=words, message=words, field=maybe(words), id=ids),
)

pushes: st.SearchStrategy[Push] = st.one_of(
    publications,
    st.builds(System, message=words, timestamp=words, topic=maybe(words)),
    st.builds(Direct, sender=words, message=json_values, timestamp=words),
    st.builds(
        PresenceChange,
        topic=words,
        event=st.sampled_from(["join", "leave"]),
        user=words,
        count=counts,
    ),
    st.builds(Gap, topic=words, missed=maybe(counts), offset=maybe(counts), epoch=maybe(words)),
    st.builds(Reconnect, after=st.floats(0, 1e6)),
)
