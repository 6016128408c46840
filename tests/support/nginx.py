"""A real nginx in front of a server under test."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from run import find_nginx

from support.certificates import Certificate

STOPPING = 10.0
"""Seconds that it may take to end, at most."""

CONFIGURATION = """
daemon off;
worker_processes 1;
worker_shutdown_timeout 200ms;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
{user}
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    listen 127.0.0.1:{secure_port} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    location / {{
      proxy_pass http://{upstream};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      {lines}
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """One that runs, with a port for ws and one for wss."""

    process: subprocess.Popen[bytes]
    port: int
    secure_port: int
    errors: Path

    def url(self, *, secure: bool, path: str = "/") -> str:
        """Where a client finds the server behind it."""
        if secure:
            return f"wss://127.0.0.1:{self.secure_port}{path}"
        return f"ws://127.0.0.1:{self.port}{path}"

    def origin(self, *, secure: bool) -> str:
        """The origin of a page that came from there."""
        return self.url(secure=secure, path="").replace("ws", "http", 1)

    def reload(self) -> None:
        """Read the configuration again: new workers, and the old ones end in a moment."""
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """End at once."""
        self.process.send_signal(signal.SIGTERM)

    def quit(self) -> None:
        """End when the connections do, or in a moment."""
        self.process.send_signal(signal.SIGQUIT)


@contextmanager
def nginx(
    upstream: str, folder: Path, certificate: Certificate, *lines: str, host: bool = True
) -> Iterator[Nginx]:
    """Run nginx before a server, until the block ends.

    Where it is missing the test is skipped, and fails where CI is set.

    Args:
        upstream: `address:port`, or `unix:` and a path.
        folder: for its files.
        certificate: for wss.
        lines: more of its configuration, for what it passes on.
        host: whether the server is told the host that the client asked for.
    """
    program = find_nginx()
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("nginx is missing; CI needs it")
        pytest.skip("nginx is missing")
    if host:
        lines = ("proxy_set_header Host $http_host;", *lines)
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    port, secure_port = (sock.getsockname()[1] for sock in listening)
    (folder / "nginx.conf").write_text(
        CONFIGURATION.format(
            folder=folder,
            # Its workers may enter the folders of the tests only as whoever made them.
            user="user root;" if os.geteuid() == 0 else "",
            port=port,
            secure_port=secure_port,
            certificate=certificate.certificate,
            key=certificate.key,
            upstream=upstream,
            lines="\n".join(lines),
        )
    )
    errors = folder / "error.log"
    # It is given sockets that listen already, as at an upgrade: so nobody else can take its ports,
    # and nobody needs to wait for it.
    numbers = [sock.fileno() for sock in listening]
    process = subprocess.Popen(
        [program, "-p", folder, "-e", errors, "-c", folder / "nginx.conf"],
        env={**os.environ, "NGINX": "".join(f"{number};" for number in numbers)},
        pass_fds=numbers,
        stdin=subprocess.DEVNULL,
    )
    for sock in listening:
        sock.close()
    try:
        yield Nginx(process, port, secure_port, errors)
    finally:
        process.terminate()
        try:
            process.wait(STOPPING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
