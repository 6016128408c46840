"""Adapters: they own sockets and loops, and decide nothing."""
