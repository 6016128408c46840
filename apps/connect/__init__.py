"""`hubbub connect`: a client for people at a terminal, and for pipes."""
