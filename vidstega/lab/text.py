"""Figures as people read them: about three digits, and a unit that suits; tables in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import pandas
from pandas import DataFrame

from vidstega.lab.results import Measure, unit


def plain(value: float | None) -> str:
    """About three digits; nothing for what is unknown."""
    if value is None or math.isnan(value):
        return ""
    if 0 < value < 0.005:
        return "<0.01"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{round(value, digits) + 0.0:,.{digits}f}"


def times(spread: Measure | None) -> str:
    """A ratio with its least and most over the repeats."""
    if spread is None:
        return ""
    more = f"{plain(spread.low)} to {plain(spread.high)}, " if spread.n > 1 else ""
    return f"{plain(spread.mid)}x ({more}n={spread.n})"


def bytes_(count: float) -> str:
    """So many bytes."""
    units = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
    found = (f"{plain(count / scale)} {unit}" for unit, scale in units if abs(count) >= scale)
    return next(found, f"{count:.0f} B")


def span(seconds: float) -> str:
    """A length of time."""
    if math.isinf(seconds):
        return "any length"
    units = (("days", 86400), ("h", 3600), ("min", 60))
    found = (f"{plain(seconds / scale)} {unit}" for unit, scale in units if seconds >= 3 * scale)
    return next(found, f"{plain(seconds)} s")


def per_hundred(slope: float) -> str:
    """MiB a frame as MiB per 100 frames."""
    return f"{round(100 * slope, 1) + 0.0:+,.1f}"


def amount(payload: str) -> str:
    """ "100KB" as "100 KB"."""
    name = payload.lstrip("0123456789")
    return f"{payload.removesuffix(name)} {name}".strip()


def frames(least: int, most: int = 0) -> str:
    """So many frames, or from least to most."""
    if most > least:
        return f"{least} to {most} frames"
    return "1 frame" if least == 1 else f"{least} frames"


def show(value: Any, column: str) -> str:
    """A figure of a column by its unit; nothing for what is unknown."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return f"`{value}`" if column == "arm" else value
    if pandas.isna(value):
        return ""
    of = unit(column)
    if of == "bytes":
        return bytes_(value)
    if of in ("frames", "pixels") or isinstance(value, Integral):
        return f"{value:,.0f}"
    if of in ("", "bits/sample"):
        return f"{value:.6f}" if 0.999 < value < 1 else f"{value:.4f}"
    return f"{plain(value)}x" if of == "times" else plain(value)


def markdown(table: DataFrame | Sequence[dict[str, Any]]) -> str:
    """A table in Markdown, units in its head; columns that hold nothing are left out. "" without rows."""
    frame = table if isinstance(table, DataFrame) else DataFrame(table)
    cells = {name: [show(value, name) for value in frame[name]] for name in frame.columns}
    cells = {name: texts for name, texts in cells.items() if any(texts)}
    marks = ["--:" if _numbers(texts) else ":--" for texts in cells.values()]
    rows = [list(map(_head, cells)), [":--", *marks[1:]], *zip(*cells.values(), strict=True)]
    return "\n".join(map(_line, rows)) if cells else ""


def _numbers(texts: Iterable[str]) -> bool:
    return all(text[:1] in "0123456789+-<*" for text in texts)


def _head(column: str) -> str:
    of = unit(column)
    return column if of in (None, "times") or of in column else f"{column} ({of})"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in cells) + " |"
