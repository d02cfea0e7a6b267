"""Figures of the stress lab. Functions take results and axes, draw, and return the axes.

Colours are those of Okabe and Ito, which the colour-blind can tell apart; where they stand for arms,
marker and line style differ, too. `write_figures` writes the same bytes from the same results within one
environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

import vidstega
from vidstega import video
from vidstega.lab.arms import PARALLEL
from vidstega.lab.report import Place, Results
from vidstega.lab.users import PeakMemory, Users, Visit, Watch

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
GREY = "#999999"

ARM_STYLE: Mapping[str, Mapping[str, Any]] = {
    "current": {"color": VERMILION, "marker": "s"},
    "current+streaming": {"color": ORANGE, "marker": "D"},
    "current+parallel": {"color": PURPLE, "marker": "v", "linestyle": "--"},
    "whole": {"color": SKY, "marker": "o"},
    "whole+parallel": {"color": BLUE, "marker": "^", "linestyle": "--"},
    "splice": {"color": GREEN, "marker": "P"},
    "floor": {"color": BLACK, "marker": "_", "linestyle": ":"},
    "copy": {"color": GREY, "marker": "x", "linestyle": ":"},
}
STAGE_STYLE = {
    "start": (("probe", "plan", "seal"), "probe, plan, seal", YELLOW, ""),
    "decode": (("decode",), "decode", SKY, ""),
    "embed": (("embed",), "embed", VERMILION, ""),
    "encode": (("encode",), "encode", BLUE, ""),
    "mux": (("mux",), "mux", PURPLE, ""),
    "verify": (("digest", "verify"), "digest, verify", "#DDDDDD", "//"),
}
STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "vidstega",
}
TIMELINES = ("current", "current+streaming", "whole", "splice")
STAGES_BY_RESOLUTION = ("current", "whole", "splice")


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's own defaults with ours on top, whatever the user has set."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)  # type: ignore[arg-type, unused-ignore]
        yield


# -- what is drawn --------------------------------------------------------------------------------------


def stages(results: Results, ax: Axes, place: Place | None = None) -> Axes:
    """Wall time of every arm at a cell as stacked bars of stages."""
    place = place or results.centre
    arms = [arm for arm in results.arms if results.rows(place, arm)]
    longest = max((_total(results, place, arm) for arm in arms), default=1.0)
    for y, arm in enumerate(arms):
        _stack(results, place, arm, ax, y, across=True)
        total = _total(results, place, arm)
        ax.text(total + 0.01 * longest, y, f"{total:.2f} s", va="center")
    ax.set_yticks(range(len(arms)), arms)
    ax.invert_yaxis()
    ax.set_xlim(0, 1.12 * longest)
    ax.set(xlabel="wall time (s)", title=f"Where the time goes, {place.id}")
    ax.legend(*_stage_legend(), loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def time_resolution(results: Results, ax: Axes, arms: Sequence[str] = STAGES_BY_RESOLUTION) -> Axes:
    """Wall time against resolution, stacked by stage, a group of bars for each resolution."""
    places = [one for one in results.by_resolution() if any(results.rows(one, arm) for arm in arms)]
    width = 0.8 / len(arms)
    ticks, names = [], []
    for x, place in enumerate(places):
        for k, arm in enumerate(arms):
            at = x + (k - (len(arms) - 1) / 2) * width
            ticks.append(at)
            names.append(arm)
            if results.rows(place, arm):
                _stack(results, place, arm, ax, at, across=False, thickness=0.9 * width)
            else:
                ax.annotate(results.status(place, arm), (at, 0), (0, 3), textcoords="offset points",
                            ha="center", va="bottom", rotation=90, fontsize=8)  # fmt: skip
    ax.set_xticks(ticks, names, rotation=90, fontsize=8)
    for x, place in enumerate(places):
        ax.text(
            x,
            1.0,
            place.resolution,
            transform=ax.get_xaxis_transform(),
            ha="center",
            va="bottom",
            weight="bold",
        )
    middle = results.centre
    what = middle.payload if results.own else f"{middle.frames} frames, {middle.payload}"
    ax.set(ylabel="wall time (s)")
    ax.set_title(f"Time against resolution, {what}", pad=20)
    ax.legend(*_stage_legend(), loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def memory_timelines(
    results: Results, ax: Axes, place: Place | None = None, arms: Sequence[str] = TIMELINES
) -> Axes:
    """Memory of the process tree over time, one line per arm, and its peak dotted, at a cell."""
    place = place or results.centre
    for arm in arms:
        if rows := results.rows(place, arm):
            line, row = rows[0]["timeline"], rows[0]
            t = [0.0, *line["t_s"], row["total_time"]]
            mib = [row["memory_before_mb"], *line["mib"], row["memory_after_mb"]]
            label = f"{arm}, peak {row['memory_peak_mb']:,.0f} MiB"
            ax.plot(t, mib, label=label, markevery=[-1], **ARM_STYLE[arm])
            ax.axhline(row["memory_peak_mb"], color=ARM_STYLE[arm]["color"], linewidth=0.8, linestyle=":")
    ax.set_ylim(bottom=0)
    ax.set_xlim(left=0)
    ax.set(xlabel="wall time (s)", ylabel="memory of the process tree (MiB)",
           title=f"Memory over time, {place.id} (dotted: the peak, which samples may miss)")  # fmt: skip
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def memory_length(results: Results, ax: Axes, place: Place | None = None) -> Axes:
    """Peak memory against frames with the fitted line of each arm."""
    place = place or results.centre
    for arm in results.carriers:
        line = results.line(place, arm)
        if line is None:
            continue
        look = dict(ARM_STYLE[arm])
        dots = [(one.frames, row["memory_peak_mb"]) for one in results.by_length(place)
                for row in results.rows(one, arm)]  # fmt: skip
        ends = line.lengths[0], line.lengths[-1]
        marker = look.pop("marker")
        ax.plot(*zip(*dots, strict=True), linestyle="", marker=marker, color=look["color"])
        label = f"{arm}: {round(100 * line.slope, 1) + 0.0:+,.1f} MiB per 100 frames"
        ax.plot(
            ends,
            [line.base + line.slope * end for end in ends],
            label=label,
            marker=marker,
            markevery=[],
            **look,
        )
    ax.set_ylim(bottom=0)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="video length (frames)", ylabel="peak memory (MiB)",
           title=f"Memory against length, {place.resolution}, {place.payload}")  # fmt: skip
    handles, labels = ax.get_legend_handles_labels()
    for handle in handles:
        if isinstance(handle, Line2D):
            handle.set_markevery(None)
    ax.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    for handle in handles:
        if isinstance(handle, Line2D):
            handle.set_markevery([])
    return ax


def speedup(results: Results, ax: Axes) -> Axes:
    """Speed-up against workers, one line per parallel arm and resolution, beside the ideal."""
    most, marks = 1, "os^vDP*X"
    for arm in PARALLEL:
        for k, place in enumerate(results.by_resolution()):
            points = _speedups(results, place, arm)
            if points:
                most = max(most, *points)
                ax.plot([1, *points], [1.0, *points.values()], color=ARM_STYLE[arm]["color"],
                        linestyle=("-", "--", "-.", ":")[k % 4], marker=marks[k % len(marks)],
                        label=f"{arm}, {place.resolution}")  # fmt: skip
    ax.plot([1, most], [1, most], color=GREY, linestyle=(0, (1, 3)), label="ideal")
    ax.set_xticks(range(1, most + 1))
    ax.set_xlim(0.9, most + 0.1)
    ax.set_ylim(bottom=0)
    ax.set(xlabel="workers", ylabel="speed-up (times)", title="Speed-up with workers")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def heat_map(results: Results, ax: Axes, name: str = "total_time", title: str = "wall time (s)") -> Axes:
    """A figure of the matrix, resolution by arm, on a logarithmic scale, each cell with its number."""
    places, arms = results.by_resolution(), results.arms
    values = [[_mid(results, place, arm, name) for arm in arms] for place in places]
    known = [value for line in values for value in line if value]
    norm = LogNorm(min(known), max(max(known), min(known) * 1.001))
    shown = [[value or float("nan") for value in line] for line in values]
    image = ax.imshow(shown, norm=norm, cmap="cividis", aspect="auto")
    for y, place in enumerate(places):
        for x, arm in enumerate(arms):
            value = values[y][x]
            text = results.status(place, arm) if value is None else _short(value)
            dark = value is not None and norm(value) < 0.55
            bold = "bold" if text == "failed" else "normal"
            ax.text(x, y, text, ha="center", va="center", color="white" if dark else "black", weight=bold,
                    fontsize=8 if value is None else 10)  # fmt: skip
    ax.set_xticks(range(len(arms)), arms, rotation=30, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(places)), [place.resolution for place in places])
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    bar = ax.figure.colorbar(image, ax=ax, label=title)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    return ax


# -- one cover and its stego file -----------------------------------------------------------------------


def frame(path: str | os.PathLike[str], number: int, ax: Axes) -> Axes:
    """The luma of one frame."""
    (one,) = vidstega.frames(path, number, number + 1)
    ax.imshow(one.luma, cmap="gray", vmin=0, vmax=2**one.depth - 1)
    ax.set(xticks=[], yticks=[], title=f"{Path(path).name}, frame {number}")
    return ax


def difference(
    cover: str | os.PathLike[str], stego: str | os.PathLike[str], number: int, ax: Axes, gain: int = 100
) -> Axes:
    """The luma of a stego frame less that of the cover's, so many times amplified, around grey."""
    (before,), (after,) = (vidstega.frames(path, number, number + 1) for path in (cover, stego))
    signed = after.luma.astype(np.int32) - before.luma
    half = 2 ** (before.depth - 1)
    ax.imshow(signed * gain, cmap="gray", vmin=-half, vmax=half, interpolation="nearest")
    changed = np.count_nonzero(signed) / signed.size
    ax.set(xticks=[], yticks=[], title=f"difference x{gain}, {changed:.1%} of the samples")
    return ax


