"""Timers of one connection, and the queue of many connections' deadlines."""

from hypothesis import given
from hypothesis import strategies as st

from hubbub.core.timeouts import Deadlines, Timer, Timers


def test_the_next_timeout_is_the_earliest() -> None:
    """`next` is the least of what is armed, and None when nothing is."""
    timers = Timers()
    assert timers.next() is None
    timers.arm(Timer.PING, 0.0, 20.0)
    timers.arm(Timer.OPEN, 0.0, 10.0)
    assert timers.next() == 10.0
    timers.disarm(Timer.OPEN)
    assert timers.next() == 20.0


def test_an_expired_timer_is_told_once() -> None:
    """What expired is disarmed, in the order of the enum; a second look finds nothing."""
    timers = Timers()
    timers.arm(Timer.PING, 0.0, 1.0)
    timers.arm(Timer.WRITE, 0.0, 2.0)
    timers.arm(Timer.CLOSE, 0.0, 9.0)
    assert list(timers.expired(5.0)) == [Timer.WRITE, Timer.PING]
    assert list(timers.expired(5.0)) == []
    assert timers.next() == 9.0


def test_a_timer_that_an_earlier_one_disarms_is_not_told() -> None:
    """Handling one timer may disarm a later one of the same moment."""
    timers = Timers()
    timers.arm(Timer.WRITE, 0.0, 1.0)
    timers.arm(Timer.PING, 0.0, 1.0)
    told = []
    for timer in timers.expired(1.0):
        told.append(timer)
        timers.disarm_all()
    assert told == [Timer.WRITE]


def test_silence_is_not_counted_while_nothing_is_read() -> None:
    """PONG and MESSAGE stand still between `stop` and `go_on`; the others run on."""
    timers = Timers()
    timers.arm(Timer.PONG, 0.0, 10.0)
    timers.arm(Timer.PING, 0.0, 30.0)
    timers.stop(4.0)
    assert timers.next() == 30.0
    assert list(timers.expired(20.0)) == []
    timers.go_on(25.0)
    assert timers.next() == 30.0
    assert list(timers.expired(30.0)) == [Timer.PING]
    assert timers.next() == 31.0


def test_a_timer_armed_while_nothing_is_read_has_its_whole_time() -> None:
    """Arming PONG between `stop` and `go_on` counts from `go_on`."""
    timers = Timers()
    timers.stop(4.0)
    timers.arm(Timer.PONG, 6.0, 10.0)
    timers.go_on(25.0)
    assert timers.next() == 35.0


def test_stopping_twice_changes_nothing() -> None:
    """The first `stop` counts; `go_on` without `stop` does nothing."""
    timers = Timers()
    timers.arm(Timer.PONG, 0.0, 10.0)
    timers.go_on(3.0)
    timers.stop(4.0)
    timers.stop(8.0)
    timers.go_on(9.0)
    assert timers.next() == 15.0


def test_keep_only_keeps_one() -> None:
    """All but one timer are forgotten."""
    timers = Timers()
    timers.arm(Timer.WRITE, 0.0, 1.0)
    timers.arm(Timer.PING, 0.0, 0.5)
    timers.keep_only(Timer.WRITE)
    assert timers.next() == 1.0
    assert not timers.armed(Timer.PING)


moments = st.integers(min_value=0, max_value=40).map(float)
moves = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 5), st.one_of(st.none(), moments)),
        st.tuples(st.just("due"), st.just(0), moments),
    ),
    max_size=60,
)


@given(moves)
def test_deadlines_behave_as_a_dictionary(moves: list[tuple[str, int, float | None]]) -> None:
    """Whatever is set and moved, what is due is what a dictionary says, and `next` is never late."""
    deadlines = Deadlines[int]()
    model: dict[int, float] = {}
    for move, key, at in moves:
        if move == "set":
            deadlines.set(key, at)
            model.pop(key, None)
            if at is not None:
                model[key] = at
        else:
            assert at is not None
            due = deadlines.due(at)
            assert sorted(due) == sorted(k for k, t in model.items() if t <= at)
            for k in due:
                del model[k]
        assert len(deadlines) == len(model)
        following = deadlines.next()
        if model:
            assert following is not None
            assert following <= min(model.values())
        else:
            assert following is None


def test_deadlines_hold_no_more_than_twice_their_keys() -> None:
    """Moving deadlines back and forth for ever does not grow the queue."""
    deadlines = Deadlines[int]()
    for step in range(10_000):
        deadlines.set(step % 10, float(10_000 - step))
    assert len(deadlines._queue) <= 65
