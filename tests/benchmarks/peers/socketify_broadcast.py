"""On uWebSockets, through `socketify`: what anyone says is published to a topic that all take.

It runs uWebSockets' own loop. `App.run` would turn asyncio's beside it and poll both, which costs
CPU time while nothing happens.
"""

import importlib
from typing import Any

# It has no type hints.
socketify: Any = importlib.import_module("socketify")

TOPIC = "all"


def main() -> None:
    """Serve until the process is ended."""
    app = socketify.App()

    def opened(connection: Any) -> None:
        connection.subscribe(TOPIC)

    def publish(connection: Any, message: str, opcode: Any) -> None:
        app.publish(TOPIC, message, opcode)

    def listening(options: Any) -> None:
        print(f"socketify broadcast listens on ws://127.0.0.1:{options.port}/", flush=True)

    behaviour = {
        "compression": socketify.CompressOptions.DISABLED,
        "send_pings_automatically": True,
        "open": opened,
        "message": publish,
    }
    app.ws("/*", behaviour)
    app.listen(socketify.AppListenOptions(port=0, host="127.0.0.1"), listening)
    app.loop.uv_loop.run()


if __name__ == "__main__":
    main()
