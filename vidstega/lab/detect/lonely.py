"""Samples that stand alone in flat places, which a message spread over a whole picture leaves everywhere.

No training: a sample of one picture, and what is around it. It tells of streams without loss, since no other
keeps such samples; of methods that do not avoid flat places as `hill` does; and of eight bits, since one step
of more is in the noise of sensors.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CELLS = (64, 128)
"""Sides of cells: the first that enough have flat places in."""
_LEAST_FLAT, _LEAST_CELLS = 400, 12
_QUARTILE = 0.25
_NOISE = 10
"""Lonely samples that are two off stand for so many that are one off by themselves."""


def lonely_share(planes: Iterable[NDArray[Any]]) -> float | None:
    """How many samples are one off where all eight around them are equal, as a share of such places.

    It is taken in cells of 64x64 samples or more, and the lower quartile of a picture's cells counts: grain
    and dither are not everywhere, changes at random are. Noise that leaves samples two off, too, is taken
    away. The median of the pictures is given, since few are noisy by themselves, so a message in less than
    half of them does not show; None if none has twelve cells with 400 such places.
    """
    shares = [share for plane in planes if (share := _of_picture(plane)) is not None]
    return float(np.median(shares)) if shares else None


def _of_picture(plane: NDArray[Any]) -> float | None:
    x = plane.astype(np.int16 if plane.dtype.itemsize == 1 else np.int32)
    most, least = (_around(x, extreme) for extreme in (np.maximum, np.minimum))
    off = np.where(most == least, np.abs(x[1:-1, 1:-1] - most), -1)
    for side in _CELLS:
        equal, one, two = (_in_cells(off == far, side) for far in range(3))
        flat = equal + one + two
        some = flat >= _LEAST_FLAT
        if some.sum() >= _LEAST_CELLS:
            shares = np.maximum(one - _NOISE * two, 0)[some] / flat[some]
            return float(np.quantile(shares, _QUARTILE))
    return None


def _around(x: NDArray[Any], extreme: np.ufunc) -> NDArray[Any]:
    """The largest or the least of the eight samples around each that has so many."""
    beside = extreme(extreme(x[:-2], x[1:-1]), x[2:])
    beside = extreme(beside[:, :-2], beside[:, 2:])
    return np.asarray(extreme(beside, extreme(x[:-2, 1:-1], x[2:, 1:-1])))


def _in_cells(some: NDArray[np.bool_], side: int) -> NDArray[np.int64]:
    rows, columns = some.shape[0] // side, some.shape[1] // side
    cut = some[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return np.asarray(cut.sum(axis=(1, 3)).ravel())
