"""Memory: over time, and against the length of the video."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from vidstega.lab.arms import ARMS
from vidstega.lab.plots.style import label_ends
from vidstega.lab.results import Results
from vidstega.lab.schema import Planned

TIMELINES = ("current", "current+streaming", "whole", "splice")
LENGTHS = ("current", "whole", "splice")


def memory_timelines(
    results: Results, ax: Axes, cell: Planned | None = None, arms: Sequence[str] = TIMELINES
) -> Axes:
    """Memory of the process tree over time, one line an arm, and its peak dotted, at a cell."""
    cell = cell or results.centre
    for arm in arms:
        for row in results.good(cell.id, arm)[:1]:
            assert row.timeline is not None and row.memory_peak_mb is not None
            look = ARMS[arm].look
            t = [0.0, *row.timeline.t_s, row.total_time or 0.0]
            mib = [row.memory_before_mb or 0.0, *row.timeline.mib, row.memory_after_mb or 0.0]
            label = f"{arm}, peak {row.memory_peak_mb:,.0f} MiB"
            ax.plot(t, mib, label=label, markevery=[-1], **look)
            ax.axhline(row.memory_peak_mb, color=look["color"], linewidth=0.8, linestyle=":")
    ax.set_ylim(bottom=0)
    ax.set_xlim(left=0)
    ax.set(xlabel="wall time (s)", ylabel="memory of the process tree (MiB)")
    ax.set_title(f"Memory over time, {cell.id} (dotted: the peak, which samples may miss)")
    ax.legend(loc="upper center", bbox_to_anchor=(0.45, -0.16), ncols=2)
    return ax


def memory_length(
    results: Results, ax: Axes, cell: Planned | None = None, arms: Sequence[str] = LENGTHS
) -> Axes:
    """Peak memory against frames, with the fitted line of each arm and its slope at the end."""
    cell = cell or results.centre
    good = results.frame[results.frame.success]
    alike = good[(good.resolution == cell.resolution) & (good.payload == cell.payload)]
    ends = []
    for arm in arms:
        if (cell.resolution, cell.payload, arm) not in results.slopes.index:
            continue
        line, look = results.slopes.loc[(cell.resolution, cell.payload, arm)], dict(ARMS[arm].look)
        dots, marker = alike[alike.arm == arm], look.pop("marker")
        ax.plot(dots.frame_count, dots.memory_peak_mb, linestyle="", marker=marker, color=look["color"])
        x = [line.shortest, line.longest]
        y = [line.base + line.slope * at for at in x]
        ax.plot(x, y, **look)
        slope = round(100 * line.slope, 1) + 0.0
        ends.append((x[1], y[1], f"{arm}\n{slope:+,.1f} MiB\nper 100 frames", look["color"]))
    ax.set_ylim(bottom=0)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="video length (frames)", ylabel="peak memory (MiB)")
    ax.set_title(f"Memory against length, {cell.resolution}, {cell.payload}")
    label_ends(ax, ends, gap=0.22)
    return ax
