"""The arms: ways to write a video that stand beside each other. An arm is one entry here.

Each runs in a process of its own, ``python -m vidstega.lab.arms ARM`` (see `vidstega.lab.arms.__main__`).
"""

from __future__ import annotations

from collections.abc import Mapping

from vidstega.lab.arms.base import Arm
from vidstega.lab.arms.control import control_arm
from vidstega.lab.arms.limits import COPY, FLOOR
from vidstega.lab.arms.ours import vidstega_arm

_ALL = (
    # the study's present system: OpenCV reads all frames into a list and writes every one again
    control_arm("current", {"color": "#D55E00", "marker": "s"}),
    # the same in batches: the study's first fix
    control_arm("current+streaming", {"color": "#E69F00", "marker": "D"}),
    # the frames that carry are handed to a joblib process pool: its second
    control_arm("current+parallel", {"color": "#CC79A7", "marker": "v", "linestyle": "--"}, alone="current"),
    # vidstega, every frame carries, one worker: FFmpeg without OpenCV, its third
    vidstega_arm("whole", {"color": "#56B4E9", "marker": "o"}, method="lsb", spread="all"),
    # the same with several workers
    vidstega_arm(
        "whole+parallel",
        {"color": "#0072B2", "marker": "^", "linestyle": "--"},
        alone="whole",
        method="lsb",
        spread="all",
    ),
    # vidstega: only the frames needed are replaced, everything else is copied
    vidstega_arm("splice", {"color": "#009E73", "marker": "P"}, method="lsb", spread="fewest"),
    # vidstega: the file is copied, some of its bits are changed in place
    vidstega_arm("signs", {"color": "#000000", "marker": "X"}, short=True, method="signs"),
    # vidstega, every frame carries, few samples change, and where it is hard to tell
    vidstega_arm("hill", {"color": "#F0E442", "marker": "d"}, short=True, method="hill", spread="all"),
    # vidstega: coded anew with losses, so that the message survives an upload
    vidstega_arm(
        "robust", {"color": "#999999", "marker": "h", "linestyle": ":"}, short=True, method="robust"
    ),
    # decode and code again losslessly with the codec, segments and thread of `whole`
    FLOOR,
    # copy every packet: no tool that writes a video can be faster
    COPY,
)

ARMS: Mapping[str, Arm] = {arm.name: arm for arm in _ALL}
"""In the order of the report."""

USUAL = tuple(arm.name for arm in _ALL if not arm.short)
"""What a matrix runs that names none."""
LIMITS = tuple(arm.name for arm in _ALL if arm.kind == "limit")
OURS = tuple(arm.name for arm in _ALL if arm.kind == "vidstega")
