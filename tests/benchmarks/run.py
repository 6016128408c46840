"""The one command: `python tests/benchmarks/run.py`, from any directory.

The package is imported from the directory that holds it, which takes the place of this script's
own: the modules beside this file must not become top-level names.
"""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    runpy.run_module("benchmarks.cli", run_name="__main__")
