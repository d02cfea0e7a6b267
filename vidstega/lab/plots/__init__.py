"""Figures of the lab. Functions take data and axes, draw, and return the axes; a figure is one entry here.

`write_figures` writes the same bytes from the same results within one environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidstega.lab.detect.rows import DetectionFile
from vidstega.lab.plots.beside import memory_budget, survived, users_carried, users_p95, visits, workers
from vidstega.lab.plots.detection import detection_content, detection_error, detection_roc, packet_sizes
from vidstega.lab.plots.matrix import (
    heat_map,
    memory_length,
    memory_map,
    memory_timelines,
    speedup,
    stages,
    time_resolution,
)
from vidstega.lab.plots.pictures import difference, frame, packets
from vidstega.lab.plots.style import style
from vidstega.lab.results import Results
from vidstega.lab.survival import SurvivalFile
from vidstega.lab.users import UsersFile

__all__ = [
    "FIGURES",
    "detection_content",
    "detection_error",
    "detection_roc",
    "difference",
    "draw",
    "draw_detection",
    "draw_survival",
    "draw_users",
    "frame",
    "memory_budget",
    "packets",
    "side_by_side",
    "visits",
    "workers",
    "write_figures",
]

FIGURES: Mapping[str, tuple[float, tuple[Callable[[Results, Axes], Axes], ...]]] = {
    "memory_length": (4.2, (memory_length,)),
    "stages": (4.6, (stages,)),
    "heat_map": (7.0, (heat_map, memory_map)),
    "memory_timelines": (4.8, (memory_timelines,)),
    "time_resolution": (5.6, (time_resolution,)),
    "speedup": (4.0, (speedup,)),
}
"""Height in inches, and what draws the axes, one above the other."""


def draw(results: Results, name: str) -> Figure | None:
    """One of `FIGURES` by its name; None where there is nothing to draw."""
    height, parts = FIGURES[name]
    figure = _figure(*(partial(part, results) for part in parts), size=(8.5, height), nrows=len(parts))
    return figure if any(ax.has_data() for ax in figure.axes) else None


def draw_users(users: UsersFile) -> Figure:
    """Users carried by resolution, and how long they wait."""
    return side_by_side(partial(users_carried, users), partial(users_p95, users))


def draw_survival(data: SurvivalFile) -> Figure:
    """What came back through which channel."""
    return _figure(partial(survived, data), size=(8.5, 1.8 + 0.4 * len(data.ways)))


def draw_detection(data: DetectionFile) -> Figure:
    """Errors of detectors against the rate, and beside them the largest packets or, without files, ROCs."""
    beside = packet_sizes if data.files else detection_roc
    return side_by_side(partial(detection_error, data), partial(beside, data))


def side_by_side(*parts: Callable[[Axes], object], height: float = 3.8) -> Figure:
    """A figure of some axes beside each other, each drawn by a function."""
    return _figure(*parts, size=(8.5 if len(parts) < 3 else 11, height), ncols=len(parts))


def _figure(*parts: Callable[[Axes], object], size: tuple[float, float], **grid: Any) -> Figure:
    with style():
        figure = Figure(figsize=size, layout="constrained")
        for part, ax in zip(parts, figure.subplots(squeeze=False, **grid).flat, strict=True):
            part(ax)
    return figure


def write_figures(
    results: Results,
    users: UsersFile | None,
    folder: str | os.PathLike[str],
    detection: DetectionFile | None = None,
) -> list[Path]:
    """Write each figure that there are data for as PNG, remove the others, and return the paths."""
    drawn = {name: draw(results, name) for name in FIGURES}
    drawn["users"] = draw_users(users) if users and users.levels and not results.own else None
    drawn["detection"] = draw_detection(detection) if detection and not results.own else None
    paths = []
    for name, figure in drawn.items():
        path = Path(folder, f"{name}.png")
        if figure is None:
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with style():
            figure.savefig(path, dpi=110, metadata={"Software": None})
        paths.append(path)
    return paths
