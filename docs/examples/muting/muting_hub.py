"""A chat in which a moderator can mute people. There is a mistake in it."""

from hubbub.core import Grant, HubConfig, TokenAuth
from hubbub.transports.asyncio import Calling, Hooks, Publishing, Refuse

TOKENS = {"t-mod": Grant(user="mod", read=(">",), write=(">",), admin=True)}
CONFIG = HubConfig(auth=TokenAuth.of_plain(TOKENS))


def make_hooks() -> Hooks:
    hooks = Hooks()
    muted: set[str] = set()

    @hooks.on_call("mute")
    def mute(calling: Calling) -> object:
        if not calling.who.admin:
            raise Refuse("forbidden", "Only a moderator may mute")
        muted.add(str(calling.data))
        return sorted(muted)

    @hooks.on_publish("room.*")
    def speak(publishing: Publishing) -> None:
        if publishing.user in muted:
            raise Refuse("muted", "You are muted")

    return hooks
