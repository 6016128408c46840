"""Real-time messaging over WebSocket. Import from `hubbub.core` and `hubbub.transports`."""
