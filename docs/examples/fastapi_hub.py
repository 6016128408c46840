"""A hub beside FastAPI: who subscribes to `news.…` over WebSocket hears what is posted over HTTP.

    uvicorn fastapi_hub:app

HTTP is uvicorn's, on its port. The hub has one of its own, 8765, or what WS_PORT says.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel

from hubbub.core import (
    AnonymousAccess,
    HubConfig,
    HubLimits,
    LocalProtocolError,
    Rule,
    ServerOptions,
)
from hubbub.transports.asyncio import HubServer, serve_hub

PORT = int(os.environ.get("WS_PORT", "8765"))

CONFIG = HubConfig(
    # To a browser another port is another origin: pages of the app must be let in.
    options=ServerOptions(
        limits=HubLimits(), origins=("http://localhost:8000", "http://127.0.0.1:8000")
    ),
    # Everybody may listen, and only the app says something.
    anonymous=AnonymousAccess(read=("news.>",), write=()),
    rules=(Rule(pattern="news.>", history=100),),
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with serve_hub(CONFIG, "localhost", PORT) as server:
        print(f"WebSockets at ws://localhost:{server.sockets[0].getsockname()[1]}", flush=True)
        app.state.hub = server
        yield
    # what waited was sent, and every client was told when to come back


app = FastAPI(lifespan=lifespan)


class News(BaseModel):
    message: Any


@app.post("/news/{topic}")
async def publish(topic: str, news: News, request: Request) -> dict[str, int | None]:
    """Tell who listens. `async def` keeps it in the loop's thread, where the hub is."""
    server: HubServer = request.app.state.hub
    try:
        published = await server.publish(f"news.{topic}", news.message)
    except LocalProtocolError as error:  # no topic
        raise HTTPException(422, str(error)) from error
    return {"recipients": published.recipients, "offset": published.offset}
