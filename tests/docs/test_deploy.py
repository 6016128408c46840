"""The page on deploying is true: its configuration of nginx, and what each line of it is for."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from run import find_nginx

from hubbub.transports.asyncio import unix_connect
from hubbub.transports.exceptions import InvalidStatus
from support.certificates import Certificate, make_certificate
from support.net import Connection, Net
from support.tree import ROOT

PAGE = (ROOT / "docs" / "howto" / "deploy.md").read_text()
(CONFIGURATION,) = re.findall("```nginx\n(.*?)```", PAGE, re.DOTALL)

AROUND = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
{user}
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
{configuration}
}}
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for localhost."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@contextmanager
def deployed(folder: Path, certificate: Certificate, without: str = "") -> Iterator[str]:
    """Run nginx as the page says, on a free port; where it is reached."""
    program = find_nginx()
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("nginx is missing; CI needs it")
        pytest.skip("nginx is missing")
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    configuration = CONFIGURATION
    for old, new in (
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("/run/hubbub/chat.sock", f"{folder}/chat.sock"),
        ("/etc/nginx/fullchain.pem", str(certificate.certificate)),
        ("/etc/nginx/key.pem", str(certificate.key)),
    ):
        assert configuration.count(old) == 1
        configuration = configuration.replace(old, new)
    if without:
        configuration, count = re.subn(f".*{re.escape(without)}.*\n", "", configuration)
        assert count == 1
    user = "user root;" if os.geteuid() == 0 else ""
    file = folder / "nginx.conf"
    file.write_text(AROUND.format(folder=folder, user=user, configuration=configuration))
    # It is given a socket that listens already, so nobody needs to wait for it.
    with subprocess.Popen(
        [program, "-p", folder, "-e", folder / "error.log", "-c", file],
        env={**os.environ, "NGINX": f"{listening.fileno()};"},
        pass_fds=[listening.fileno()],
    ) as process:
        listening.close()
        try:
            yield f"wss://127.0.0.1:{port}/"
        finally:
            process.terminate()


async def who(connection: Connection) -> None:
    """Tell a client its address."""
    await connection.send(repr(connection.remote_address))


def through(net: Net, url: str, certificate: Certificate, **keywords: Any) -> Any:
    """A client that stands elsewhere than nginx."""
    context = certificate.client_context()
    return net.connect(url, proxy=None, local_addr=("127.0.0.2", 0), ssl=context, **keywords)


async def test_the_configuration_of_the_page(
    net: Net, certificate: Certificate, tmp_path: Path
) -> None:
    """A page of the public host gets through, and the server knows the client's address."""
    serving = net.unix_serve(who, tmp_path / "chat.sock", trusted_proxies=["unix"])
    async with serving:
        with deployed(tmp_path, certificate) as url:
            origin = url.replace("wss", "https").rstrip("/")
            async with through(net, url, certificate, origin=origin) as connection:
                assert await connection.recv() == "('127.0.0.2', 0)"


@pytest.mark.parametrize(
    ("line", "status"),
    [("proxy_http_version", 400), ("Upgrade", 400), ("Connection", 400), ("Host", 403)],
)
async def test_a_line_that_is_missing(
    net: Net, certificate: Certificate, tmp_path: Path, line: str, status: int
) -> None:
    """Without one of its lines a request is refused as the page says."""
    without = line if "_" in line else f"proxy_set_header {line}"
    async with net.unix_serve(who, tmp_path / "chat.sock", trusted_proxies=["unix"]):
        with deployed(tmp_path, certificate, without) as url:
            origin = url.replace("wss", "https").rstrip("/")
            with pytest.raises(InvalidStatus) as told:
                async with through(net, url, certificate, origin=origin):
                    pass
    assert told.value.response.status == status


async def test_the_address_is_not_told(net: Net, certificate: Certificate, tmp_path: Path) -> None:
    """Without `X-Forwarded-For` nothing is known of the client."""
    async with net.unix_serve(who, tmp_path / "chat.sock", trusted_proxies=["unix"]):
        with deployed(tmp_path, certificate, "X-Forwarded-For") as url:
            async with through(net, url, certificate) as connection:
                assert await connection.recv() == "''"


def served_as_by_systemd(path: Path) -> subprocess.Popen[bytes]:
    """Listen on a path, and start a server that has the socket as its descriptor 3."""
    (block,) = re.findall("```python\n(import socket\n.*?)```", PAGE, re.DOTALL)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        program = f"""
import asyncio
import os

from hubbub.transports.asyncio import serve

os.dup2({listening.fileno()}, 3)
{block}

async def main():
    done = asyncio.Event()

    async def who(connection):
        await connection.send("hello")
        done.set()

    async with serve(who, sock=handed_over(), trusted_proxies=["unix"]):
        await done.wait()


asyncio.run(main())
"""
        return subprocess.Popen(
            [sys.executable, "-c", program], pass_fds=[listening.fileno()], cwd=path.parent
        )


async def test_a_socket_that_was_handed_over(tmp_path: Path) -> None:
    """It is served as the page says, and its path stays."""
    path = tmp_path / "chat.sock"
    process = served_as_by_systemd(path)
    try:
        async with unix_connect(path) as connection:
            assert await connection.recv() == "hello"
        assert process.wait(20) == 0
        assert path.exists()
    finally:
        process.kill()
        process.wait()
