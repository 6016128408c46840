"""Autobahn's WebSocket cases, run against the servers and clients of this repository.

`python tests/conformance/run.py --help` is the command; `verdicts.judge` is the condition that
decides whether a run passed.
"""
