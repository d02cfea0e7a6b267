"""Shapes and noise that covers are painted with."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]  # float32 where it is large
Colour = tuple[float, float, float]  # (Y, U, V), BT.709, tv range


def fractal(rng: np.random.Generator, height: int, width: int, *, decay: float) -> Floats:
    """Multi-octave noise of shape (height, width) with mean 0 and deviation 1.

    From a coarse grid, double and add finer noise of `decay` times the strength, until it is large enough:
    0.5 looks like clouds, 0.7 like grass. Cost and memory go with the area, whatever the octaves.
    """
    octaves = max(1, math.ceil(math.log2(max(height, width) / 3)))
    field = rng.standard_normal(_grid(height, width, octaves), np.float32)
    for octave in range(1, octaves + 1):
        rows, columns = _grid(height, width, octaves - octave)
        field = np.ascontiguousarray(_double(_double(field)[:rows].T)[:columns].T)
        noise = rng.standard_normal(field.shape, np.float32)
        noise *= decay**octave
        field += noise
    field -= field.mean()
    field /= max(float(field.std()), 1e-6)
    return field


def _grid(height: int, width: int, doublings: int) -> tuple[int, int]:
    """Size of the grid that is at least (height, width) after so many times n -> 2n - 2."""
    step = 2**doublings
    return -(-(height - 2) // step) + 2, -(-(width - 2) // step) + 2


def _double(field: Floats) -> Floats:
    """Refine n rows to 2n - 2 by corner cutting (Chaikin 1974), which is smooth unlike bilinear steps."""
    fine = np.empty((2 * field.shape[0] - 2, field.shape[1]), np.float32)
    fine[0::2] = 0.75 * field[:-1] + 0.25 * field[1:]
    fine[1::2] = 0.25 * field[:-1] + 0.75 * field[1:]
    return fine


def streaks(rng: np.random.Generator, height: int, width: int, *, decay: float) -> Floats:
    """Fractal noise that is drawn out sideways."""
    return _double(fractal(rng, height, width // 2 + 2, decay=decay).T).T[:, :width]


def relief(heights: Floats) -> Floats:
    """The light that falls from the upper left on a surface of these heights: mean 0, deviation 1."""
    slope = np.zeros_like(heights)
    slope[1:, 1:] = heights[1:, 1:] - heights[:-1, :-1]
    slope /= max(float(slope.std()), 1e-6)
    return cast(Floats, slope + 0.5 * heights)


def smooth(x: Floats, low: float, high: float) -> Floats:
    """0 below `low`, 1 above `high`, a smooth step between."""
    t = ((x - low) / (high - low)).clip(0, 1)
    return cast(Floats, (t * t * (3 - 2 * t)).astype(np.float32))


def box(x: Floats, y: Floats, half: float, rows: tuple[float, float], softness: float) -> Floats:
    middle, reach = sum(rows) / 2, (rows[1] - rows[0]) / 2
    inside = np.minimum(half - np.abs(x), reach - np.abs(y - middle))
    return smooth(inside, -softness, softness)


def axis(n: int) -> Floats:
    """Centres of `n` samples between -1 and 1."""
    return ((np.arange(n, dtype=np.float32) + 0.5) * np.float32(2 / n) - 1).astype(np.float32)


def between(a: Colour, b: Colour, share: float) -> Colour:
    return (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), a[2] + share * (b[2] - a[2]))


def even(length: float) -> int:
    """The even number at or above `length`, at least 4."""
    return max(4, 2 * math.ceil(length / 2))
