"""Scaling lists (7.3.4, 7.4.5) and the size of a coefficient's quantum (8.6.1 to 8.6.4)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vidstega.errors import InputError
from vidstega.h264.bits import Bits

ScalingLists = tuple[tuple[tuple[int, ...], int], ...] | None
"""By 6 * sizeId + matrixId, for sizes of 4 to 32: the coefficients in diagonal order, and that of DC."""

# Table 7-6, in the order of the diagonal scan of 8x8.
_INTRA_8X8 = """
16 16 16 16 16 16 16 16 16 16 17 16 17 16 17 18 17 18 18 17 18 21
19 20 21 20 19 21 24 22 22 24 24 22 22 24 25 25 27 30 27 25 25 29
31 35 35 31 29 36 41 44 41 36 47 54 54 47 65 70 65 88 88 115"""
_INTER_8X8 = """
16 16 16 16 16 16 16 16 16 16 17 17 17 17 17 18 18 18 18 18 18 20
20 20 20 20 20 20 24 24 24 24 24 24 24 24 25 25 25 25 25 25 25 28
28 28 28 28 28 33 33 33 33 33 41 41 41 41 54 54 54 71 71 91"""


def _default(size: int, matrix: int) -> tuple[tuple[int, ...], int]:
    if size == 0:
        return (16,) * 16, 16
    return tuple(map(int, (_INTRA_8X8 if matrix < 3 else _INTER_8X8).split())), 16


DEFAULTS: tuple[tuple[tuple[int, ...], int], ...] = tuple(
    _default(size, m) for size in range(4) for m in range(6)
)


def read_lists(bits: Bits) -> tuple[tuple[tuple[int, ...], int], ...]:
    """scaling_list_data( ) (7.3.4); InputError if it makes no sense."""
    lists = list(DEFAULTS)
    for size in range(4):
        step = 3 if size == 3 else 1
        for matrix in range(0, 6, step):
            at = 6 * size + matrix
            if not bits.u(1):
                back = step * bits.ue()
                if back > matrix:
                    raise InputError("an HEVC scaling list makes no sense; the video is damaged")
                lists[at] = lists[at - back] if back else _default(size, matrix)
                continue
            lists[at] = _told(bits, size)
    return tuple(lists)


def _told(bits: Bits, size: int) -> tuple[tuple[int, ...], int]:
    value, dc, values = 8, 16, []
    if size > 1:
        value = dc = 8 + bits.se()
    for _ in range(16 if size == 0 else 64):
        value = (value + bits.se()) % 256
        values.append(value)
    return tuple(values), dc


def diagonal(edge: int) -> list[tuple[int, int]]:
    """Columns and rows of a square in up-right diagonal order (6.5.3)."""
    cells = [(x, y) for y in range(edge) for x in range(edge)]
    return sorted(cells, key=lambda cell: (sum(cell), cell[0]))


@lru_cache(maxsize=8)
def factors(lists: ScalingLists) -> NDArray[np.float32]:
    """ScalingFactor over 16 (7.4.5) as (size, matrix, row, column), 1 being flat, as all is without lists."""
    out = np.ones((4, 6, 32, 32), np.float32)
    if lists is None:
        return out
    for size in range(4):
        edge = 4 << size
        base = min(edge, 8)
        columns, rows = np.array(diagonal(base)).T
        for matrix in range(6):
            # Chroma of 32x32 is of 4:4:4 alone, which is not read.
            values, dc = lists[6 * size + (matrix // 3 * 3 if size == 3 else matrix)]
            square = np.zeros((base, base))
            square[rows, columns] = values
            grown = np.kron(square, np.ones((edge // base, edge // base))) / 16
            if size > 1:
                grown[0, 0] = dc / 16
            out[size, matrix, :edge, :edge] = grown
    return out


# Table 8-10: QpC for qPi of 30 to 43 in 4:2:0; below it is qPi, above it qPi - 6.
_CHROMA = (29, 30, 31, 32, 33, 33, 34, 34, 35, 35, 36, 36, 37, 37)


def chroma_qp(luma: NDArray[np.int64], offset: int, extra_bits: int) -> NDArray[np.int64]:
    """Chroma's quantization parameter, of the range that also goes below zero for more than 8 bits."""
    index = np.clip(luma + offset, -6 * extra_bits, 57)
    table = np.array([*range(30), *_CHROMA, *range(38, 52)])
    return np.where(index < 0, index, table[np.maximum(index, 0)])
