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
    changed = list(islice(_changed(arm, job), frames_used or None))
    at = np.linspace(0, len(changed) - 1, min(MOST_FRAMES, len(changed))).round().astype(int)
    wanted = {changed[k] for k in at}
    rows, depth = [], 8
    for number, before, after, depth in _pairs(arm, job):
        if number in wanted:
            rows += [_measure(a, b, depth) for a, b in zip(before, after, strict=True)]
        if number >= max(wanted, default=-1):
            break
    mean = {name: float(np.mean([row[name] for row in rows])) for name in (rows[0] if rows else ())}
    error = mean.pop("mse", 0.0)
    psnr = 10 * math.log10((2**depth - 1) ** 2 / error) if error else None
    return {**mean, "psnr_db": psnr, "quality_frames": len(wanted), "quality_domain": arm.domain}


def _pairs(arm: Arm, job: Job) -> Iterator[tuple[int, Planes, Planes, int]]:
    assert arm.frames is not None
    pairs = zip(arm.frames(job.cover), arm.frames(job.stego), strict=True)
    for number, ((before, depth), (after, _)) in enumerate(pairs):
        yield number, before, after, depth


def _changed(arm: Arm, job: Job) -> Iterator[int]:
    for number, before, after, _ in _pairs(arm, job):
        if not all(map(np.array_equal, before, after)):
            yield number


def _measure(before: Any, after: Any, depth: int) -> dict[str, float]:
    large = min(before.shape) >= 11
    return {
        "mse": quality.mse(before, after),
        "ssim": quality.ssim(before, after, depth) if large else math.nan,
        "change_rate": quality.change_rate(before, after),
        "ws_alpha": quality.estimate_alpha(after),
        "ws_alpha_cover": quality.estimate_alpha(before),
    }
