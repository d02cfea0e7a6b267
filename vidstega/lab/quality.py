"""How much frames that carry differ from their covers. Planes are (height, width) arrays of whole samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[Any]
Floats = NDArray[np.float64]
Planes = tuple[Plane, ...]
Frames = Callable[[str], Iterator[tuple[Planes, int]]]
"""Of a path, the planes of each frame that may be changed, and their depth in bits."""

MOST_FRAMES = 3
"""Changed frames that are measured; they are spread evenly over all that changed."""

_TAPS = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
_TAPS /= _TAPS.sum()
_BAND = 1 << 15  # samples


def compare(frames: Frames, cover: str, stego: str, carrying: int) -> dict[str, float]:
    """Means over the planes of some changed frames; nothing if none changed."""

    def pairs() -> Iterator[tuple[int, list[tuple[Plane, Plane]], int]]:
        both = zip(frames(cover), frames(stego), strict=True)
        for number, ((before, depth), (after, _)) in enumerate(both):
            yield number, list(zip(before, after, strict=True)), depth

    changes = (n for n, planes, _ in pairs() if not all(np.array_equal(*pair) for pair in planes))
    changed = list(islice(changes, carrying or None))
    at = np.linspace(0, len(changed) - 1, min(MOST_FRAMES, len(changed))).round().astype(int)
    wanted = {changed[k] for k in at}
    some = islice(pairs(), max(wanted, default=-1) + 1)
    rows = [_measure(*pair, depth) for n, planes, depth in some if n in wanted for pair in planes]
    if not rows:
        return {}
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return {"psnr_db": -10 * math.log10(mean.pop("error")), **mean}


def _measure(before: Plane, after: Plane, depth: int) -> dict[str, float]:
    """Error is the mean square over that of the peak."""
    return {
        "error": mse(before, after) / (2**depth - 1) ** 2,
        "ssim": ssim(before, after, depth) if min(before.shape) >= len(_TAPS) else math.nan,
        "change_rate": change_rate(before, after),
    }


def change_rate(cover: Plane, stego: Plane) -> float:
    """Share of samples that differ, 0 to 1. LSB matching at alpha bits a sample changes alpha / 2."""
    return float(np.count_nonzero(cover != stego)) / cover.size


def mse(cover: Plane, stego: Plane) -> float:
    """Mean squared difference of the samples."""
    difference = cover.astype(np.int32) - stego.astype(np.int32)
    return float(np.mean(difference * difference, dtype=np.float64))


def psnr_db(cover: Plane, stego: Plane, depth: int = 8) -> float:
    """Peak signal-to-noise ratio in dB; infinite for equal planes."""
    error = mse(cover, stego)
    return math.inf if error == 0 else 10 * math.log10((2**depth - 1) ** 2 / error)


def ssim(cover: Plane, stego: Plane, depth: int = 8) -> float:
    """Mean structural similarity, 1 for equal planes.

    Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error visibility
    to structural similarity", IEEE Trans. Image Processing 13(4), 2004: an 11 x 11 Gaussian window of
    deviation 1.5, K1 = 0.01, K2 = 0.03, population moments, windows that lie within the plane, no
    down-sampling.

    Raises
    ------
    ValueError
        If a side is under 11 samples.
    """
    if min(cover.shape) < len(_TAPS):
        raise ValueError(f"planes of {cover.shape} are smaller than the window of {len(_TAPS)} samples")
    c1, c2 = ((k * (2**depth - 1)) ** 2 for k in (0.01, 0.03))
    margin, step = len(_TAPS) - 1, max(1, _BAND // cover.shape[1])  # some rows at a time stay in the cache
    total = windows = 0.0
    for start in range(0, len(cover) - margin, step):
        rows = slice(start, start + step + margin)
        local = _ssim_map(cover[rows].astype(np.float64), stego[rows].astype(np.float64), c1, c2)
        total, windows = total + float(local.sum()), windows + local.size
    return total / windows


def _ssim_map(x: Floats, y: Floats, c1: float, c2: float) -> Floats:
    mean_x, mean_y = _blur(x), _blur(y)
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance, variances = _blur(x * y) - product, _blur(x * x + y * y) - squares
    return np.asarray((2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2)))


def _blur(plane: Floats) -> Floats:
    """The Gaussian window's mean wherever the window lies within the plane."""
    for _ in plane.shape:  # rows, then columns, each time turned over
        size = len(plane) - len(_TAPS) + 1
        plane = np.asarray(sum(tap * plane[at : at + size] for at, tap in enumerate(_TAPS))).T
    return plane
