"""Hypothesis strategies for what clients and hubs tell each other."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from hubbub.core.messages import (
    Ack,
    Answer,
    Authenticate,
    AuthResult,
    Call,
    CallResult,
    Chat,
    ChooseName,
    Direct,
    ErrorAnswer,
    Gap,
    History,
    Member,
    Notification,
    Ping,
    PongAnswer,
    Position,
    Presence,
    PresenceChange,
    Publish,
    Published,
    Push,
    QueryHistory,
    QueryPresence,
    Reconnect,
    Refresh,
    Request,
    Subscribe,
    Subscribed,
    System,
    Unsubscribe,
    Unsubscribed,
)

words = st.text(max_size=16)
ids = st.none() | st.text(max_size=64) | st.integers(-(2**63), 2**63 - 1)
counts = st.integers(0, 2**63 - 1)
flags = st.booleans()
topics = st.lists(words, min_size=1, max_size=4).map(tuple)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
"""What a client may publish."""

positions = st.builds(Position, offset=counts, epoch=words, recovered=st.none() | flags)
by_topic = st.none() | st.dictionaries(words, positions, max_size=3)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """It, or nothing."""
    return st.none() | strategy


requests: st.SearchStrategy[Request] = st.one_of(
    st.builds(Authenticate, token=words, id=ids),
    st.builds(ChooseName, name=words, id=ids),
    st.builds(Refresh, token=words, id=ids),
    st.builds(
        Subscribe,
        topics=topics,
        since=by_topic,
        last=maybe(counts),
        ack=flags,
        name=maybe(words),
        presence=flags,
        id=ids,
    ),
    st.builds(Unsubscribe, topics=topics, id=ids),
    st.builds(
        Publish,
        topic=words,
        message=json_values,
        idempotency_key=maybe(words),
        key=maybe(words),
        id=ids,
    ),
    st.builds(Publish, to=words, message=json_values, id=ids),
    st.builds(Ack, topic=words, offset=counts, id=ids),
    st.builds(QueryPresence, topic=words, id=ids),
    st.builds(
        QueryHistory,
        topic=words,
        before=maybe(st.integers(1, 2**63 - 1)),
        limit=maybe(st.integers(1, 2**63 - 1)),
        id=ids,
    ),
    st.builds(Call, name=words, data=json_values, id=ids),
    st.builds(Ping, id=ids),
)

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
