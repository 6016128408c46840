"""A chat: what one says, all get. Run it with a port, or on 8765."""

import asyncio
import contextlib
import itertools
import json
import sys
from datetime import UTC, datetime

from hubbub.transports.asyncio import ServerConnection, broadcast, serve

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8765

present: set[ServerConnection] = set()
numbers = itertools.count(1)


def tell(**fields: str) -> None:
    """Send to everyone who is present, and wait for nobody: who does not keep up has to go."""
    text = json.dumps({**fields, "timestamp": datetime.now(UTC).isoformat()})
    for slow in broadcast(present, text):
        slow.close_soon(4008, "too slow")


async def chat(connection: ServerConnection) -> None:
    """One member's stay."""
    name = f"User-{next(numbers)}"
    tell(type="system", message=f"{name} joined the chat")
    present.add(connection)
    print(f"{name} joined; {len(present)} present")
    try:
        async for message in connection:
            if isinstance(message, bytes):
                await connection.close(1003, "text only")
                break
            tell(type="chat", sender=name, message=message)
    finally:
        present.remove(connection)
        tell(type="system", message=f"{name} left the chat")
        print(f"{name} left; {len(present)} present")


async def main() -> None:
    async with serve(chat, "localhost", PORT) as server:
        print(f"chat at ws://localhost:{server.sockets[0].getsockname()[1]}")
        await server.serve_forever()


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
