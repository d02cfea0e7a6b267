"""Which method hides a payload: one of vidstega's by name, or "auto"."""

from __future__ import annotations

from vidstega import methods

AUTO = "auto"


def names() -> list[str]:
    """What may be asked for, the default first."""
    return [AUTO, *methods.names()]


def for_engine(name: str) -> str:
    """What the engine is asked for."""
    # The engine does not choose yet. Once it does: `return name`, and `worker.embed` tells result.method.
    return methods.names()[0] if name == AUTO else name
