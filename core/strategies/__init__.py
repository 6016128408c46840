"""Hypothesis strategies and a model, for tests of what is built on hubbub. They need the extra `testing`.

Nothing else in hubbub imports this. Each function gives a strategy; what a strategy gives is plain data.
"""

from ..scripts import Action, Close, Connect, Cut, Script, Send, Stall, Step
from .frames import chunkings, frames, streams
from .hub_beside import HookFunctions
from .hub_model import HubModel
from .model_clients import ModelClient
from .names import grants, names, patterns, rules, topics
from .requests import commands, messages, requests, texts
from .scripts import networks, schedules, sessions

__all__ = [
    "Action",
    "Close",
    "Connect",
    "Cut",
    "HookFunctions",
    "HubModel",
    "ModelClient",
    "Script",
    "Send",
    "Stall",
    "Step",
    "chunkings",
    "commands",
    "frames",
    "grants",
    "messages",
    "names",
    "networks",
    "patterns",
    "requests",
    "rules",
    "schedules",
    "sessions",
    "streams",
    "texts",
    "topics",
]
