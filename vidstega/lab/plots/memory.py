"""Memory: over time, and against the length of the video."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from vidstega.lab.arms import ARMS
from vidstega.lab.plots.style import BELOW, label_ends
from vidstega.lab.results import Results
from vidstega.lab.text import per_hundred

TIMELINES = ("current", "current+streaming", "whole", "splice")
LENGTHS = ("current", "whole", "splice")


def memory_timelines(results: Results, ax: Axes, arms: Sequence[str] = TIMELINES) -> Axes:
    """Memory of the process tree over time at the centre, one line an arm, and its peak dotted."""
    rows = [row for arm in arms for row in results.good(results.centre.id, arm)[:1]]
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


def memory_length(results: Results, ax: Axes, arms: Sequence[str] = LENGTHS) -> Axes:
    """Peak memory against frames, with the fitted line of each arm and its slope at the end."""
    cell, good, ends = results.centre, results.frame[results.frame.success], []
    alike = good[(good.resolution == cell.resolution) & (good.payload == cell.payload)]
    for arm in arms:
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
