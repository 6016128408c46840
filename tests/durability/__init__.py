"""A real server, killed or left again and again under load, loses nothing that it answered for."""
