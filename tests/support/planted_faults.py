"""Wrong splitters, made from the right one's source: each must be noticed by the equality tests."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple, cast

from hubbub.core import splitter
from hubbub.core.splitter import FrameSplitter


class Fault(NamedTuple):
    """What is wrong, and how to plant it: `right` stands exactly once in the source."""

    name: str
    right: str
    wrong: str

    def plant(self) -> type[FrameSplitter]:
        """The class with the fault."""
        source = inspect.getsource(FrameSplitter)
        assert source.count(self.right) == 1, f"{self.name}: not found exactly once"
        names: dict[str, Any] = dict(vars(splitter))
        exec(compile(source.replace(self.right, self.wrong), self.name, "exec"), names)
        return cast("type[FrameSplitter]", names["FrameSplitter"])


FAULTS = [
    # The fast path takes what it should not.
    Fault("a short length in the long form is taken", "            if size < 126:\n", "            if False:\n"),
    Fault("a wrong MASK bit is taken", "data[at + 1] ^ self._masked", "data[at + 1] & 0x7F"),
    Fault("reserved bits are ignored", "first = data[at]\n        if first ==", "first = data[at] & 0x8F\n        if first =="),
    Fault("RSV1 is ignored", "first = data[at]\n        if first ==", "first = data[at] & 0xBF\n        if first =="),
    Fault("FIN is ignored", "first = data[at]\n        if first ==", "first = data[at] | 0x80\n        if first =="),
    Fault("an open message is ignored", "if self._message_open or size", "if size"),
    Fault("max_size is ignored", "size > self._fast_limit", "size > 65535"),
    Fault("max_size is off by one", "size > self._fast_limit", "size > self._fast_limit + 1"),
    Fault("a long ping is taken", "(first != _PING and first != _PONG) or size > 125", "first != _PING and first != _PONG"),
    Fault("an incomplete frame is taken", "if stop > end:", "if stop > end + 1:"),
    Fault("a Close frame is taken as a pong", "first != _PING and first != _PONG", "first != _PING and first != _PONG and first != _CLOSE"),
    # The fast path takes it wrongly.
    Fault("the mask is one byte off", "mask_payload(payload, data[start:payload_at])", "mask_payload(payload, data[start + 1 : payload_at + 1])"),
    Fault("the payload is not unmasked", "if self._masked:\n            if size <", "if False:\n            if size <"),
    Fault("clients skip a key", "0 if client else 4", "4"),
    Fault("a pong is a ping", "PingFrame(payload) if first == _PING", "PingFrame(payload) if first"),
    Fault("bad text is replaced", 'TextMessage(str(payload, "utf-8"))', 'TextMessage(str(payload, "utf-8", "replace"))'),
    Fault("bad text is dropped", "except UnicodeDecodeError:\n                return 0", "except UnicodeDecodeError:\n                return stop"),
    Fault("binary is text", "items.append(BinaryMessage(payload))", "items.append(TextMessage(payload.decode('latin-1')))"),
    Fault("the frame ends a byte early", "payload_at + size\n        if stop", "payload_at + size - (size > 0)\n        if stop"),
    Fault("a long length has its bytes swapped", "data[at + 2] << 8 | data[at + 3]", "data[at + 3] << 8 | data[at + 2]"),
    Fault("a ping is claimed to be a message", "self.only_messages = False\n        return stop", "return stop"),
    # What goes to wsproto goes there wrongly.
    Fault("the tail is lost", "self._tail = data[at:]\n            if self._message_open", "pass\n            if self._message_open"),
    Fault("the tail of a control frame is lost", "self._tail = data[at:]\n            return", "return"),
    Fault("the tail comes twice", 'self._tail + data\n            self._tail = b""', "self._tail + data"),
    Fault("what is left is not counted", "payload_at + size - stop\n", "0\n"),
    Fault("what is left is off by one", "payload_at + size - stop\n", "max(payload_at + size - stop - 1, 0)\n"),
    Fault("what is left includes the header", "payload_at + size - stop\n", "at + size - stop\n"),
    Fault("header bytes go twice", "self._feed(data[at:stop], items)\n        return stop\n\n    def _receive_control", "self._feed(header[:held] + data[at:stop], items)\n        return stop\n\n    def _receive_control"),
    Fault("the header is not kept", "self._header = header\n", "pass\n"),
    Fault("the mask is not in the header", "(header[1] >> 7) * 4", "0"),
    Fault("the long form has 6 bytes", "(size == 127) * 8", "(size == 127) * 6"),
    Fault("a frame's end is forgotten", "taken = min(self._remaining, len(data))", "taken = len(data)"),
    # Counters and states.
    Fault("the fragments are not counted anew", "            self._fragment_count = 0\n", "            pass\n"),
    Fault("the size is not counted anew", "            self._message_size = 0\n", "            pass\n"),
    Fault("a lone continuation is counted on", "if first & 0x0F or not self._message_open:", "if first & 0x0F:"),
    Fault("control frames are counted", "if first & 0x08:\n            return None", "pass"),
    Fault("fragments are off by one", "_fragment_count > self", "_fragment_count >= self"),
    Fault("sizes are off by one", "if self._message_size > limit", "if self._message_size >= limit"),
    Fault("a refused message is given out", "if isinstance(item, Failure)]", "if True]"),
    Fault("no message is ever open", "self._message_open = not first & _FIN", "self._message_open = False"),
    Fault("a message is open for ever", "self._message_open = not first & _FIN", "self._message_open = True"),
    Fault("a failure does not last", "self._deaf = True", "self._deaf = False"),
    Fault("an unfinished message is hidden", "self.began_at = self._message_at", "self.began_at = None"),
    Fault("parts are lost", "self._parts += data", "self._parts = bytearray() + data"),
    Fault("a part stays for the next message", "            self._parts = None\n            data = ", "            data = "),
    # Close frames.
    Fault("a reason is lost", 'Close(code, str(payload[2:], "utf-8"))', 'Close(code, "")'),
    Fault("a bad reason is replaced", 'str(payload[2:], "utf-8")', 'str(payload[2:], "utf-8", "replace")'),
    Fault("any code is taken", "len(payload) < 2 or not may_be_sent(code)", "len(payload) < 2"),
    Fault("one byte is a code", "len(payload) < 2 or not", "not"),
    Fault("codes below 1000 are taken", "not may_be_sent(code)", "code > 999 and not may_be_sent(code)"),
    Fault("no code is a code", "Close(None)", "Close(1005)"),
    Fault("a Close frame is not unmasked", "payload = mask_payload(payload, body[:4])", "pass"),
    Fault("a Close frame ends nothing", "self._end()\n        else:", "pass\n        else:"),
    Fault("the bad gateway is refused", "not may_be_sent(code)", "code == 1014 or not may_be_sent(code)"),
]  # fmt: skip
