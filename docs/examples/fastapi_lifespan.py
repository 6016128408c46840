"""hubbub beside FastAPI: who connects over WebSocket hears what is posted over HTTP.

    uvicorn fastapi_lifespan:app

HTTP is uvicorn's, on its port. The WebSockets have one of their own, 8765, or what WS_PORT says.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from pydantic import BaseModel

from hubbub.transports.asyncio import Server, ServerConnection, broadcast, serve

PORT = int(os.environ.get("WS_PORT", "8765"))

# To a browser another port is another origin: pages of the app must be let in.
ORIGINS = ["http://localhost:8000", "http://127.0.0.1:8000"]


async def listen(connection: ServerConnection) -> None:
    """A peer only listens. Its messages are taken all the same, or it could not leave."""
    async for _ in connection:
        pass


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with serve(listen, "localhost", PORT, origins=ORIGINS) as server:
        print(f"WebSockets at ws://localhost:{server.sockets[0].getsockname()[1]}", flush=True)
        app.state.websockets = server
        yield
    # every peer was told 1001, and every handler has returned


app = FastAPI(lifespan=lifespan)


class News(BaseModel):
    text: str


@app.post("/news")
async def publish(news: News) -> dict[str, int]:
    """Tell everyone. `async def` keeps it in the loop's thread, as `broadcast` needs it."""
    server: Server = app.state.websockets
    peers = server.connections
    skipped = broadcast(peers, news.text)
    return {"told": len(peers) - len(skipped)}
