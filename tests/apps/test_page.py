"""The chat's page in a real browser, used with the keyboard."""

from __future__ import annotations

import json

import pytest

from support.chromium import Page, browsing
from support.contrast import least_contrast
from support.programs import Program, running, serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ITEMS = "[...document.querySelectorAll('#log li')].map(item => item.innerText)"


async def _joined(page: Page, program: Program) -> None:
    await page.open(program.url)
    await page.wait("document.getElementById('state').textContent === 'connected'")


def _shown(words: str) -> str:
    """The condition that an item shows these words, to the letter."""
    wanted = json.dumps(words)
    return f"[...document.querySelectorAll('#log li')].some(i => i.textContent.includes({wanted}))"


async def test_a_conversation() -> None:
    """What is typed is sent and shown; what others say is shown as text, never as markup."""
    hostile = "<img src=x onerror=alert(1)> <b>bold</b> &amp; </li>"
    async with serving("chat") as program, browsing() as page:
        await _joined(page, program)
        async with program.client() as other:
            await page.wait(_shown("User-2 joined the chat"))
            await page.type("Grüße from a browser")
            await page.press("Enter")
            said = json.loads(await other.recv())
            assert (said["sender"], said["message"]) == ("User-1", "Grüße from a browser")
            await page.wait(_shown("User-1"))
            await page.wait(_shown("Grüße from a browser"))
            assert await page.evaluate("document.getElementById('text').value") == ""
            assert await page.evaluate("document.activeElement.id") == "text"
            await other.send(hostile)
            await page.wait(_shown(hostile))
            assert (
                await page.evaluate("document.querySelectorAll('#log img, #log li li').length") == 0
            )
            await page.type("   ")
            await page.press("Enter")
            await page.type("not empty")
            await page.press("Enter")
            assert json.loads(await other.recv())["message"] == hostile
            assert json.loads(await other.recv())["message"] == "   not empty"
        await page.wait(_shown("User-2 left the chat"))
        assert page.complaints == []


async def test_the_connection_comes_back() -> None:
    """The page says when the connection is lost, and joins again when the server is back."""
    async with browsing() as page:
        async with serving("chat") as program:
            await _joined(page, program)
            assert page.complaints == []
            port = str(program.port)
            program.process.kill()
            await page.wait("document.getElementById('state').className === 'off'")
            state = await page.evaluate("document.getElementById('state').textContent")
            assert "lost" in state
            assert await page.evaluate("document.getElementById('send').disabled")
            await page.type("written meanwhile")
            await page.press("Enter")
            assert (
                await page.evaluate("document.getElementById('text').value") == "written meanwhile"
            )
        async with running("serve", "chat", "--port", port) as program:
            await page.wait("document.getElementById('state').className === 'on'", 20)
            await page.press("Enter")
            await page.wait(_shown("written meanwhile"))
        # That nothing listened is Chromium's complaint, not the page's.
        assert [each for each in page.complaints if "ERR_CONNECTION_REFUSED" not in each] == []


async def test_many_messages() -> None:
    """The newest message is in sight, unless the reader has scrolled back; old ones are dropped."""
    at_end = "log.scrollHeight - log.scrollTop - log.clientHeight < 2"
    async with serving("chat") as program, browsing() as page:
        await _joined(page, program)
        async with program.client() as other:
            for number in range(600):
                await other.send(f"message {number}")
                await other.recv()
            await page.wait(_shown("message 599"))
            await page.wait(at_end)
            assert await page.evaluate("log.children.length") <= 500
            await page.evaluate("log.scrollTop = 100")
            await other.send("the last one")
            await other.recv()
            await page.wait(_shown("the last one"))
            assert not await page.evaluate(at_end)
        assert page.complaints == []


@pytest.mark.parametrize("width", [320, 1200])
async def test_it_fits(width: int) -> None:
    """On a phone and on a desk, all is in the window, however long a word is; keys reach all."""
    async with serving("chat") as program, browsing() as page:
        await page.look(width=width, height=700)
        await _joined(page, program)
        async with program.client() as other:
            await other.send("x" * 2000)
            await page.wait(_shown("x" * 2000))
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        for name in ("text", "send", "state"):
            box = await page.evaluate(
                f"document.getElementById('{name}').getBoundingClientRect().toJSON()"
            )
            assert box["left"] >= 0
            assert box["right"] <= width
            assert box["top"] >= 0
            assert box["bottom"] <= 700
        reached = set()
        for _ in range(4):
            reached.add(await page.evaluate("document.activeElement.id"))
            await page.press("Tab")
        assert reached >= {"text", "send", "log"}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_it_can_be_read(dark: bool) -> None:
    """All text has a contrast of at least 4.5 to what is behind it."""
    async with serving("chat") as program, browsing() as page:
        await page.look(width=1200, height=700, dark=dark)
        await _joined(page, program)
        async with program.client() as other:
            await other.send("hello")
            await page.wait(_shown("hello"))
            await page.wait(_shown("joined"))
            assert await least_contrast(page) >= 4.5
