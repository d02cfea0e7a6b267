"""Time: by stage, by resolution, with workers; and the whole matrix in colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from pandas import DataFrame

from vidstega.lab.arms import ARMS
from vidstega.lab.plots.style import BELOW, BLUE, GREY, LIGHT, PURPLE, SKY, VERMILION, YELLOW
from vidstega.lab.results import Results
from vidstega.lab.schema import Planned

BY_RESOLUTION = ("current", "whole", "splice")
STAGE_COLORS = {
    "probe, plan, seal": YELLOW,
    "decode": SKY,
    "embed": VERMILION,
    "encode": BLUE,
    "mux": PURPLE,
    "digest, verify": LIGHT,
}


def stages(
    results: Results, ax: Axes, cells: Sequence[Planned] = (), arms: Sequence[str] = tuple(ARMS)
) -> Axes:
    """Wall time of arms at some cells, or at the centre, as stacked bars of stages."""
    some = list(cells) or [results.centre]
    totals, rows = {}, {}
    for cell, arm in ((cell, arm) for cell in some for arm in arms):
        if (total := results.value(cell.id, arm, "total_time")) is not None:
            name = f"{_name(results, cell)} {arm}" if cells else arm
            totals[name], rows[name] = total, [_took(results, cell, arm, label) for label in STAGE_COLORS]
    if not rows:
        return ax
    table = DataFrame(rows, index=list(STAGE_COLORS)).T
    look = {"color": STAGE_COLORS, "edgecolor": "#555555", "linewidth": 0.4}
    table.plot.barh(ax=ax, stacked=True, width=0.75, legend=False, **look)
    for y, (name, total) in enumerate(totals.items()):
        ax.text(max(total, table.loc[name].sum()), y, f" {total:.2f} s", va="center")
    ax.invert_yaxis()
    ax.set_xlim(0, 1.12 * max(totals.values()))
    ax.set(xlabel="wall time (s)", title=f"Where the time goes, {_alike(results) if cells else some[0].id}")
    ax.legend(ncols=3, **BELOW)
    return ax


def _took(results: Results, cell: Planned, arm: str, label: str) -> float:
    return sum(results.value(cell.id, arm, f"{stage}_s") or 0.0 for stage in label.split(", "))


def _name(results: Results, cell: Planned) -> str:
    return cell.id.rpartition("/")[0] if results.own else cell.resolution


def _alike(results: Results) -> str:
    middle = results.centre
    return middle.payload if results.own else f"{middle.frames} frames, {middle.payload}"


def time_resolution(results: Results, ax: Axes, arms: Sequence[str] = BY_RESOLUTION) -> Axes:
    """Wall time of some arms by resolution, as stacked bars of stages."""
    return stages(results, ax, results.along("resolution"), arms)


def speedup(results: Results, ax: Axes) -> Axes:
    """Speed-up by several workers against resolution, a line a parallel arm, beside the ideal."""
    cells = list({cell.resolution: cell for cell in results.along("resolution")}.values())
    frame = results.frame[results.frame.cell.isin([cell.id for cell in cells])].dropna(subset="speedup")
    if frame.empty:
        return ax
    workers = frame.workers.max()
    table = frame.pivot_table("speedup", "cell", "arm", "median").reindex([cell.id for cell in cells])
    for arm in table:
        ax.plot(range(len(cells)), table[arm], label=f"{arm} against {ARMS[arm].alone}", **ARMS[arm].look)
    ax.axhline(workers, color=GREY, linestyle=":", label=f"ideal for {workers:.0f} workers")
    ax.axhline(1, color=GREY, linewidth=0.8, label="no gain")
    ax.set_xticks(range(len(cells)), [cell.resolution for cell in cells])
    ax.set_ylim(0, 1.15 * workers)
    ax.set(ylabel="speed-up (times)", title=f"Speed-up with {workers:.0f} workers, {_alike(results)}")
    ax.legend(loc="lower center", ncols=2)
    return ax


def memory_map(results: Results, ax: Axes) -> Axes:
    """Peak memory, resolution by arm."""
    return heat_map(results, ax, "memory_peak_mb", "peak memory (MiB)")


def heat_map(results: Results, ax: Axes, column: str = "total_time", title: str = "wall time (s)") -> Axes:
    """A figure of the matrix, resolution by arm, on a logarithmic scale, each cell with its number."""
    cells, failed = results.along("resolution"), {(row.cell, row.arm) for row in results.failed}
    tried = {arm for cell in cells for arm in results.arms if results.value(cell.id, arm, column) is not None}
    tried |= {arm for cell in cells for arm in results.arms if (cell.id, arm) in failed}
    arms = [arm for arm in results.arms if arm in tried]
    rows = [[results.value(cell.id, arm, column) for arm in arms] for cell in cells]
    table = DataFrame(rows, dtype=float).to_numpy()
    if np.isnan(table).all():
        return ax
    low, high = float(np.nanmin(table)), float(np.nanmax(table))
    norm = LogNorm(low, max(high, 1.001 * low))
    image = ax.imshow(table, norm=norm, cmap="cividis", aspect="auto")
    for y, x in ((y, x) for y in range(len(cells)) for x in range(len(arms))):
        value = float(table[y, x])
        if value > 0:
            color = "white" if norm(value) < 0.55 else "black"
            ax.text(x, y, _short(value), ha="center", va="center", color=color)
        elif (cells[y].id, arms[x]) in failed:
            ax.text(x, y, "failed", ha="center", va="center", weight="bold")
    ax.set_xticks(range(len(arms)), arms, rotation=30, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(cells)), [_name(results, cell) for cell in cells])
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    ax.figure.colorbar(image, ax=ax, label=title, format=lambda value, _: _short(value)).minorticks_off()
    return ax


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"
