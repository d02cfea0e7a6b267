"""Features of planes that changes of one show in. Planes are (height, width) arrays of uint8 or uint16.

All are shares of all samples looked at, so they are from 0 to 1 and do not depend on the plane's size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[Any]
Vector = NDArray[np.float64]

_T = 3
_LEVELS = 2 * _T + 1
SPAM, COPY, FLAT = 2 * _LEVELS**3, 42, 29
STEP = SPAM
"""How many features each function gives."""


def spam(plane: Plane) -> Vector:
    """The 686 features of a second-order subtractive pixel adjacency matrix, as co-occurrences.

    Differences of neighbours, cut at 3, three in a row, along lines and columns (343), then along both
    diagonals (343), each way and its reverse together; T. Pevny, P. Bas, J. Fridrich, "Steganalysis by
    subtractive pixel adjacency matrix", IEEE TIFS 5(2), 2010.
    """
    x = plane.astype(np.int16)
    lines = (x[:, :-1] - x[:, 1:], (0, 1)), (x[:-1] - x[1:], (1, 0))
    diagonals = (x[:-1, :-1] - x[1:, 1:], (1, 1)), (x[1:, :-1] - x[:-1, 1:], (-1, 1))
    parts = [sum(_triples(*way) for way in ways) / 4 for ways in (lines, diagonals)]
    return np.concatenate([np.asarray(part).ravel(order="F") for part in parts])


def step_features(now: Vector, beside: Vector) -> Vector:
    """686 features of how a frame's SPAM features differ from the mean of those of the frames beside it.

    A picture's neighbours in time tell what it looks like without a message, as its own cropped copy does in
    J. Fridrich, "Feature-based steganalysis for JPEG images", Information Hiding 2004. The root of each is
    half the difference of roots, plus a half.
    """
    return np.asarray(((np.sqrt(now) - np.sqrt(beside) + 1) / 2) ** 2)


def _triples(steps: NDArray[np.int16], way: tuple[int, int]) -> Vector:
    """Co-occurrences of three successive differences (last, middle, first) and of their reverse, each 1."""
    cut = (np.clip(steps, -_T, _T) + _T).astype(np.int32)
    first, middle, last = (_moved(cut, way, at) for at in range(3))
    code = (last * _LEVELS + middle) * _LEVELS + first
    counts = np.bincount(code.ravel(), minlength=_LEVELS**3).reshape(3 * (_LEVELS,))
    return np.asarray((counts + counts.transpose(2, 1, 0)[::-1, ::-1, ::-1]) / max(code.size, 1))


def _moved(x: NDArray[Any], way: tuple[int, int], at: int) -> NDArray[Any]:
    """`x` from the place on that is `at` steps along `way`, cut to what two steps leave."""
    spans = []
    for size, step in zip(x.shape, way, strict=True):
        start = at * step if step >= 0 else 2 + at * step
        spans.append(slice(start, size - 2 * abs(step) + start))
    return x[tuple(spans)]


def copy_features(before: Plane, now: Plane, after: Plane) -> Vector:
    """42 features of how samples stand among copies: of the frame before, of the one after, of the nearer.

    Lossy video copies blocks from frame to frame as they are. For each of the three: how many of a sample's
    eight neighbours are copies, 0 to 8, where it is one off itself (9); the same in fours where it is a copy
    (4); how many are two off (1).
    """
    off = [np.abs(now.astype(np.int32) - other) for other in (before, after)]
    off.append(np.minimum(*off))
    return np.concatenate([_among(one, _around(one == 0), np.array([0, 3, 6, 8])) for one in off])


def flat_features(plane: Plane) -> Vector:
    """29 features of flatness: what stands out of equal neighbours, and what a 4x4 transform leaves at zero.

    How many of a sample's eight neighbours are equal to the sample above, where it is one off that (9);
    blocks of 4x4 by their range, 0 to 3 and more (5); zeros by their place in the transform of blocks (15).
    """
    x = plane.astype(np.int32)
    above = x[:-2, 1:-1]
    equal = sum((x[1 + dy : x.shape[0] - 1 + dy, 1 + dx : x.shape[1] - 1 + dx] == above).astype(np.int8)
                for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0))  # fmt: skip
    one_off = np.abs(x[1:-1, 1:-1] - above) == 1
    lonely = np.bincount(np.asarray(equal)[one_off], minlength=9) / max(one_off.size, 1)
    blocks = _blocks(x)
    ranges = blocks.max(axis=(1, 2)) - blocks.min(axis=(1, 2))
    spans = np.bincount(np.minimum(ranges, 4), minlength=5) / max(len(blocks), 1)
    zeros = (_FORWARD @ blocks @ _FORWARD.T == 0).mean(axis=0).ravel()[1:]
    return np.concatenate([lonely, spans, zeros])


_FORWARD = np.array([[1, 1, 1, 1], [2, 1, -1, -2], [1, -1, -1, 1], [1, -2, 2, -1]], np.int32)
"""The core of H.264's 4x4 transform (8.5.6)."""


def _blocks(x: NDArray[np.int32]) -> NDArray[np.int32]:
    """All 4x4 blocks of the grid from the upper left corner on: (blocks, 4, 4)."""
    rows, columns = x.shape[0] // 4, x.shape[1] // 4
    cut = x[: 4 * rows, : 4 * columns].reshape(rows, 4, columns, 4)
    return np.ascontiguousarray(cut.swapaxes(1, 2)).reshape(-1, 4, 4)


def _around(same: NDArray[np.bool_]) -> NDArray[np.int8]:
    """How many of the eight neighbours of each sample that has so many are true."""
    x = same.astype(np.int8)
    rows = x[:-2] + x[1:-1] + x[2:]
    return np.asarray(rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] - x[1:-1, 1:-1])


def _among(off: NDArray[np.int32], around: NDArray[np.int8], fours: NDArray[np.int64]) -> Vector:
    inner = off[1:-1, 1:-1]
    one = np.bincount(around[inner == 1], minlength=9)
    copies = np.bincount(around[inner == 0], minlength=9)
    return np.concatenate([one, np.add.reduceat(copies, fours), [(inner == 2).sum()]]) / max(inner.size, 1)
