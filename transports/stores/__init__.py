"""Stores: where durable topics are kept. The SQLite one needs the extra `server`."""
