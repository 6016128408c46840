"""The hub as a program: its configuration, its HTTP interface, its metrics and its page."""
