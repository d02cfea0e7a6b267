"""Figures as people read them: about three digits, and a unit that suits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vidstega.lab.results import Spread


def plain(value: float | None) -> str:
    """About three digits; nothing for what is unknown."""
    if value is None or math.isnan(value):
        return ""
    if 0 < value < 0.005:
        return "<0.01"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def share(value: float) -> str:
    """A part of one, to four digits."""
    return f"{value:.6f}" if 0.999 < value < 1 else f"{value:.4f}"


def times(spread: Spread | None) -> str:
    """A ratio with its least and most over the repeats."""
    if spread is None:
        return ""
    if spread.n == 1:
        return f"{plain(spread.mid)}x (n=1)"
    return f"{plain(spread.mid)}x ({plain(spread.low)} to {plain(spread.high)}, n={spread.n})"


def bytes_(count: float) -> str:
    """So many bytes."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(count) >= scale:
            return f"{plain(count / scale)} {unit}"
    return f"{count:.0f} B"


def span(seconds: float) -> str:
    """A length of time."""
    if math.isinf(seconds):
        return "any length"
    for unit, scale in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 3 * scale:
            return f"{plain(seconds / scale)} {unit}"
    return f"{plain(seconds)} s"


def amount(payload: str) -> str:
    """ "100KB" as "100 KB"."""
    unit = payload.lstrip("0123456789")
    return payload if unit == payload else f"{payload.removesuffix(unit)} {unit}"


def frames(least: int, most: int = 0) -> str:
    """So many frames, or from least to most."""
    if most > least:
        return f"{least} to {most} frames"
    return "1 frame" if least == 1 else f"{least} frames"


def with_unit(value: float, unit: str) -> str:
    """A figure of a column with its unit."""
    if unit == "bytes":
        return bytes_(value)
    if unit in ("frames", "pixels", "users"):
        return f"{value:,.0f}"
    return f"{plain(value)}x" if unit == "times" else plain(value)


@dataclass(frozen=True)
class Table:
    """A Markdown table; columns that hold nothing are left out, and so is a table without rows."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __bool__(self) -> bool:
        return bool(self.rows)

    def __str__(self) -> str:
        used = [at for at in range(len(self.head)) if at == 0 or any(row[at] for row in self.rows)]
        marks = [":--", *("--:" for _ in self.head[1:])]
        return "\n".join(_line([row[at] for at in used]) for row in (self.head, marks, *self.rows))


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in cells) + " |"
