"""Autobahn's WebSocket cases, run against the server of this repository.

`python tests/conformance/run.py --help` is the command; `verdicts.judge` is the condition that
decides whether a run passed.
"""
