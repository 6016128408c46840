"""Run the command line of the package."""

import os
import sys

from .cli import main

status = main()
sys.stdout.flush()
sys.stderr.flush()
# Not `sys.exit`: about once in 150 runs kosoku 0.1.0 aborts the process while the interpreter
# shuts down, when all results are in, and that would take the place of the status. By now no
# process, no file and no task is left to clean up.
os._exit(status)
