"""Somebody is muted, and says something."""

from muting_hub import CONFIG, make_hooks

from hubbub.transports.pytest_plugin import MakeHub


def test_who_is_muted_is_not_heard(simulated_hub: MakeHub) -> None:
    """Until somebody lets them speak again."""
    hub = simulated_hub(CONFIG, hooks=make_hooks())
    moderator, ann, bob = hub.client(token="t-mod"), hub.client(name="ann"), hub.client(name="bob")
    bob.subscribe("room.lobby")

    ann.publish("room.lobby", "hi")
    bob.expect("chat", sender="ann", message="hi")

    assert moderator.call("mute", "ann")["data"] == ["ann"]
    assert ann.publish("room.lobby", "hello?")["code"] == "muted"
    assert bob.received == []
