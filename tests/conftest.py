"""What holds for every test."""

from __future__ import annotations

import os
import signal

from hypothesis import settings

# The same examples in every run, on every machine. `HYPOTHESIS_PROFILE=explore` looks for new
# ones, ten times as many; a failure it finds becomes an `@example`. With `brief`, a fifth of them,
# CI runs on the Pythons beside the first.
settings.register_profile("fixed", derandomize=True, deadline=None, print_blob=True)
settings.register_profile(
    "brief", derandomize=True, deadline=None, print_blob=True, max_examples=20
)
settings.register_profile("explore", deadline=None, print_blob=True, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

# Who is started in the background of a script ignores SIGINT, and so would all programs that are tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
