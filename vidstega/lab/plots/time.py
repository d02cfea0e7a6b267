"""Time: by stage, by resolution, with workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter

from vidstega.lab.arms import ARMS
from vidstega.lab.plots.style import GREY, STAGE_STYLE, short
from vidstega.lab.results import Results
from vidstega.lab.schema import Planned

BY_RESOLUTION = ("current", "whole", "splice")


def stages(results: Results, ax: Axes, cell: Planned | None = None) -> Axes:
    """Wall time of every arm at a cell as stacked bars of stages."""
    cell = cell or results.centre
    known = {arm: results.value(cell.id, arm, "total_time") for arm in results.arms}
    totals = {arm: total for arm, total in known.items() if total is not None}
    longest = max(totals.values(), default=1.0)
    for y, (arm, total) in enumerate(totals.items()):
        end = _stack(results, cell, arm, ax, y, across=True)
        ax.text(max(total, end) + 0.01 * longest, y, f"{total:.2f} s", va="center")
    ax.set_yticks(range(len(totals)), list(totals))
    ax.invert_yaxis()
    ax.set_xlim(0, 1.12 * longest)
    ax.set(xlabel="wall time (s)", title=f"Where the time goes, {cell.id}")
    _stage_legend(ax)
    return ax


def time_resolution(results: Results, ax: Axes, arms: Sequence[str] = BY_RESOLUTION) -> Axes:
    """Wall time against resolution, stacked by stage, a group of bars for each resolution."""
    cells = results.along("resolution")
    width, ticks = 0.8 / len(arms), []
    for x, cell in enumerate(cells):
        for k, arm in enumerate(arms):
            at = x + (k - (len(arms) - 1) / 2) * width
            ticks.append((at, arm))
            _stack(results, cell, arm, ax, at, across=False, thickness=0.9 * width)
        ax.text(x, 1, cell.resolution, transform=ax.get_xaxis_transform(), ha="center", weight="bold")
    ax.set_xticks([at for at, _ in ticks], [arm for _, arm in ticks], rotation=90, fontsize=9)
    ax.set(ylabel="wall time (s)")
    ax.set_title(f"Time against resolution, {_alike(results)}", pad=20)
    _stage_legend(ax)
    return ax


def _alike(results: Results) -> str:
    middle = results.centre
    return middle.payload if results.own else f"{middle.frames} frames, {middle.payload}"


def speedup(results: Results, ax: Axes) -> Axes:
    """Speed-up by several workers against resolution, a line a parallel arm, beside the ideal."""
    cells = list({cell.resolution: cell for cell in results.along("resolution")}.values())
    workers = 1.0
    for arm in (arm for arm in results.arms if ARMS[arm].alone):
        values = [results.value(cell.id, arm, "speedup") for cell in cells]
        workers = max([workers, *(results.value(cell.id, arm, "workers") or 1.0 for cell in cells)])
        y = [float("nan") if value is None else value for value in values]
        ax.plot(range(len(cells)), y, label=f"{arm} against {ARMS[arm].alone}", **ARMS[arm].look)
    ax.axhline(workers, color=GREY, linestyle=":", label=f"ideal for {workers:.0f} workers")
    ax.axhline(1, color=GREY, linewidth=0.8, label="no gain")
    ax.set_xticks(range(len(cells)), [cell.resolution for cell in cells])
    ax.set_ylim(0, 1.15 * workers)
    ax.set(ylabel="speed-up (times)", title=f"Speed-up with {workers:.0f} workers, {_alike(results)}")
    ax.legend(loc="lower center", ncols=2)
    return ax


def heat_map(results: Results, ax: Axes, column: str = "total_time", title: str = "wall time (s)") -> Axes:
    """A figure of the matrix, resolution by arm, on a logarithmic scale, each cell with its number."""
    cells, arms = results.along("resolution"), results.arms
    values = [[results.value(cell.id, arm, column) for arm in arms] for cell in cells]
    known = [value for line in values for value in line if value]
    norm = LogNorm(min(known), max(max(known), min(known) * 1.001))
    shown = [[value or float("nan") for value in line] for line in values]
    image = ax.imshow(shown, norm=norm, cmap="cividis", aspect="auto")
    failed = {(row.cell, row.arm) for row in results.failed}
    for y, cell in enumerate(cells):
        for x, arm in enumerate(arms):
            value = values[y][x]
            text = "" if value is None else short(value)
            bold = value is None and (cell.id, arm) in failed
            dark = value is not None and norm(value) < 0.55
            look: dict[str, Any] = {"color": "white" if dark else "black", "weight": "bold" if bold else None}
            ax.text(x, y, "failed" if bold else text, ha="center", va="center", **look)
    ax.set_xticks(range(len(arms)), arms, rotation=30, ha="right", rotation_mode="anchor")
    ax.set_yticks(
        range(len(cells)), [cell.id.rpartition("/")[0] if results.own else cell.resolution for cell in cells]
    )
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    bar = ax.figure.colorbar(image, ax=ax, label=title)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    return ax


def _stack(
    results: Results, cell: Planned, arm: str, ax: Axes, at: float, *, across: bool, thickness: float = 0.7
) -> float:
    """Draw a bar, and return where it ends."""
    start = 0.0
    for names, _, color, hatch in STAGE_STYLE.values():
        size = sum(results.value(cell.id, arm, f"{name}_s") or 0.0 for name in names)
        look: dict[str, Any] = {"color": color, "hatch": hatch, "edgecolor": "#555555", "linewidth": 0.4}
        if across:
            ax.barh(at, size, thickness, left=start, **look)
        else:
            ax.bar(at, size, thickness, bottom=start, **look)
        start += size
    return start


def _stage_legend(ax: Axes) -> None:
    patches = [
        Patch(facecolor=color, hatch=hatch, edgecolor="#555555", linewidth=0.4, label=label)
        for _, label, color, hatch in STAGE_STYLE.values()
    ]
    ax.legend(handles=patches, loc="upper center", bbox_to_anchor=(0.45, -0.16), ncols=3)
