"""Log lines for people and for machines: one line each, no control characters."""

import logging
import sys
from datetime import UTC, datetime
from typing import Literal

import msgspec

from .escaping import escape

__all__ = ["LogFormat", "set_up_logging"]

LogFormat = Literal["text", "json"]


class _Once(logging.Filter):
    """Lets one of several equal errors through, the next after a second, and says how many there were.

    A server without free descriptors fails to accept hundreds of times a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last = ("", 0.0, 0)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR:
            return True
        text, at, dropped = self._last
        if record.msg == text and record.created - at < 1.0:
            self._last = (text, at, dropped + 1)
            return False
        if record.msg == text and dropped:
            record.msg = f"{record.msg} (and {dropped} times more)"
            self._last = (text, record.created, 0)
        else:
            self._last = (record.msg, record.created, 0)
        return True


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _message(record: logging.LogRecord) -> str:
    message = record.getMessage()
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        place = f" at {frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else ""
        message = f"{message}: {type(error).__name__}: {error}{place}"
    return escape(message)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{_time(record)} {record.levelname.lower():7} {record.name}: {_message(record)}"


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        return msgspec.json.encode(line).decode()


def set_up_logging(level: str, form: LogFormat) -> None:
    """Write log lines of `level` and above to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if form == "json" else _TextFormatter())
    handler.addFilter(_Once())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
