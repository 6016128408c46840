"""hubbub in an event loop of your own: a whole adapter on the standard library's selectors."""

import os
import socket
import time
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector

from hubbub import core


class Connection:
    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.unsent = sock, b""
        sock.setblocking(False)
        self.ws = core.WebSocket(core.ServerOptions(), now=time.monotonic(), entropy=os.urandom)

    def read(self, now: float) -> None:
        try:
            data = self.sock.recv(65536)
            self.ws.receive_data(data, now) if data else self.ws.receive_eof(now)
        except OSError:
            self.ws.connection_lost(now)

    def handle_events(self, now: float) -> None:
        while not self.ws.write_paused and (event := self.ws.next_event()) is not None:
            match event:
                case core.Requested():
                    self.ws.accept(now)
                case core.TextMessage(message) | core.BinaryMessage(message) if self.ws.can_send:
                    self.ws.send(message, now)  # your program goes here

    def write(self, now: float) -> None:
        self.handle_events(now)
        try:
            while self.unsent or (taken := self.ws.data_to_send(now)):
                self.unsent = self.unsent or b"".join(taken)
                self.unsent = self.unsent[self.sock.send(self.unsent) :]
                self.handle_events(now)  # there may be room for more answers
            if self.ws.end is core.End.HALF_CLOSE:
                self.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            self.ws.handle_timeout(now)  # it tells the machine the time, as data_to_send does
        except OSError:
            self.ws.connection_lost(now)

    def wanted(self) -> int:
        if self.ws.end is core.End.CLOSE:
            self.sock.close()
            return 0
        return EVENT_READ * self.ws.wants_read | EVENT_WRITE * bool(self.unsent)


def serve(port: int) -> None:
    selector, deadlines = DefaultSelector(), core.Deadlines[Connection]()
    listener = socket.create_server(("127.0.0.1", port))
    selector.register(listener, EVENT_READ)
    print(f"ws://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
    while True:
        due = deadlines.next()
        ready = selector.select(None if due is None else max(0.0, due - time.monotonic()))
        now = time.monotonic()
        for connection in (touched := deadlines.due(now)):
            connection.ws.handle_timeout(now)
        for key, mask in ready:
            connection = key.data or Connection(listener.accept()[0])
            if key.data and mask & EVENT_READ:
                connection.read(now)
            touched.append(connection)
        for connection in dict.fromkeys(touched):
            connection.write(now)
            if connection.sock in selector.get_map():
                selector.unregister(connection.sock)
            if wanted := connection.wanted():
                selector.register(connection.sock, wanted, connection)
            deadlines.set(connection, connection.ws.next_timeout())


serve(int(os.environ.get("PORT", "8765")))
