"""What a method may say of itself beyond `Method`: what it does where nobody says, and what it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Habits:
    """A method without an attribute `habits` has these.

    Parameters
    ----------
    spread : what ``spread="usual"`` stands for
    spreads : what `capacity` has rows for
    alpha : bits per sample that frames are filled to at spread "fewest", as long as all frames together
        hold the message so; more is noted in the result
    kernels : modules that take long to import, as they are compiled; embedding needs them
    looks_back : whether `embed` takes a keyword `before`: the same rows of the frame before as the cover has
        them, or None where they are not known, as at the start of a span
    fixed_bytes, sample_bytes : memory that embedding in a plane takes: always, and per sample
    """

    spread: str = "fewest"
    spreads: tuple[str | float, ...] = ("fewest", 0.5, 0.1, "all")
    alpha: float = 1.0
    kernels: tuple[str, ...] = ()
    looks_back: bool = False
    fixed_bytes: int = 0
    sample_bytes: float = 0.0


_NONE = Habits()


def habits_of(method: Any) -> Habits:
    """The habits of a method, or what goes for those that have none."""
    found = getattr(method, "habits", _NONE)
    return found if isinstance(found, Habits) else _NONE
