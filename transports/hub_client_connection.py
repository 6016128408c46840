"""One connection of a hub's client, whose machine takes what comes."""

from collections.abc import Callable
from typing import Any

from .client_connection import ClientConnection

__all__ = ["HubConnection"]


class HubConnection(ClientConnection):
    """What `connect` makes for a client of a hub. Nobody else receives from it, or sends."""

    __slots__ = ("on_change",)

    def __init__(self, *arguments: Any, **keywords: Any) -> None:  # those of `ClientConnection`
        super().__init__(*arguments, **keywords)
        self.on_change: Callable[[], None] | None = None
        """Called when there may be events, room or an end; None before the machine has it."""

    def changed(self) -> None:
        """See `Owner`."""
        super().changed()
        if self.on_change is not None:
            self.on_change()
