"""Seeded fuzzing of the WebSocket machine, both sides: whatever comes, no exception and one end.

`python tests/fuzz/run.py --help` is the command. An *input* is the short life of one connection: options,
bytes, cuts, moments and commands, all drawn from one seed, so that a number replays it. In the area
`native` it is one message, read by both sides of the native codec.
"""
