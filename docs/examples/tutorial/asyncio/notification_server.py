"""Topics to subscribe to and to publish on. Give it a port and the seconds between heartbeats."""

import asyncio
import contextlib
import json
import sys
from datetime import UTC, datetime

from hubbub.transports.asyncio import Message, ServerConnection, broadcast, serve

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8765
HEARTBEAT = float(sys.argv[2]) if len(sys.argv) > 2 else 30.0

topics: dict[str, set[ServerConnection]] = {}


def notify(topic: str, message: object) -> int:
    """Tell a topic's subscribers, without waiting; how many of them will get it."""
    fields = {"type": "notification", "topic": topic, "message": message}
    text = json.dumps({**fields, "timestamp": datetime.now(UTC).isoformat()})
    subscribers = topics.get(topic, set())
    skipped = broadcast(subscribers, text)
    for slow in skipped:
        slow.close_soon(4008, "too slow")
    return len(subscribers) - len(skipped)


def answer(connection: ServerConnection, message: Message) -> dict[str, object]:
    """Do what a message asks for."""
    with contextlib.suppress(ValueError):  # no JSON
        match json.loads(message):
            case {"action": "subscribe", "topics": [*names]} if all(
                isinstance(name, str) for name in names
            ):
                for name in names:
                    topics.setdefault(name, set()).add(connection)
                return {"type": "subscribed", "topics": names}
            case {"action": "publish", "topic": str(topic), "message": content}:
                count = notify(topic, content)
                return {"type": "published", "topic": topic, "recipients": count}
    return {"type": "error", "message": "use the actions subscribe and publish"}


async def handle(connection: ServerConnection) -> None:
    """One peer's requests, and its end."""
    try:
        async for message in connection:
            await connection.send(json.dumps(answer(connection, message)))
    finally:
        for name, subscribers in list(topics.items()):
            subscribers.discard(connection)
            if not subscribers:
                del topics[name]


async def heartbeat() -> None:
    """Tell those who watch the system that it is there."""
    while True:
        await asyncio.sleep(HEARTBEAT)
        notify("system", "heartbeat: all is well")


async def main() -> None:
    async with serve(handle, "localhost", PORT) as server, asyncio.TaskGroup() as tasks:
        print(f"notifications at ws://localhost:{server.sockets[0].getsockname()[1]}")
        tasks.create_task(heartbeat())
        await server.serve_forever()


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
