"""What a level is worth in samples: quantizer steps and scaling lists (ITU-T H.264, 7.4.2.1.1.1 and 8.5)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vidstega.h264 import macroblocks as mb
from vidstega.h264.sets import SPS, ScalingLists
from vidstega.h264.slices import Sets, SliceHeader, parse_header
from vidstega.residual import Blocks, Signs

# Tables 7-3 and 7-4: default lists in zig-zag order, intra and inter.
_DEFAULT_4X4 = (
    (6, 13, 13, 20, 20, 20, 28, 28, 28, 28, 32, 32, 32, 37, 37, 42),
    (10, 14, 14, 20, 20, 20, 24, 24, 24, 24, 27, 27, 27, 30, 30, 34),
)
_RUNS_8X8 = (
    "6 10*2 13 11 13 16*4 18*5 23*6 25*7 27*8 29*7 31*6 33*5 36*4 38*3 40*2 42",
    "9 13*2 15 13 15 17*4 19*5 21*6 22*7 24*8 25*7 27*6 28*5 30*4 32*3 33*2 35",
)


def _runs(text: str) -> tuple[int, ...]:
    pairs = (word.partition("*") for word in text.split())
    return tuple(int(value) for value, _, count in pairs for _ in range(int(count or 1)))


_DEFAULT_8X8 = tuple(map(_runs, _RUNS_8X8))
# By list: 4x4 intra Y, Cb, Cr, inter Y, Cb, Cr, 8x8 intra, inter.
_DEFAULTS = (*3 * _DEFAULT_4X4[:1], *3 * _DEFAULT_4X4[1:], *_DEFAULT_8X8)
_FLAT = (*6 * ((16,) * 16,), *2 * ((16,) * 64,))
_STARTS = {0, 3, 6, 7}  # lists that fall back to another set; others to the list before

# Table 8-15: QPC for qPI of 30 and more.
_CHROMA_QP = [*range(30), 29, 30, 31, 32, 32, 33, 34, 34, 35, 35, 36, 36, 37, 37, 37, *3 * [38], *4 * [39]]


def quanta(signs: Signs, units: Sequence[bytes], sets: Sets) -> NDArray[np.float32]:
    """The size in samples of a level of 1 at each sign, in the norm of its block.

    Turning a sign changes its block by an energy of (2 * level * quantum) ** 2, summed over samples, before
    deblocking and clipping.

    Parameters
    ----------
    signs : Signs
        Signs of a picture that was walked.
    units : sequence of bytes
        The picture's slice NAL units.
    sets : Sets
        The parameter sets in force.
    """
    plane = _PLANE[signs.block]
    row = 3 * signs.inter.astype(np.int64) + plane
    row[signs.block >= mb.LUMA_8X8] = 6 + signs.inter[signs.block >= mb.LUMA_8X8]
    position = np.where(_IS_DC[signs.block], 0, signs.position)
    out = np.empty(len(signs), np.float32)
    for unit in np.unique(signs.unit).tolist():  # a slice without signs may be damaged
        weights, qps = _table(parse_header(units[unit], sets))
        of = signs.unit == unit
        qp = qps[plane[of], signs.qp[of]]
        out[of] = weights[row[of], position[of]] * 2.0 ** ((qp - 4) / 6)
    return out


_PLANE = np.array([0] * 17 + [1, 2] + [1] * 4 + [2] * 4 + [0] * 4, np.int64)
_IS_DC = np.isin(np.arange(mb.BLOCKS), (0, 17, 18))


def _table(header: SliceHeader | str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Weights by list and position, 1 being flat; QP of each plane by luma QP."""
    if isinstance(header, str):
        raise AssertionError(f"this slice was not walked: {header}")
    weights = np.ones((8, 64))
    for row, values in enumerate(effective_lists(header.sps.tools.scaling, header.pps.scaling)):
        weights[row, : len(values)] = np.array(values) / 16
    luma = np.arange(52)
    chroma = [np.array(_CHROMA_QP)[np.clip(luma + at, 0, 51)] for at in header.pps.chroma_qp_offset]
    return weights, np.array([luma, *chroma])


def effective_lists(sps: ScalingLists, pps: ScalingLists) -> tuple[tuple[int, ...], ...]:
    """The eight lists in force (table 7-2): 4x4 intra Y, Cb, Cr, inter Y, Cb, Cr, 8x8 intra, inter."""
    own = _FLAT if sps is None else _filled(sps, _DEFAULTS)
    if pps is None:
        return own
    return _filled(pps, _DEFAULTS if sps is None else own)


def _filled(
    lists: tuple[tuple[int, ...] | None, ...], fallback: tuple[tuple[int, ...], ...]
) -> tuple[tuple[int, ...], ...]:
    out: list[tuple[int, ...]] = []
    for i in range(8):
        told = lists[i] if i < len(lists) else None
        if told is None:
            out.append(fallback[i] if i in _STARTS else out[i - 1])
        else:
            out.append(told or _DEFAULTS[i])
    return tuple(out)


def blocks_of(signs: Signs, sps: SPS) -> Blocks:
    """Where the blocks of signs lie, and which patterns their coefficients are."""
    row, column = np.divmod(signs.place.astype(np.int64), sps.mb_size[0])
    plane, edge = _PLANE[signs.block], _EDGE[signs.block]
    pitch = np.where(plane == 0, 16, 8)
    left, top = column * pitch + _X[signs.block], row * pitch + _Y[signs.block]
    position = signs.position.astype(np.int64)
    pattern = np.zeros(len(signs), np.int64)
    for size in (4, 8):
        across, down = zigzag(size).T
        chosen = edge == size
        pattern[chosen] = (down * size + across)[position[chosen] & size * size - 1]
    dc = np.isin(signs.block, _CHROMA_DC)
    pattern[dc] = 64 + (position[dc] & 3)
    return Blocks(plane, left, top, edge, pattern)


def zigzag(edge: int) -> NDArray[np.int64]:
    """Horizontal and vertical frequency of each position of a frame's 4x4 or 8x8 block (6.3), as (n, 2)."""
    cells = [(x, y) for y in range(edge) for x in range(edge)]
    return np.array(sorted(cells, key=lambda c: (sum(c), c[1] if sum(c) % 2 else c[0])))


_CHROMA_DC = (17, 18)
_X = np.zeros(mb.BLOCKS, np.int64)
_Y = np.zeros(mb.BLOCKS, np.int64)
_EDGE = np.full(mb.BLOCKS, 4, np.int64)
_EDGE[0], _EDGE[17:19], _EDGE[mb.LUMA_8X8 :] = 16, 8, 8
for _block in range(1, mb.LUMA_8X8):
    if not _IS_DC[_block]:
        _base = 0 if _block <= 16 else (4 if _block <= 22 else 6)
        _X[_block] = 4 * (mb.COLUMN[_block] - mb.NZ - _base)
        _Y[_block] = 4 * (mb.ROW[_block] - mb.NZ - _base)
_X[mb.LUMA_8X8 :] = [0, 8, 0, 8]
_Y[mb.LUMA_8X8 :] = [0, 0, 8, 8]
