"""How much the frames that an arm changed differ from the cover's."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from vidstega.lab import quality
from vidstega.lab.arms.base import Arm, Job, Planes

MOST_FRAMES = 3
"""Changed frames that are measured; they are spread evenly over all that changed."""


def compare(arm: Arm, job: Job, frames_used: int) -> dict[str, Any]:
    """Means over the planes of some changed frames, in the samples that the arm embeds in."""
    changes = (n for n, before, after, _ in _pairs(arm, job) if not all(map(np.array_equal, before, after)))
    changed = list(islice(changes, frames_used or None))
    at = np.linspace(0, len(changed) - 1, min(MOST_FRAMES, len(changed))).round().astype(int)
    wanted = {changed[k] for k in at}
    seen = {
        "quality_frames": len(wanted),
        "quality_domain": "bgr" if arm.kind == "control" else "luma",
    }
    rows = [
        _measure(*planes, depth)
        for n, before, after, depth in islice(_pairs(arm, job), max(wanted, default=-1) + 1)
        for planes in zip(before, after, strict=True)
        if n in wanted
    ]
    if not rows:
        return seen
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    psnr = -10 * math.log10(mean.pop("error"))
    return {**mean, "psnr_db": psnr, **seen}


def _pairs(arm: Arm, job: Job) -> Iterator[tuple[int, Planes, Planes, int]]:
    assert arm.frames is not None
    pairs = zip(arm.frames(job.cover), arm.frames(job.stego), strict=True)
    for number, ((before, depth), (after, _)) in enumerate(pairs):
        yield number, before, after, depth


def _measure(before: Any, after: Any, depth: int) -> dict[str, float]:
    """Error is the mean square over that of the peak."""
    return {
        "error": quality.mse(before, after) / (2**depth - 1) ** 2,
        "ssim": quality.ssim(before, after, depth) if min(before.shape) >= 11 else math.nan,
        "change_rate": quality.change_rate(before, after),
        "ws_alpha": quality.estimate_alpha(after),
        "ws_alpha_cover": quality.estimate_alpha(before),
    }