def changed_frames(cover: str | os.PathLike[str], stego: str | os.PathLike[str]) -> list[int]:
    """Numbers of the frames whose packet is not, by its digest, the cover's."""
    before, after = (_by_time(path) for path in (cover, stego))
    return [number for number, one in enumerate(after) if one["digest"] not in before["digest"]]


def packets(cover: str | os.PathLike[str], stego: str | os.PathLike[str], ax: Axes) -> Axes:
    """Sizes of the video packets of a stego file in order of display: copied ones and new ones."""
    after, new = _by_time(stego), set(changed_frames(cover, stego))
    for label, color, wanted in (("copied from the cover", SKY, False), ("new", VERMILION, True)):
        numbers = [number for number in range(len(after)) if (number in new) is wanted]
        ax.bar(numbers, [after["size"][k] / 1000 for k in numbers], 1.0, color=color, label=label)
    ax.set_yscale("log")
    ax.set(xlabel="frame (number)", ylabel="packet size (kB)", title="What changed in the file")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _by_time(path: str | os.PathLike[str]) -> Any:
    rows = video.scan(path, digest=True).packets
    return rows[np.argsort(rows["pts"], kind="stable")]


# -- figures in files -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawing:
    """A figure of the report: what it shows, how large it is (inches), how it is drawn, and if it can be."""

    alt: str
    size: tuple[float, float]
    draw: Callable[[Results, Figure], object]
    has_data: Callable[[Results], bool]


