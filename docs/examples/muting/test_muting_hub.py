"""Whoever is muted stays so."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from muting_hub import CONFIG, TOKENS, make_hooks

from hubbub.core import name_key
from hubbub.core.strategies import HookFunctions, HubModel, ModelClient
from hubbub.transports.simulated import without_loop


class MutingModel(HubModel):
    config, tokens = CONFIG, TOKENS
    steps = ("come_with_name", "leave")

    def hooks(self) -> HookFunctions:
        return without_loop(make_hooks())

    @initialize()
    def a_moderator_comes(self) -> None:
        self.moderator = self.comes(token="t-mod")
        self.muted: set[str] = set()

    @rule(name=HubModel.people)
    def mute(self, name: str) -> None:
        assert self.moderator is not None
        self.calls(self.moderator, "mute", name)
        self.muted.add(name_key(name))

    @rule(client=HubModel.clients, text=st.text(max_size=3))
    def speak(self, client: ModelClient, text: str) -> None:
        answer = self.publishes(client, "room.lobby", text)
        if answer is not None and name_key(client.user or "") in self.muted:
            assert answer["type"] == "error", f"{client.user} is muted, and speaks"


TestMuting = MutingModel.TestCase
TestMuting.settings = settings(max_examples=500, stateful_step_count=20, deadline=None)
