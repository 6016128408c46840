"""Application protocols as pure translations between messages and text."""
