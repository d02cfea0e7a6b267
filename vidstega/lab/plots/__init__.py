"""Figures of the lab. Functions take data and axes, draw, and return the axes; a figure is one entry here.

`write_figures` writes the same bytes from the same results within one environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidstega.lab.arms import ARMS
from vidstega.lab.plots.crowds import memory_budget, users_carried, users_p95, visits, workers
from vidstega.lab.plots.memory import LENGTHS, TIMELINES, memory_length, memory_timelines
from vidstega.lab.plots.pictures import difference, frame, packets
from vidstega.lab.plots.style import style
from vidstega.lab.plots.time import BY_RESOLUTION, heat_map, speedup, stages, time_resolution
from vidstega.lab.results import Results
from vidstega.lab.users import UsersFile

__all__ = [
    "FIGURES",
    "difference",
    "draw",
    "draw_users",
    "frame",
    "heat_map",
    "memory_budget",
    "memory_length",
    "memory_timelines",
    "packets",
    "side_by_side",
    "speedup",
    "stages",
    "style",
    "time_resolution",
    "users_carried",
    "users_p95",
    "visits",
    "workers",
    "write_figures",
]


@dataclass(frozen=True)
class Drawing:
    """A figure of the results: its size (inches), how it is drawn, and if it can be."""

    size: tuple[float, float]
    draw: Callable[[Results, Figure], object]
    has_data: Callable[[Results], bool]


def _one(axes: Callable[[Results, Axes], Axes]) -> Callable[[Results, Figure], object]:
    return lambda results, figure: axes(results, figure.subplots())


def _heat_maps(results: Results, figure: Figure) -> None:
    above, below = figure.subplots(2, 1)
    heat_map(results, above)
    heat_map(results, below, "memory_peak_mb", "peak memory (MiB)")


def _at(axis: str, arms: Sequence[str] = tuple(ARMS)) -> Callable[[Results], bool]:
    """Whether one of the arms succeeded at the centre, or along an axis."""

    def has_data(results: Results) -> bool:
        cells = results.along(axis) if axis else [results.centre]
        return any(results.good(cell.id, arm) for cell in cells for arm in arms)

    return has_data


def _any_line(results: Results) -> bool:
    middle = results.centre
    return any((middle.resolution, middle.payload, arm) in results.slopes.index for arm in LENGTHS)


def _any_speedup(results: Results) -> bool:
    cells = results.along("resolution")
    return any(results.value(cell.id, arm, "speedup") for cell in cells for arm in results.arms)


FIGURES: Mapping[str, Drawing] = {
    "memory_length": Drawing((8.5, 4.2), _one(memory_length), _any_line),
    "stages": Drawing((8.5, 4.6), _one(stages), _at("")),
    "heat_map": Drawing((8.5, 7.0), _heat_maps, _at("resolution")),
    "memory_timelines": Drawing((8.5, 4.8), _one(memory_timelines), _at("", TIMELINES)),
    "time_resolution": Drawing((8.5, 5.2), _one(time_resolution), _at("resolution", BY_RESOLUTION)),
    "speedup": Drawing((8.5, 4.0), _one(speedup), _any_speedup),
}


def draw(results: Results, name: str) -> Figure | None:
    """One of `FIGURES` by its name; None where there is nothing to draw."""
    one = FIGURES[name]
    if not one.has_data(results):
        return None
    with style():
        figure = Figure(figsize=one.size, layout="constrained")
        one.draw(results, figure)
    return figure


def draw_users(users: UsersFile) -> Figure:
    """Users carried by resolution, and how long they wait."""
    return side_by_side(lambda ax: users_carried(users, ax), lambda ax: users_p95(users, ax))


def side_by_side(*axes: Callable[[Axes], object], height: float = 3.8) -> Figure:
    """A figure of some axes beside each other, each drawn by a function."""
    with style():
        figure = Figure(figsize=(8.5 if len(axes) < 3 else 11, height), layout="constrained")
        for draw_one, ax in zip(axes, figure.subplots(1, len(axes), squeeze=False)[0], strict=True):
            draw_one(ax)
    return figure


def write_figures(results: Results, users: UsersFile | None, folder: str | os.PathLike[str]) -> list[Path]:
    """Write each figure that there are data for as PNG, remove the others, and return the paths."""
    where = Path(folder)
    drawn = {name: draw(results, name) for name in FIGURES}
    drawn["users"] = draw_users(users) if users and users.levels and not results.own else None
    for name, figure in drawn.items():
        path = where / f"{name}.png"
        if figure is None:
            path.unlink(missing_ok=True)
            continue
        where.mkdir(parents=True, exist_ok=True)
        with style():
            figure.savefig(path, dpi=110, metadata={"Software": None})
    return [where / f"{name}.png" for name, figure in drawn.items() if figure is not None]
