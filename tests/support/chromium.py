"""Chromium, driven over its DevTools protocol: one page, a keyboard, and everything it complains of."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from run import BROWSERS
from websockets.asyncio.client import ClientConnection, connect

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--no-proxy-server", "--remote-debugging-port=0"),
)

STARTING = 30.0
WAITING = 25.0
"""Seconds, at most."""

KEYS = {"Enter": ("Enter", 13, "\r"), "Tab": ("Tab", 9, "")}
"""Keys that write no letter: their code, their number, what they write."""


class Page:
    """One open page."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers: Iterator[int] = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._session: str | None = None
        self.complaints: list[str] = []
        """Errors and warnings: of scripts, of the console, of the network, of the content policy."""

    async def listen(self) -> None:
        """Hand on what the browser says, until it is closed."""
        async for message in self._connection:
            said = json.loads(message)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            else:
                self._note(said["method"], said["params"])

    def _note(self, method: str, said: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = said["exceptionDetails"]
            thrown = details.get("exception", {}).get("description", "")
            self.complaints.append(f"{details['text']} {thrown}")
        elif method == "Runtime.consoleAPICalled" and said["type"] in {"error", "warning"}:
            self.complaints.append(str([each.get("value") for each in said["args"]]))
        elif method == "Log.entryAdded" and said["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(said["entry"]["text"])

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give one command of the protocol; its result."""
        number = next(self._numbers)
        order: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            order["sessionId"] = self._session
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._connection.send(json.dumps(order))
        said = await asyncio.wait_for(answer, WAITING)
        assert "error" not in said, said["error"]
        result: dict[str, Any] = said["result"]
        return result

    async def begin(self) -> None:
        """Make the page, and listen to its complaints."""
        target = await self.command("Target.createTarget", url="about:blank")
        attached = await self.command(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self.command(f"{domain}.enable")

    async def open(self, url: str) -> None:
        """Load a page."""
        loaded = await self.command("Page.navigate", url=url)
        assert "errorText" not in loaded, loaded
        await self.wait("document.readyState === 'complete'")

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = await self.command(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def wait(self, condition: str, seconds: float = WAITING) -> None:
        """Wait until an expression is true in the page; look again every few milliseconds."""
        try:
            async with asyncio.timeout(seconds):
                while not await self.evaluate(f"Boolean({condition})"):  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.02)
        except TimeoutError:
            page = await self.evaluate("document.body.innerText")
            raise AssertionError(f"never true: {condition}; the page says:\n{page}") from None

    async def type(self, text: str) -> None:
        """Press the keys of a text, one by one."""
        for letter in text:
            await self.command("Input.dispatchKeyEvent", type="keyDown", text=letter, key=letter)
            await self.command("Input.dispatchKeyEvent", type="keyUp", key=letter)

    async def press(self, key: str) -> None:
        """Press a key that writes no letter."""
        code, number, text = KEYS[key]
        known = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        down = "keyDown" if text else "rawKeyDown"
        await self.command("Input.dispatchKeyEvent", type=down, text=text, **known)
        await self.command("Input.dispatchKeyEvent", type="keyUp", **known)

    async def look(self, *, width: int, height: int, dark: bool = False) -> None:
        """Show the page in a window of this size, in light or dark colours."""
        await self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.command("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self) -> bytes:
        """What is seen now, as PNG."""
        return base64.b64decode((await self.command("Page.captureScreenshot"))["data"])


@asynccontextmanager
async def browsing() -> AsyncIterator[Page]:
    """Start Chromium with a profile of its own, and open an empty page."""
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    assert found, "Chromium is missing"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            found[0],
            *FLAGS,
            f"--user-data-dir={profile}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            address = await _address(Path(profile, "DevToolsActivePort"), process)
            async with connect(
                address, max_size=None, ping_interval=None, proxy=None
            ) as connection:
                page = Page(connection)
                listening = asyncio.create_task(page.listen())
                await page.begin()
                yield page
                await connection.close()
                await listening
        finally:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), WAITING)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _address(file: Path, process: asyncio.subprocess.Process) -> str:
    """Where the browser listens, which it writes to a file as soon as it does."""
    async with asyncio.timeout(STARTING):
        while True:
            assert process.returncode is None, "Chromium ended at once"
            port, _, path = _read(file).partition("\n")
            if path:
                return f"ws://127.0.0.1:{port}{path.strip()}"
            await asyncio.sleep(0.02)


def _read(file: Path) -> str:
    return file.read_text() if file.exists() else ""
