"""How smooth the edges of blocks are, and would be with a sign turned.

The true sign is the one with the smoother edges for most coefficients of a picture. Whoever turns signs at
random lowers that share, which shows; a cost that knows the margin can keep it where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidstega.residual import Blocks

_CHUNK = 1 << 14

Floats = NDArray[np.float32]


def margins(planes: Sequence[NDArray[Any]], blocks: Blocks, change: Floats, size: tuple[int, int]) -> Floats:
    """By how much each sign turned roughens the edges of its block: from -1 (it smooths them) to 1.

    Parameters
    ----------
    planes : samples of the picture, luma first
    blocks : where the signs' blocks lie
    change : of each coefficient by a turn of its sign, in samples
    size : of the coded picture in samples of luma, (width, height)
    """
    out = np.zeros(len(change), np.float32)
    for number, samples in enumerate(planes[:3]):
        framed = _framed(samples, size if number == 0 else (size[0] // 2, size[1] // 2))
        for width in _EDGES:
            chosen = np.flatnonzero((blocks.plane == number) & (blocks.edge == width))
            step = _CHUNK * 4 // width
            for at in range(0, len(chosen), step):
                some = chosen[at : at + step]
                borders = _borders(width)[blocks.pattern[some]] * change[some, None]
                out[some] = _roughened(framed, blocks.left[some], blocks.top[some], width, borders)
    return out


def _framed(samples: NDArray[Any], size: tuple[int, int]) -> NDArray[np.int16]:
    """Samples up to the size that is coded, with one more all around."""
    missing = (max(size[1] - samples.shape[0], 0), max(size[0] - samples.shape[1], 0))
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


@lru_cache
def _borders(width: int) -> Floats:
    """Of each pattern the samples along its upper, lower, left and right edge."""
    k, n = np.mgrid[:width, :width]
    wave = np.sqrt(2 / width) * np.cos(np.pi * (2 * n + 1) * k / (2 * width))
    wave[0] /= np.sqrt(2)
    ends = wave[:, [0, -1]]
    sides = (width, width, 2, width)  # frequency down, across, of which edge, sample along it
    across = (ends[:, None, :, None] * wave[None, :, None, :]).reshape(width * width, 2 * width)
    along = np.broadcast_to(ends[None, :, :, None] * wave[:, None, None, :], sides)
    rows = np.concatenate([across, along.reshape(width * width, 2 * width)], axis=1)
    return np.concatenate([rows, *(_edges_of(p) for p in _others(width))]).astype(np.float32)


def _others(width: int) -> list[NDArray[np.float64]]:
    """Blocks that are no products of cosines."""
    if width == 8:  # chroma DC: a 2x2 transform of four blocks' means
        halves = np.repeat(np.array([[1, 1], [1, -1]]), 4, axis=1)
        return [np.outer(halves[i >> 1], halves[i & 1]) / 8 for i in range(4)]
    if width == 4:  # without a transform
        return list(np.eye(16).reshape(16, 4, 4))
    return []


def _edges_of(block: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([block[0], block[-1], block[:, 0], block[:, -1]])[None]


_EDGES = (4, 8, 16, 32)
