"""A hub in an event loop of your own: a whole adapter on the standard library's selectors."""

import os
import signal
import socket
import time
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector

from hubbub import core

selector = DefaultSelector()
hooks = {core.HookKind.PUBLISH: ("room.>",)}
hub = core.Hub(core.HubConfig(), now=time.monotonic(), entropy=os.urandom, hooks=hooks)


def answer(effect: core.Effect) -> core.Outcome:
    """What the hub asks of the outside. Your program goes here; it may also answer later."""
    match effect:
        case core.RunHook(message=str(message)) if len(message) > 280:
            return core.Denied("too_long", "At most 280 characters, please")
        case core.RunHook():
            return core.Done()
    return core.Failed("this hub has no tokens, no store and no pages")


class Peer:
    def __init__(self, sock: socket.socket, address: tuple[object, ...], now: float) -> None:
        self.sock, self.unsent, self.watched = sock, b"", 0
        sock.setblocking(False)
        self.session = hub.connect(address, now)
        self.session.carrier = self

    def ready(self, events: int, now: float) -> None:
        try:
            if events & EVENT_READ:
                data = self.sock.recv(65536)
                self.session.receive_data(data, now) if data else self.session.receive_eof(now)
        except OSError:
            self.session.connection_lost(now)
        self.write(now)

    def write(self, now: float) -> None:
        try:
            while self.unsent or (taken := self.session.data_to_send(now)):
                self.unsent = self.unsent or b"".join(taken)
                self.unsent = self.unsent[self.sock.send(self.unsent) :]
                if self.unsent:
                    self.session.write_blocked(now)
            if self.session.end is core.End.HALF_CLOSE:
                self.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            self.session.handle_timeout(now)  # it tells the time, as data_to_send does
        except OSError:
            self.session.connection_lost(now)
        closed = self.session.end is core.End.CLOSE
        wanted = EVENT_READ * self.session.wants_read | EVENT_WRITE * bool(self.unsent)
        wanted = 0 if closed else wanted
        if self.watched and wanted != self.watched:
            selector.unregister(self.sock)
        if wanted and wanted != self.watched:
            selector.register(self.sock, wanted, self.ready)
        self.watched = wanted
        if closed:
            self.sock.close()


def settle(now: float) -> None:
    """Behind any batch of calls: do what the hub wants."""
    while True:
        while session := hub.next_dirty():
            session.carrier.write(now)
        if (effect := hub.next_effect()) is None:
            break
        hub.complete(effect.id, answer(effect), now)
    while event := hub.next_event():
        print(event, flush=True)


def serve(port: int) -> None:
    listener, minute = socket.create_server(("127.0.0.1", port)), 0.0
    selector.register(listener, EVENT_READ, lambda _, at: Peer(*listener.accept(), at))
    bell, button = socket.socketpair()
    signal.signal(signal.SIGTERM, lambda *_: button.send(b"!"))
    selector.register(bell, EVENT_READ, lambda _, at: hub.drain(at) if bell.recv(1) else None)
    print(f"ws://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
    while not (hub.draining and hub.idle):
        now = time.monotonic()
        if now >= minute:
            hub.set_wall_clock(time.time() - now, now)
            minute = now + 60
        ready = selector.select(max(0.0, min(minute, hub.next_timeout() or minute) - now))
        now = time.monotonic()
        for key, events in ready:
            key.data(events, now)
        hub.handle_timeout(now)
        settle(now)


serve(int(os.environ.get("PORT", "8765")))