def write_figures(results: Results, folder: str | os.PathLike[str]) -> list[Path]:
    """Write each figure that there are data for as PNG, remove the others, and return the paths."""
    where, paths = Path(folder), []
    for name in FIGURES:
        path = where / f"{name}.png"
        if FIGURES[name].has_data(results):
            where.mkdir(parents=True, exist_ok=True)
            with style():
                draw(results, name).savefig(path, dpi=120, metadata={"Software": None})
            paths.append(path)
        else:
            path.unlink(missing_ok=True)
    return paths


def write_users(users: Users, folder: str | os.PathLike[str]) -> None:
    """Write the figure on concurrent users, or remove it where they were not measured."""
    path = Path(folder) / "users.png"
    if not users.data.get("levels"):
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with style():
        draw_users(users).savefig(path, dpi=120, metadata={"Software": None})


def draw_users(users: Users) -> Figure:
    """Users carried by resolution, and what it took to find out."""
    with style():
        figure = Figure(figsize=(10.5, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(2, 3))
        users_carried(users, left)
        users_p95(users, right)
    return figure


def visits(seen: Sequence[Visit], ax: Axes) -> Axes:
    """Seconds from upload to result of each user, in the order of who was done first."""
    colors = {"done": GREEN, "refused": ORANGE}
    rows = sorted(seen, key=lambda one: one.seconds)
    for y, one in enumerate(rows):
        ax.barh(y, one.seconds, 0.7, color=colors.get(one.outcome, VERMILION))
        told = f"{one.outcome}, refused {one.refusals}x before" if one.refusals else one.outcome
        ax.annotate(told, (one.seconds, y), (4, 0), textcoords="offset points", va="center", fontsize=8)
    ax.set_xlim(0, 1.5 * max((one.seconds for one in rows), default=1))
    ax.set_yticks(range(len(rows)), [f"user {one.user + 1}" for one in rows], fontsize=8)
    ax.set(xlabel="from upload to result (s)", title="Time to result")
    return ax


def memory_budget(memory: PeakMemory, budget_bytes: int, ax: Axes) -> Axes:
    """Memory of a process tree over time, below its budget."""
    ax.plot(memory.seconds, [value / (1 << 20) for value in memory.values], color=BLUE)
    ax.axhline(budget_bytes / (1 << 20), color=VERMILION, linestyle="--")
    ax.annotate("budget", (0, budget_bytes / (1 << 20)), (2, -3), textcoords="offset points", va="top")
    ax.set_ylim(0, 1.1 * budget_bytes / (1 << 20))
    ax.set(xlabel="time (s)", ylabel="server and jobs, PSS (MiB)", title="Memory")
    return ax


def workers(watch: Watch, ax: Axes, spans: Mapping[str, tuple[float, float]]) -> Axes:
    """Workers over time, with the spans in which there was something to do."""
    ax.step(watch.seconds, watch.values, where="post", color=BLUE)
    for name, (start, end) in spans.items():
        ax.axvspan(start, end, color=GREY, alpha=0.25, label=name)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylim(-0.1, max(watch.values, default=1) + 0.6)
    ax.set(xlabel="time (s)", ylabel="workers (number)", title="Workers of the cluster")
    ax.legend(loc="upper right")
    return ax


def users_carried(users: Users, ax: Axes) -> Axes:
    """The most simultaneous users that were carried, by resolution and arm."""
    entries = users.data["carried"]
    places = list(dict.fromkeys(one["resolution"] for one in entries))
    arms = list(dict.fromkeys(one["arm"] for one in entries))
    width = 0.8 / len(arms)
    for k, arm in enumerate(arms):
        for x, place in enumerate(places):
            if (count := users.get((arm, place))) is not None:
                at = x + (k - (len(arms) - 1) / 2) * width
                ax.bar(at, count, 0.9 * width, color=ARM_STYLE[arm]["color"], label="" if x else arm)
                more = "≥ " if users.bounded((arm, place)) else ""
                ax.annotate(f"{more}{count}", (at, count), (0, 2), textcoords="offset points", ha="center")
    ax.set_xticks(range(len(places)), places)
    ax.set(ylabel="users (number)", title=f"Carried within {users.data['limit_s']:g} s")
    ax.legend(loc="upper right")
    return ax


def users_p95(users: Users, ax: Axes) -> Axes:
    """The 95th percentile of the time to a result against simultaneous users."""
    limit, colors = users.data["limit_s"], (BLUE, SKY, ORANGE, PURPLE, GREEN, BLACK)
    places = list(dict.fromkeys(one["resolution"] for one in users.data["carried"]))
    for color, place in zip(colors, places, strict=False):
        for arm, line in (("splice", "-"), ("current", ":")):
            rows = [one for one in users.levels(arm, place) if one["p95_s"] is not None]
            if rows:
                ax.plot([one["users"] for one in rows], [one["p95_s"] for one in rows], line, color=color,
                        marker=ARM_STYLE[arm]["marker"], markersize=5, label=f"{place}, {arm}")  # fmt: skip
    ax.axhline(limit, color=VERMILION, linewidth=1, linestyle="--")
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set(xlabel="simultaneous users (number)", ylabel="p95 from upload to result (s)",
           title="Time to result")  # fmt: skip
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)
    return ax


