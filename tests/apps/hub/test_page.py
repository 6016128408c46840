"""The hub's page in a real browser, used with the keyboard wherever a person could."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from hubbub.apps.hub.page import hub_routes
from hubbub.core.auth import AnonymousAccess, External
from hubbub.core.grants import Grant
from hubbub.core.handshake import ServerOptions
from hubbub.core.hub_config import HubConfig
from hubbub.core.hub_limits import HubLimits
from hubbub.core.rules import DEFAULT_RULES, Rule
from hubbub.transports.asyncio import HubServer, serve_hub
from support.chromium import Page, browsing
from support.contrast import least_contrast
from support.hub_peers import named, token_auth
from support.net import address

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RULES = (Rule(pattern="room.kept", presence=True, announce=True, history=100), *DEFAULT_RULES)
LIMITS = HubLimits(reconnect_spread=1000.0, drain_interval=0.01)
"""So long a wait that only `Try now` can end it."""

HOSTILE = "<img src=x onerror=alert(1)> <script>alert(2)</script> &amp; </li>"


def _config(**fields: Any) -> HubConfig:
    routes = hub_routes()
    # What a proxy passes on that has a prefix for the hub.
    options = ServerOptions(limits=LIMITS, routes={**routes, "/behind/a/prefix/": routes["/"]})
    everything: dict[str, Any] = {"auth": token_auth("grace"), **fields}
    return HubConfig(options=options, rules=RULES, **everything)


@asynccontextmanager
async def _hub(port: int = 0, **fields: Any) -> AsyncIterator[HubServer]:
    async with serve_hub(_config(**fields), "127.0.0.1", port) as server:
        yield server


def _url(server: HubServer, path: str = "") -> str:
    return f"http://127.0.0.1:{address(server)[1]}/{path}"


async def _write(page: Page, text: str) -> None:
    """Put a text where the keyboard writes, and press Enter."""
    await page.command("Input.insertText", text=text)
    await page.press("Enter")


async def _key(page: Page, key: str, number: int, modifiers: int = 0, text: str = "") -> None:
    for kind in ("keyDown" if text else "rawKeyDown", "keyUp"):
        await page.command(
            "Input.dispatchKeyEvent",
            type=kind,
            key=key,
            code=key,
            windowsVirtualKeyCode=number,
            modifiers=modifiers,
            text=text if kind == "keyDown" else "",
        )


async def _look(page: Page, *, dark: bool) -> None:
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    still = {"name": "prefers-reduced-motion", "value": "reduce"}
    await page.command("Emulation.setEmulatedMedia", features=[scheme, still])


async def _enter(page: Page, url: str, name: str) -> None:
    await page.open(url)
    await page.wait("document.activeElement?.id === 'name'")
    await _write(page, name)
    await _is(page, "online")
    await page.wait("document.querySelector('.view.in')")


async def _is(page: Page, state: str) -> None:
    await page.wait(f"document.body?.dataset.state === {json.dumps(state)}")


async def _click(page: Page, button: str) -> None:
    """Press the one button that has this text or label."""
    found = (
        "[...document.querySelectorAll('button')].filter(each => each.checkVisibility()"
        f" && (each.ariaLabel ?? each.innerText).trim() === {json.dumps(button)})"
    )
    assert await page.evaluate(f"{found}.length") == 1
    await page.evaluate(f"{found}[0].click()")


def _shown(words: str, within: str = ".bubble") -> str:
    """The condition that exactly one element in sight has this text, to the letter."""
    return (
        f"[...document.querySelectorAll({json.dumps(within)})].filter(each =>"
        f" each.checkVisibility() && each.textContent === {json.dumps(words)}).length === 1"
    )


def _told(words: str) -> str:
    """The condition that the last line between messages ends so."""
    return (
        f"[...document.querySelectorAll('.line')].at(-1)?.textContent.endsWith({json.dumps(words)})"
    )


async def _text(page: Page, identifier: str) -> str:
    found: str = await page.evaluate(f"document.getElementById('{identifier}').innerText")
    return found


async def test_a_conversation() -> None:
    """Two people talk by keyboard; each sees the other's words as text, and who is there."""
    async with _hub() as server, browsing() as ann, browsing() as bob:
        await _enter(ann, _url(server), "ann")
        await _enter(bob, _url(server, "behind/a/prefix/"), "bob")
        assert (await bob.evaluate("socket.url")).endswith("/behind/a/prefix/")
        await ann.wait(_told("bob joined"))
        await ann.wait("document.getElementById('here').textContent === ' · 2 people'")
        assert await ann.evaluate("document.activeElement?.id") == "box"
        await ann.type("one")
        await _key(ann, "Enter", 13, modifiers=8, text="\r")  # with Shift
        await ann.type("two")
        await ann.press("Enter")
        await bob.wait(_shown("one\ntwo"))
        await ann.wait(_shown("one\ntwo", ".mine:not(.sending) .bubble"))
        assert await ann.evaluate("document.getElementById('box').value") == ""
        await _write(bob, HOSTILE)
        await ann.wait(_shown(HOSTILE, ".said:not(.mine) .bubble"))
        await _write(bob, "see https://example.com/a?b=c. And https://me@example.com/")
        await ann.wait("document.querySelector('.bubble a')")
        links = "[...document.querySelectorAll('.bubble a')].map(each => [each.href, each.rel])"
        assert await ann.evaluate(links) == [
            ["https://example.com/a?b=c", "noopener noreferrer nofollow"]
        ]
        assert await ann.evaluate("document.querySelectorAll('.view img, .more').length") == 1
        assert await bob.evaluate("document.querySelectorAll('#people .row').length") == 2
        await _click(bob, "Sign out")
        await ann.wait(_told("bob left"))
        await bob.wait("document.activeElement?.id === 'name'")
        assert await bob.evaluate("document.getElementById('name').value") == "bob"
        assert ann.complaints == bob.complaints == []


