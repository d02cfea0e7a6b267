"""The arms: ways to write a video that stand beside each other. An arm is one entry here.

Importing this loads none of what the arms need; each runs in a process of its own, ``python -m
vidstega.lab.arms ARM`` (see `vidstega.lab.arms.__main__`).
"""

from __future__ import annotations

from collections.abc import Mapping

from vidstega.lab.arms.base import Arm
from vidstega.lab.arms.control import control_arm
from vidstega.lab.arms.limits import COPY, FLOOR
from vidstega.lab.arms.ours import vidstega_arm

_ALL = (
    control_arm(
        "current",
        "the study's present system: OpenCV reads all frames into a list and writes every one again",
        {"color": "#D55E00", "marker": "s"},
        2.8,
    ),
    control_arm(
        "current+streaming",
        "the same in batches: the study's first fix",
        {"color": "#E69F00", "marker": "D"},
        2.1,
    ),
    control_arm(
        "current+parallel",
        "the frames that carry are handed to a joblib process pool: its second",
        {"color": "#CC79A7", "marker": "v", "linestyle": "--"},
        2.9,
        alone="current",
    ),
    vidstega_arm(
        "whole",
        "vidstega, every frame carries, one worker: FFmpeg without OpenCV, its third",
        {"color": "#56B4E9", "marker": "o"},
        2.4,
        method="lsb",
        spread="all",
    ),
    vidstega_arm(
        "whole+parallel",
        "the same with several workers",
        {"color": "#0072B2", "marker": "^", "linestyle": "--"},
        1.8,
        alone="whole",
        method="lsb",
        spread="all",
    ),
    vidstega_arm(
        "splice",
        "vidstega: only the frames needed are replaced, everything else is copied",
        {"color": "#009E73", "marker": "P"},
        0.6,
        method="lsb",
        spread="fewest",
    ),
    FLOOR,
    COPY,
)

ARMS: Mapping[str, Arm] = {arm.name: arm for arm in _ALL}
"""In the order of the report."""

LIMITS = tuple(arm.name for arm in _ALL if arm.kind == "limit")
OLD = tuple(arm.name for arm in _ALL if arm.kind == "control")
OURS = tuple(arm.name for arm in _ALL if arm.kind == "vidstega")
