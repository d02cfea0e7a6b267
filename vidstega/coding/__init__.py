"""Coding theory: how few carriers must change for a message."""
