"""A hub for the benchmarks: `serve_hub` with tokens, and topics of each kind.

Raised are only the limits that would stop a load generator, because it comes from one address and says
more than a person: connections of one address and of all, those that open at once, and the rate of
requests, unless `--default-rates` leaves that as it is. Lowered is what is kept in memory of durable
topics, so that a resume reads the store. Keepalive is off unless asked for: a load generator that reads
ready bytes answers no pings.

What a topic does is told by its first token: `room`, `feed` (no history, who is too slow is closed),
`lossy` (drop-oldest), `kept` (history in memory) and `durable` (history in the store, if there is one).
A token is the user's name with `token-` before it.
A `call` of `counters` answers with what hub and store have counted, and how many sessions ended with
which close code.
"""

import argparse
import asyncio
import gc
import importlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from hubbub.core.auth import External
from hubbub.core.grants import Grant
from hubbub.core.handshake import ServerOptions
from hubbub.core.hub_config import HubConfig
from hubbub.core.hub_events import HubEvent, Left
from hubbub.core.hub_limits import HubLimits
from hubbub.core.records import Acknowledged, Record
from hubbub.core.rules import Rule
from hubbub.transports.hooks import Calling, Hooks
from hubbub.transports.stores.sqlite import SQLiteStore

MANY = 1_000_000
EVERYTHING = (">",)
KEPT = 200_000
"""Publications that a topic with history keeps."""
IN_MEMORY = 100
"""Publications of a durable topic that are not read from the store."""

RULES = (
    Rule(pattern="room.>", presence=True, announce=True),
    Rule(pattern="feed.>"),
    Rule(pattern="lossy.>", slow="drop-oldest"),
    Rule(pattern="kept.>", history=KEPT),
    Rule(pattern="durable.>", history=KEPT, durable=True),
)


class OneByOne(SQLiteStore):
    """A store with one commit for each publication."""

    async def append(self, records: Sequence[Record], acknowledged: Sequence[Acknowledged]) -> None:
        for record in records:
            await super().append([record], [])
        if acknowledged:
            await super().append([], acknowledged)


def config_of(options: argparse.Namespace) -> HubConfig:
    """Return the configuration."""
    limits = HubLimits(
        max_connections=100_000,
        max_connections_per_address=100_000,
        max_opening=20_000,
        max_opening_per_address=20_000,
        durable_memory=IN_MEMORY,
        ping_interval=options.ping_interval,
    )
    if not options.default_rates:
        limits = msgspec.structs.replace(limits, request_rate=MANY, request_burst=MANY)
    return HubConfig(
        options=ServerOptions(limits=limits), rules=RULES, anonymous=None, auth=External()
    )


def authenticate(token: str) -> Grant | None:
    """Return what a token grants. Each session has a grant of its own, as with signed tokens."""
    name = token.removeprefix("token-")
    return None if name == token else Grant(user=name, read=EVERYTHING, write=EVERYTHING)


async def main(transport: Any, options: argparse.Namespace) -> None:
    """Serve until the process is ended; the transports have the same names."""
    kind = OneByOne if options.one_by_one else SQLiteStore
    store = None if options.store is None else kind(options.store)
    left: Counter[int] = Counter()
    hooks = Hooks()

    def note(event: HubEvent) -> None:
        if isinstance(event, Left):
            left[event.code] += 1

    @hooks.on_call("counters")
    def counters(_: Calling) -> object:
        return {
            **msgspec.structs.asdict(server.hub.counters),
            "left": {str(code): count for code, count in left.items()},
            "commits": 0 if store is None else store.counters.commits,
        }

    config = config_of(options)
    # As the command line does.
    gc.collect()
    gc.freeze()
    made = transport.serve_hub(
        config,
        "127.0.0.1",
        0,
        authenticate=authenticate,
        hooks=hooks,
        store=store,
        on_event=note,
    )
    async with made as server:
        port = server.sockets[0].getsockname()[1]
        print(f"hubbub hub listens on ws://127.0.0.1:{port}/", flush=True)
        await server.serve_forever()


def run() -> None:
    """Serve on the chosen loop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transport", choices=["asyncio", "trio"], default="asyncio")
    parser.add_argument("--store", help="a file for durable topics")
    parser.add_argument("--one-by-one", action="store_true", help="a commit for each publication")
    parser.add_argument("--ping-interval", type=float, help="seconds; without it there are none")
    parser.add_argument("--default-rates", action="store_true", help="leave the limit of requests")
    options = parser.parse_args()
    module = importlib.import_module(f"hubbub.transports.{options.transport}")
    if options.transport == "trio":
        import trio

        trio.run(main, module, options)
    else:
        asyncio.run(main(module, options))


if __name__ == "__main__":
    run()