def draw(results: Results, name: str) -> Figure:
    """One of `FIGURES` by its name."""
    one = FIGURES[name]
    with style():
        figure = Figure(figsize=one.size, layout="constrained")
        one.draw(results, figure)
    return figure


def _heat_maps(results: Results, figure: Figure) -> None:
    above, below = figure.subplots(2, 1)
    heat_map(results, above)
    heat_map(results, below, "memory_peak_mb", "peak memory (MiB)")


def _any(arms: Sequence[str] | None = None) -> Callable[[Results], bool]:
    """Whether any of the arms, or of all, has a good run in a cell of the resolutions."""
    return lambda results: any(
        results.rows(place, arm) for place in results.by_resolution() for arm in arms or results.arms
    )


def _at_centre(arms: Sequence[str] | None = None) -> Callable[[Results], bool]:
    return lambda results: any(results.rows(results.centre, arm) for arm in arms or results.arms)


def _one(axes: Callable[[Results, Axes], Axes]) -> Callable[[Results, Figure], object]:
    return lambda results, figure: axes(results, figure.subplots())


def _any_line(results: Results) -> bool:
    return any(results.line(results.centre, arm) for arm in results.carriers)


def _any_speedup(results: Results) -> bool:
    return any(_speedups(results, place, arm) for place in results.by_resolution() for arm in PARALLEL)