async def test_rooms() -> None:
    """What is unread is counted; history is shown where it is kept; no more than 500 messages stay."""
    async with (
        _hub(anonymous=AnonymousAccess(write=("room.lobby", "room.kept"))) as server,
        named(server, "bob") as bob,
        browsing() as page,
    ):
        for number in range(60):
            await server.publish("room.kept", f"old {number}", sender="bob")
        await _enter(page, _url(server), "ann")
        await page.evaluate("document.getElementById('room').focus()")
        await _write(page, "#kept")
        await page.wait(_shown("old 59"))
        assert await page.evaluate("document.querySelectorAll('.said').length") == 50
        await bob.publish("room.lobby", "hello")
        await page.wait("document.title === '(1) #kept · hubbub'")
        await _key(page, "ArrowUp", 38, modifiers=1)  # with Alt
        await page.wait(_shown("hello"))
        assert await page.evaluate("document.title") == "#lobby · hubbub"
        assert "New" in await page.evaluate("document.querySelector('.rule').textContent")
        for number in range(520):
            await server.publish("room.lobby", f"line {number}", sender="bob")
        await page.wait(_shown("line 519"))
        assert await page.evaluate("document.querySelectorAll('.said').length") == 500
        at_end = "scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 2"
        at_end = f"(scroll => {at_end})(document.getElementById('scroll'))"
        await page.wait(at_end)
        await page.evaluate("document.getElementById('scroll').scrollTop = 500")
        await page.wait("!document.getElementById('newest').hidden")
        await bob.publish("room.lobby", {"not": "text"})
        await page.wait("document.getElementById('newest').innerText.trim() === '1 new'")
        await page.evaluate("document.getElementById('newest').click()")
        await page.wait(at_end)
        # What may not be written is told where it was written, and can be thrown away.
        await page.evaluate("document.getElementById('room').focus()")
        await _write(page, "quiet")
        await page.wait(_shown("Nothing here yet.", ".note b"))
        await _write(page, "may I?")
        await page.wait(_shown("You may not write here.", ".failed .fate span"))
        await _click(page, "Discard")
        assert not await page.evaluate("document.querySelector('.failed')")
        await page.evaluate("document.getElementById('room').focus()")
        await _write(page, "not*a*room")
        await page.wait("document.getElementById('no-room').innerText.includes('wildcard')")
        assert page.complaints == []


async def test_who_one_is() -> None:
    """A name that is taken is told kindly, and another one offered; a token opens direct messages."""
    async with _hub() as server, browsing() as page, AsyncExitStack() as stack:
        bob = await stack.enter_async_context(named(server, "bob"))
        await page.open(_url(server))
        await _write(page, "bob")
        await page.wait("document.getElementById('refused').innerText.includes('here already')")
        await _click(page, "Be “bob-2”")
        await page.wait(_shown("Nothing here yet.", ".note b"))
        assert (await _text(page, "me")).endswith("bob-2\nSign out")
        await page.command("Page.reload")
        await _is(page, "online")  # the same tab, the same name
        await _click(page, "Sign out")
        await page.wait("document.activeElement?.id === 'name'")
        await _click(page, "I have a token")
        await _write(page, "token-of-nobody")
        await page.wait("document.getElementById('refused').innerText.includes('not valid')")
        await _write(page, "token-grace")
        await _is(page, "online")
        await bob.subscribe("room.lobby")
        await page.wait("document.querySelectorAll('#people .row').length === 2")
        await page.evaluate("document.querySelector('#people button.row').click()")
        await page.wait("document.getElementById('title').innerText === 'bob'")
        await _write(page, "between us")
        direct = await bob.wait_for("direct")
        assert (direct["sender"], direct["message"]) == ("grace", "between us")
        await page.wait(_shown("between us", ".mine:not(.sending) .bubble"))
        await server.send_to("grace", "a reply", sender="bob")
        await page.wait(_shown("a reply"))
        await stack.aclose()
        await _write(page, "are you there?")
        await page.wait("document.querySelector('.failed .fate')")
        assert "bob is not connected" in await page.evaluate(
            "document.querySelector('.failed .fate').innerText"
        )
        await server.disconnect("grace", "be quiet")
        await _is(page, "stopped")
        assert "be quiet" in await _text(page, "banner")
        assert page.complaints == []


