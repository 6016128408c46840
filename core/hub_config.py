"""What a hub is made with."""

import msgspec

from .auth import AnonymousAccess, External, TokenAuth
from .forwarded import TrustedProxies
from .handshake import ServerOptions
from .hub_limits import HubLimits
from .rules import DEFAULT_RULES, Rule

__all__ = ["HubConfig"]


class HubConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Who may come in, what topics do, and how much of everything there may be.

    The default lets everybody in, under a name of their choice.

    Raises:
        ValueError: nobody could come in, or the limits are those of a connection only.
    """

    options: ServerOptions = ServerOptions(limits=HubLimits())
    """Of the connections; `options.limits` must be `HubLimits`."""
    rules: tuple[Rule, ...] = DEFAULT_RULES
    """The options of topics; the first that matches counts."""
    auth: TokenAuth | External | None = None
    """Whose tokens are known. With `External` the adapter is asked; with None nobody has a token."""
    anonymous: AnonymousAccess | None = AnonymousAccess()
    """What peers without a token may do; None keeps them out."""
    trusted_proxies: TrustedProxies | None = None
    """Whose `X-Forwarded-For` is believed."""

    def __post_init__(self) -> None:
        if not isinstance(self.options.limits, HubLimits):
            text = "options.limits: must be a HubLimits(), which has the hub's bounds too"
            raise ValueError(text)  # noqa: TRY004 - as the others
        if self.auth is None and self.anonymous is None:
            raise ValueError("auth and anonymous are both None: nobody could come in; set one")

    @property
    def limits(self) -> HubLimits:
        """The bounds of everything."""
        limits = self.options.limits
        assert isinstance(limits, HubLimits)
        return limits
