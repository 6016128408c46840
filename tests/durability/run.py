"""The one command: `python tests/durability/run.py`, from any directory.

It runs the package's `__main__`, with the directory that holds the package put in the place of
this script's own directory: the modules beside this file must not become top-level names.
"""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    runpy.run_module("durability", run_name="__main__")
