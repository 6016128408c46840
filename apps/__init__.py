"""Programs that people run: servers, the command line, and their pages."""
