"""How well what is hidden is found, as pictures."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from vidstega.lab.detect.rows import Detected, DetectionFile
from vidstega.lab.detect.ways import NULL
from vidstega.lab.plots.style import BLUE, GREEN, GREY, LIGHT, ORANGE, PURPLE, SKY, VERMILION

_LOOKS = {
    "lsb replacement": (GREY, "s", ":"),
    "lsb": (VERMILION, "o", "-"),
    "lsb, ideal code": (ORANGE, "^", "--"),
    "hill": (BLUE, "D", "-"),
}
_ALPHA = 0.1
_FILES = {"cover": GREY, "signs": GREEN, "hill": BLUE, "lsb, all": SKY, "lsb, fewest": VERMILION}


def _of_tiles(data: DetectionFile, where: str = "tile") -> dict[str, list[Detected]]:
    names = dict.fromkeys(row.way for row in data.rows if row.where == where and row.way != NULL)
    return {name: sorted(data.of(name, where), key=lambda row: row.alpha or 0) for name in names}


def _look(name: str) -> tuple[str, str, str]:
    return _LOOKS.get(name, (PURPLE, "v", "-."))


def detection_error(data: DetectionFile, ax: Axes, where: str = "tile") -> Axes:
    """P_E against bits a sample, with intervals as bands, and a line where nothing is known."""
    for name, rows in _of_tiles(data, where).items():
        color, marker, line = _look(name)
        alphas = [row.alpha or 0 for row in rows]
        ax.fill_between(
            alphas, [row.low for row in rows], [row.high for row in rows], color=color, alpha=0.15
        )
        ax.plot(alphas, [row.p_e for row in rows], color=color, marker=marker, linestyle=line, label=name)
    ax.axhline(0.5, color=LIGHT, zorder=0)
    ax.set_xscale("log")
    rates = sorted({row.alpha for row in data.rows if row.where == where and row.alpha is not None})
    ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
    ax.minorticks_off()
    ax.set_ylim(0, 0.7)
    ax.set_xlabel("message (bits a sample)")
    ax.set_ylabel("error on unseen scenes (share)")
    ax.set_title(f"Error, one {where}{'' if data.evidence else ', synthetic: no evidence'}")
    ax.legend(loc="upper right", fontsize=9, ncols=2)
    return ax


def detection_roc(data: DetectionFile, ax: Axes, where: str = "tile") -> Axes:
    """Hits against false alarms at the measured rate next to 0.1 bits a sample."""
    for name, rows in _of_tiles(data, where).items():
        row = min(rows, key=lambda one: abs(np.log((one.alpha or 1e-9) / _ALPHA)))
        color, _, line = _look(name)
        told = f"{name}, {row.alpha:g}: {row.auc:.2f}"
        ax.plot(np.linspace(0, 1, len(row.roc)), row.roc, color=color, linestyle=line, label=told)
    ax.plot([0, 1], [0, 1], color=LIGHT, zorder=0)
    ax.set_xlabel("false alarms (share of covers)")
    ax.set_ylabel("hits (share of stegos)")
    ax.set_title("ROC, and the area under it")
    ax.legend(loc="lower right", fontsize=9)
    return ax


def detection_content(data: DetectionFile, ax: Axes) -> Axes:
    """P_E at the smallest rate on tiles by how much of them is copied, with intervals; columns are thirds."""
    names = list(dict.fromkeys(row.way for row in data.apart if row.by == "copied"))
    parts: list[tuple[float, float]] = []
    for number, name in enumerate(names):
        rows = [min(part, key=lambda row: row.alpha) for part in data.cuts("copied", name)]
        parts = [row.copied or (0, 1) for row in rows]
        at, p_e = np.arange(len(rows)) + 0.15 * (number - (len(names) - 1) / 2), [row.p_e for row in rows]
        reach = [[row.p_e - row.low for row in rows], [row.high - row.p_e for row in rows]]
        color, marker, _ = _look(name)
        label = f"{name}, {rows[0].alpha:g} bits a sample"
        ax.errorbar(at, p_e, yerr=reach, color=color, marker=marker, linestyle="", capsize=4, label=label)
    ax.axhline(0.5, color=LIGHT, zorder=0)
    ax.set_xticks(range(len(parts)), [f"{100 * low:.0f} to {100 * high:.0f} %" for low, high in parts])
    ax.set_ylim(0, 0.7)
    ax.set_xlabel("samples that are copies of a frame beside")
    ax.set_ylabel("error on unseen scenes (share)")
    ax.set_title("By content")
    if names:
        ax.legend(loc="upper right", fontsize=9)
    return ax


def packet_sizes(data: DetectionFile, ax: Axes) -> Axes:
    """The largest packet of each file, by what was done to it, with the covers' range behind all."""
    covers = [one.largest for one in data.files if one.way == "cover"]
    if covers:
        ax.axvspan(min(covers), max(covers), color=LIGHT, alpha=0.5, zorder=0)
    names = [name for name in _FILES if any(one.way == name for one in data.files)]
    for height, name in enumerate(names):
        some = [one for one in data.files if one.way == name]
        beside = height + np.linspace(-0.25, 0.25, len(some))
        for found, marker in ((True, "o"), (False, "x")):
            at = [number for number, one in enumerate(some) if one.found == found]
            x, y = [some[number].largest for number in at], [beside[number] for number in at]
            ax.scatter(x, y, color=_FILES[name], marker=marker)
    ax.set_xscale("log")
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("largest packet (bits/luma sample)")
    ax.set_title("Found o, not found x")
    return ax
