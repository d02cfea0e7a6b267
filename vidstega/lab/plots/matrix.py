"""A matrix: memory over time and length, time by stage, resolution and workers, and all in colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import MaxNLocator
from pandas import DataFrame

from vidstega.lab.arms import ARMS
from vidstega.lab.plots.style import (
    BELOW,
    BLUE,
    GREY,
    LIGHT,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    label_ends,
)
from vidstega.lab.results import Results
from vidstega.lab.schema import Planned
from vidstega.lab.text import per_hundred

SHOWN = ("current", "whole", "splice")
"""Arms that stand for the study's way and vidstega's two."""
TIMELINES = ("current", "current+streaming", "whole", "splice")
STAGE_COLORS = {
    "probe, plan, seal": YELLOW,
    "decode": SKY,
    "embed": VERMILION,
    "encode": BLUE,
    "mux": PURPLE,
    "digest, verify": LIGHT,
}


def memory_timelines(results: Results, ax: Axes) -> Axes:
    """Memory of the process tree over time at the centre, one line an arm, and its peak dotted."""
    rows = [row for arm in TIMELINES for row in results.good(results.centre.id, arm)[:1]]
    if not rows:
        return ax
    for row in rows:
        assert row.timeline is not None and row.memory_peak_mb is not None
        look = ARMS[row.arm].look
        t = [0.0, *row.timeline.t_s, row.total_time or 0.0]
        mib = [row.memory_before_mb or 0.0, *row.timeline.mib, row.memory_after_mb or 0.0]
        label = f"{row.arm}, peak {row.memory_peak_mb:,.0f} MiB"
        ax.plot(t, mib, label=label, markevery=[-1], **look)
        ax.axhline(row.memory_peak_mb, color=look["color"], linewidth=0.8, linestyle=":")
    ax.set(xlabel="wall time (s)", ylabel="memory of the process tree (MiB)")
    ax.set(xlim=(0, None), ylim=(0, None))
    ax.set_title(f"Memory over time, {results.centre.id} (dotted: the peak, which samples may miss)")
    ax.legend(ncols=2, **BELOW)
    return ax


def memory_length(results: Results, ax: Axes) -> Axes:
    """Peak memory against frames, with the fitted line of each arm and its slope at the end."""
    cell, good, ends = results.centre, results.frame[results.frame.success], []
    alike = good[(good.resolution == cell.resolution) & (good.payload == cell.payload)]
    for arm in SHOWN:
        key, look = (cell.resolution, cell.payload, arm), ARMS[arm].look
        if key in results.slopes.index:
            line, dots = results.slopes.loc[key], alike[alike.arm == arm]
            ax.plot(dots.frame_count, dots.memory_peak_mb, **{**look, "linestyle": ""})
            x = [line.shortest, line.longest]
            y = [line.base + line.slope * at for at in x]
            ax.plot(x, y, **look)
            text = f"{arm}\n{per_hundred(line.slope)} MiB\nper 100 frames"
            ends.append((x[1], y[1], text, look["color"]))
    ax.set(xlabel="video length (frames)", ylabel="peak memory (MiB)")
    ax.set(xlim=(0, None), ylim=(0, None))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_title(f"Memory against length, {cell.resolution}, {cell.payload}")
    label_ends(ax, ends, gap=0.22)
    return ax


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


def time_resolution(results: Results, ax: Axes) -> Axes:
    """Wall time of some arms by resolution, as stacked bars of stages."""
    return stages(results, ax, results.along("resolution"), SHOWN)


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
