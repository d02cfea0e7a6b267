"""How figures look: colours of Okabe and Ito, which the colour-blind can tell apart, and room for labels.

Where colours stand for arms, marker and line style differ, too; an arm's look is in its entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE, GREY, LIGHT = "#0072B2", "#D55E00", "#CC79A7", "#999999", "#DDDDDD"
BELOW: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.45, -0.16)}
"""Of a legend under the axes."""
_STYLE: dict[str, Any] = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "svg.hashsalt": "vidstega",
}


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's own defaults with ours on top, whatever the user has set."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)  # type: ignore[arg-type, unused-ignore]
        yield


def label_ends(ax: Axes, ends: Sequence[tuple[float, float, str, str]], gap: float) -> None:
    """Write (x, y, text, colour) beside the ends of lines, moved apart by `gap` of the axis."""
    low, high = ax.get_ylim()
    at = -1.0
    for x, y, text, color in sorted(ends, key=lambda end: end[1]):
        at = max((y - low) / (high - low), at + gap)
        place: dict[str, Any] = {"textcoords": "axes fraction", "va": "center", "color": color}
        arrow = {"arrowstyle": "-", "color": color, "linewidth": 0.6, "shrinkA": 0}
        ax.annotate(text, (x, y), (1.02, at), arrowprops=arrow, annotation_clip=False, **place)