async def test_coming_back() -> None:
    """After a cut, what was said meanwhile comes once; after a restart, what may be missing is told."""
    async with browsing() as page:
        async with _hub() as server:
            port = address(server)[1]
            await _enter(page, _url(server, "#kept"), "ann")
            await server.publish("room.kept", "before", sender="bob")
            await page.wait(_shown("before"))
            await page.evaluate("Math.random = () => 1; socket.close()")
            await page.wait("document.body.dataset.state === 'waiting'")
            assert "Trying again in" in await _text(page, "banner")
            await server.publish("room.kept", "meanwhile", sender="bob")
            await _click(page, "Try now")
            await page.wait(_shown("meanwhile"))
            assert await page.evaluate(_shown("before"))
            assert not await page.evaluate("document.querySelector('.gap')")
        await page.wait("document.body.dataset.state === 'waiting'")
        assert "restarting" in await _text(page, "banner")
        await page.command("Input.insertText", text="written offline")
        assert await page.evaluate("document.getElementById('send').disabled")
        async with _hub(port) as server:
            await server.publish("room.kept", "in a new life", sender="bob")
            await _click(page, "Try now")
            await page.wait(_shown("in a new life"))
            assert await page.evaluate("document.querySelectorAll('.gap').length") == 1
            await page.press("Enter")
            await page.wait(_shown("written offline", ".mine:not(.sending) .bubble"))
        assert page.complaints == []


async def test_a_token_that_ends() -> None:
    """The page asks for a new one, and goes on where it was."""

    def authenticate(token: str) -> Grant:
        until = time.time() + 0.2 if token == "short" else None
        return Grant(user="ann", read=(">",), write=(">",), until=until)

    config = _config(auth=External())
    async with (
        serve_hub(config, "127.0.0.1", 0, authenticate=authenticate) as server,
        browsing() as page,
    ):
        await page.open(_url(server, "#kept"))
        await _click(page, "I have a token")
        await _write(page, "short")
        await page.wait("document.getElementById('notice').innerText.includes('has ended')")
        assert await page.evaluate("document.activeElement?.id") == "token"
        await server.publish("room.kept", "meanwhile", sender="bob")
        await _write(page, "long")
        await page.wait(_shown("meanwhile"))
        assert not await page.evaluate("document.querySelector('.gap')")
        assert page.complaints == []


async def test_it_can_be_read() -> None:
    """All text has a contrast of at least 4.5, in light and in dark, whoever chooses them."""
    paper = "getComputedStyle(document.body).backgroundColor"
    async with _hub() as server, named(server, "bob") as bob, browsing() as page:
        await _look(page, dark=True)
        await page.open(_url(server))
        assert await least_contrast(page) >= 4.5
        dark = await page.evaluate(paper)
        await _look(page, dark=False)
        await page.wait(f"{paper} !== {json.dumps(dark)}")  # the browser tells pages of it later
        assert await least_contrast(page) >= 4.5
        await _write(page, "ann")
        await page.wait("document.querySelector('.view.in')")
        await bob.subscribe("room.lobby")
        await bob.publish("room.lobby", "hello https://example.com/")
        await _write(page, "hello you")
        await page.wait(_shown("hello you", ".mine:not(.sending) .bubble"))
        await page.evaluate("pushes.gap({topic: 'room.lobby', missed: 3})")
        await server.publish("room.lobby", "an announcement")
        await page.wait(_shown("an announcement"))
        assert await least_contrast(page) >= 4.5
        await _click(page, "Dark colours")
        await page.wait(f"{paper} === {json.dumps(dark)}")
        assert await least_contrast(page) >= 4.5
        await page.command("Page.reload")
        await _is(page, "online")
        assert await page.evaluate(paper) == dark
        assert page.complaints == []


async def test_a_small_screen() -> None:
    """Nothing is wider than a phone, however long names and words are; keys open and close drawers."""
    width = 320
    async with _hub() as server, named(server, "x" * 64) as other, browsing() as page:
        await page.look(width=width, height=600)
        await page.open(_url(server))
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        await _enter(page, _url(server), "w" * 64)
        await other.subscribe("room.lobby")
        await other.publish("room.lobby", "y" * 500)
        await page.wait(_shown("y" * 500))
        wide = (
            "[...document.querySelectorAll('#house *')].filter(each => each.checkVisibility()"
            " && !each.closest('.cut') && each.getBoundingClientRect().right > innerWidth + .5).map(each => each.outerHTML)"
        )
        assert await page.evaluate(wide) == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        for name, button in (("rooms", "Rooms"), ("people", "People")):
            await page.evaluate(f"document.querySelector('.icon[aria-label={button}]').focus()")
            await page.press("Enter")
            await page.wait(f"document.querySelector('#{name}:popover-open')")
            assert await page.evaluate(wide) == []
            await page.press("Tab")
            inside = f"document.activeElement.closest('#{name}') !== null"
            assert await page.evaluate(inside)
            await _key(page, "Escape", 27)
            await page.wait(f"!document.querySelector('#{name}:popover-open')")
            assert await page.evaluate("document.activeElement.ariaLabel") == button
        assert page.complaints == []
