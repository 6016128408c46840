"""Authenticators that need more than the machine has."""
