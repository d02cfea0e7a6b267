"""How much a carrying frame differs from its cover, and what a detector makes of it.

Planes are (height, width) arrays of whole samples. Nothing here opens a file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[Any]
Floats = NDArray[np.float64]

_TAPS = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
_TAPS /= _TAPS.sum()
_BAND = 1 << 15  # samples


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
    total = windows = 0.0
    for rows in _bands(cover.shape, len(_TAPS) - 1):
        local = _ssim_map(cover[rows].astype(np.float64), stego[rows].astype(np.float64), c1, c2)
        total, windows = total + float(local.sum()), windows + local.size
    return total / windows


def _ssim_map(x: Floats, y: Floats, c1: float, c2: float) -> Floats:
    mean_x, mean_y = _blur(x), _blur(y)
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance, variances = _blur(x * y) - product, _blur(x * x + y * y) - squares
    return np.asarray((2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2)))


def _bands(shape: tuple[int, ...], margin: int) -> Iterator[slice]:
    """Rows of a plane, some at a time so that scratch stays in the cache; bands overlap by `margin` rows."""
    height, width = shape
    step = max(1, _BAND // width)
    for start in range(0, height - margin, step):
        yield slice(start, min(start + step, height - margin) + margin)


def _blur(plane: Floats) -> Floats:
    """The Gaussian window's mean wherever the window lies within the plane."""
    for _ in plane.shape:  # rows, then columns, each time turned over
        size = len(plane) - len(_TAPS) + 1
        plane = np.asarray(sum(tap * plane[at : at + size] for at, tap in enumerate(_TAPS))).T
    return plane


def estimate_alpha(plane: Plane) -> float:
    """What weighted stego-image analysis takes a plane's alpha for: bits a sample in its lowest bits.

    A. D. Ker and R. Böhme, "Revisiting weighted stego-image steganalysis", Proc. SPIE 6819 (2008): the
    plane is predicted from its neighbours (their filter KB: sides 1/2, corners -1/4), the prediction error
    is set against the flip of each lowest bit, smooth places weigh more (1 / (5 + local variance)), and the
    bias that the flips bring into the prediction is taken off. Near 0 for a cover and alpha for bits that
    *replace* lowest bits; the answer is not clipped, so a cover may come out a little below 0.

    It assumes that a cover's lowest bits look like noise: in flat places that strong compression left it
    overestimates. LSB *matching*, which vidstega uses, escapes it: the estimate stays near the cover's.
    """
    total = raw = bias = 0.0
    for rows in _bands(plane.shape, 2):
        x = plane[rows].astype(np.float64)
        flips: Floats = 1.0 - 2.0 * (plane[rows] & 1).astype(np.float64)
        sign = -flips[1:-1, 1:-1]
        weight = 1 / (5 + _local_variance(x))
        total += float(weight.sum())
        weight *= sign
        raw += 2 * float(np.sum(weight * (x[1:-1, 1:-1] - _predict(x))))
        bias += float(np.sum(weight * _predict(flips)))
    return raw / total - raw / total * bias / total


def _predict(x: Floats) -> Floats:
    """Each inner sample from its eight neighbours, by the filter KB."""
    corners = x[:-2, :-2] + x[:-2, 2:] + x[2:, :-2] + x[2:, 2:]
    return np.asarray(sum(_beside(x)) / 2 - corners / 4)


def _beside(x: Floats) -> tuple[Floats, ...]:
    return x[:-2, 1:-1], x[2:, 1:-1], x[1:-1, :-2], x[1:-1, 2:]


def _local_variance(x: Floats) -> Floats:
    """Variance of the four samples beside each inner one."""
    mean, squares = sum(_beside(x)) / 4, sum(b * b for b in _beside(x)) / 4
    return np.asarray(squares - mean * mean)
