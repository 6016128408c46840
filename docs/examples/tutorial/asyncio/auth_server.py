"""A server that wants a token first. Run it with a port, or on 8765."""

import asyncio
import contextlib
import json
import secrets
import sys

from hubbub.transports.asyncio import Message, ServerConnection, serve

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8765
PATIENCE = 5.0

# Yours are in a database, with an end to each.
USERS = {"demo-token-of-alice": "alice", "demo-token-of-bob": "bob"}


def user_of(message: Message) -> str | None:
    """Whose token is in a message like {"token": "…"}; None if there is no good one."""
    with contextlib.suppress(ValueError):  # no JSON, or no Unicode
        match json.loads(message):
            case {"token": str(token)}:
                for known, user in USERS.items():
                    # How long a wrong token takes tells nothing about the right one.
                    if secrets.compare_digest(token.encode(), known.encode()):
                        return user
    return None


async def authenticate(connection: ServerConnection) -> str | None:
    """Take the first message, if it comes in time, and answer it."""
    user, problem = None, "Authentication timeout"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            user, problem = user_of(await connection.recv()), "Invalid token"
    result = {"status": "ok", "username": user} if user else {"status": "error", "message": problem}
    await connection.send(json.dumps({"type": "auth", **result}))
    return user


async def secure(connection: ServerConnection) -> None:
    """Echo, for those we know."""
    user = await authenticate(connection)
    if user is None:
        await connection.close(1008, "Authentication failed")
        return
    print(user, "is authenticated")
    async for message in connection:
        await connection.send(f"[{user}] {message!s}")


async def main() -> None:
    async with serve(secure, "localhost", PORT) as server:
        print(f"secure server at ws://localhost:{server.sockets[0].getsockname()[1]}")
        await server.serve_forever()


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
