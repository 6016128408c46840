"""A hub with a store whose process crashes, again and again, and clients that come back, on virtual time.

The hub, its store's rules and the clients are the real ones. One integer seed decides everything. What
must hold is checked by code that knows nothing of logs, cursors or epochs: it writes down what was
published, stored and told.
"""

from .faults import CrashFault
from .playing import simulate_crashes

__all__ = ["CrashFault", "simulate_crashes"]