FIGURES: Mapping[str, Drawing] = {
    "heat_map": Drawing("Time and peak memory by resolution and arm", (9.5, 7.5), _heat_maps, _any()),
    "memory_length": Drawing("Peak memory against video length", (9.5, 4.5), _one(memory_length), _any_line),
    "memory_timelines": Drawing(
        "Memory over time", (9.5, 4.5), _one(memory_timelines), _at_centre(TIMELINES)
    ),
    "time_resolution": Drawing(
        "Time against resolution by stage", (9.5, 5), _one(time_resolution), _any(STAGES_BY_RESOLUTION)
    ),
    "stages": Drawing("Stages of every arm", (9.5, 4), _one(stages), _at_centre()),
    "speedup": Drawing("Speed-up with workers", (8, 4.5), _one(speedup), _any_speedup),
}


# -- helpers --------------------------------------------------------------------------------------------


def _stack(
    results: Results, place: Place, arm: str, ax: Axes, at: float, *, across: bool, thickness: float = 0.7
) -> None:
    start = 0.0
    for names, _, color, hatch in STAGE_STYLE.values():
        size = sum(_mid(results, place, arm, f"stages.{name}") or 0.0 for name in names)
        look: dict[str, Any] = {"color": color, "hatch": hatch, "edgecolor": "#555555", "linewidth": 0.4}
        if across:
            ax.barh(at, size, thickness, left=start, **look)
        else:
            ax.bar(at, size, thickness, bottom=start, **look)
        start += size


def _stage_legend() -> tuple[list[Any], list[str]]:
    from matplotlib.patches import Patch

    patches = [
        Patch(facecolor=color, hatch=hatch, edgecolor="#555555", linewidth=0.4)
        for _, _, color, hatch in STAGE_STYLE.values()
    ]
    return patches, [label for _, label, _, _ in STAGE_STYLE.values()]


def _mid(results: Results, place: Place, arm: str, name: str) -> float | None:
    spread = results.value(place, arm, name)
    return None if spread is None else spread.mid


def _total(results: Results, place: Place, arm: str) -> float:
    return _mid(results, place, arm, "total_time") or 0.0


def _speedups(results: Results, place: Place, arm: str) -> dict[int, float]:
    """Median speed-up by workers."""
    found: dict[int, list[float]] = {}
    for row in results.rows(place, arm):
        if row["speedup"] is not None:
            found.setdefault(int(row["workers"]), []).append(row["speedup"])
    return {workers: sorted(all_)[len(all_) // 2] for workers, all_ in sorted(found.items())}


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"
