"""How smooth the edges of blocks are, and would be with a sign turned.

The true sign is the one with the smoother edges for most coefficients of a picture. Whoever turns signs at
random lowers that share, which shows; a cost that knows the margin can keep it where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidstega.h264.macroblocks import LUMA_8X8
from vidstega.h264.scaling import rectangles, zigzag
from vidstega.residual import Signs

_CHUNK = 1 << 14
_CHROMA_DC = (17, 18)

Floats = NDArray[np.float32]


def margins(planes: Sequence[NDArray[Any]], signs: Signs, amplitude: Floats, size: tuple[int, int]) -> Floats:
    """By how much each sign turned roughens the edges of its block: from -1 (it smooths them) to 1.

    Parameters
    ----------
    planes : samples of the picture, luma first
    signs : signs of it
    amplitude : level times quantum of each
    size : of the coded picture in macroblocks, (width, height)
    """
    out = np.zeros(len(signs), np.float32)
    plane, left, top, edge = rectangles(signs, size[0])
    for number, samples in enumerate(planes[:3]):
        framed = _framed(samples, 16 if number == 0 else 8, size)
        for width in (4, 8):
            chosen = np.flatnonzero((plane == number) & (edge == width))
            for at in range(0, len(chosen), _CHUNK):
                some = chosen[at : at + _CHUNK]
                change = -2 * amplitude[some] * np.where(signs.negative[some], -1, 1)
                borders = _BORDERS[width][_pattern(signs, some, width)] * change[:, None].astype(np.float32)
                out[some] = _roughened(framed, left[some], top[some], width, borders)
    return out


def _framed(samples: NDArray[Any], unit: int, size: tuple[int, int]) -> NDArray[np.int16]:
    """Samples up to whole macroblocks, with one more all around."""
    missing = (max(unit * size[1] - samples.shape[0], 0), max(unit * size[0] - samples.shape[1], 0))
    return np.pad(samples.astype(np.int16), ((1, 1 + missing[0]), (1, 1 + missing[1])), mode="edge")


def _roughened(
    framed: NDArray[np.int16], left: NDArray[Any], top: NDArray[Any], width: int, borders: Floats
) -> Floats:
    """(roughness turned - roughness now) / (their sum), over the four edges outside of the blocks."""
    along = np.arange(1, width + 1)
    row, column = top[:, None], left[:, None]
    lines = [
        (row + 1, column + along, row, column + along),
        (row + width, column + along, row + width + 1, column + along),
        (row + along, column + 1, row + along, column),
        (row + along, column + width, row + along, column + width + 1),
    ]
    steps = [framed[y, x].astype(np.float32) - framed[v, u] for y, x, v, u in lines]
    step = np.concatenate(steps, axis=1)
    now, then = np.abs(step).sum(axis=1), np.abs(step + borders).sum(axis=1)
    return np.asarray((then - now) / np.maximum(then + now, 1e-6), np.float32)


def _pattern(signs: Signs, some: NDArray[Any], width: int) -> NDArray[Any]:
    position = signs.position[some].astype(np.int64)
    dc = np.isin(signs.block[some], _CHROMA_DC)
    assert width == 8 or (signs.block[some] < LUMA_8X8).all()
    return np.asarray(np.where(dc, 64 + (position & 3), position))


def _borders(width: int) -> Floats:
    """Of each pattern the samples along its upper, lower, left and right edge."""
    k, n = np.mgrid[:width, :width]
    wave = np.sqrt(2 / width) * np.cos(np.pi * (2 * n + 1) * k / (2 * width))
    wave[0] /= np.sqrt(2)
    patterns = [np.outer(wave[y], wave[x]) for x, y in zigzag(width)]
    if width == 8:  # chroma DC: a 2x2 transform of four blocks' means
        halves = np.repeat(np.array([[1, 1], [1, -1]]), 4, axis=1)
        patterns += [np.outer(halves[i >> 1], halves[i & 1]) / 8 for i in range(4)]
    rows = [np.concatenate([p[0], p[-1], p[:, 0], p[:, -1]]) for p in patterns]
    return np.array(rows, np.float32)


_BORDERS = {width: _borders(width) for width in (4, 8)}
