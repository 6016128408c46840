"""The echo server: every message comes back. Conformance suites and benchmarks talk to it."""

from ..transports.server_connection import ServerConnection

__all__ = ["echo"]


async def echo(connection: ServerConnection) -> None:
    """Send each message back as it came, text as text and bytes as bytes."""
    async for message in connection:
        await connection.send(message)
