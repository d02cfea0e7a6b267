"""From the slice segments of a picture to the signs of its coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidstega.errors import InputError
from vidstega.h264.bits import unescape
from vidstega.hevc import blocks as bl
from vidstega.hevc.sets import PPS, SPS
from vidstega.hevc.slices import Sets, SliceHeader, parse_header
from vidstega.residual import CHROMA_AC, CHROMA_DC, LUMA_AC, LUMA_DC, Blocks, Picture, Signs

_NOT_ONE = "its slices are not those of one picture in order (damaged)"
_WHY = {
    bl.TOO_LONG: "a slice does not end with the picture (damaged)",
    bl.NONSENSE: "a slice makes no sense (damaged)",
    bl.WRONG_END: "a slice does not end at its stop bit (damaged)",
    bl.HAS_PCM: "blocks stored as samples (PCM)",
}
_KINDS = np.array([LUMA_AC, LUMA_DC, CHROMA_AC, CHROMA_DC], np.uint8)
_PADDING = bytes(8)  # a walk reads ahead by words
_CELL = 4


def walk_picture(units: Sequence[bytes], sets: Sets) -> Picture:
    """Walk a picture through to the stop bit of each of its slice segments, given as NAL units in order.

    It takes and gives what `h264.walk.walk_picture` does; its places are cells of 4x4 samples of luma.
    """
    headers: list[SliceHeader] = []
    try:
        for nal in units:
            header = parse_header(nal, sets, headers[-1] if headers else None)
            if isinstance(header, str):
                return _obstacle(header)
            headers.append(header)
        return _Walk(headers).picture(units) if _one_picture(headers) else _obstacle(_NOT_ONE)
    except InputError as error:
        return _obstacle(str(error))


def usable(picture: Picture) -> NDArray[np.bool_]:
    """Which signs may be turned: those of inter blocks that no intra prediction in the picture reads from.

    Intra prediction of a transform block reads the column to its left and the row above it, each twice as
    long as the block, and the corner between them, as far as they were decoded before it (8.4.4.2.2); under
    constrained intra prediction it reads nothing of inter blocks. Blocks coded without loss are left out.
    Nothing here depends on any sign.
    """
    signs = picture.signs
    if picture.constrained or not len(signs):
        return signs.inter & ~signs.fixed
    return signs.inter & ~signs.fixed & ~picture.read


def _obstacle(why: str) -> Picture:
    return Picture(why, _signs(np.zeros((0, bl.COLUMNS), np.int32), []), np.zeros((0, 0), bool), False)


def _one_picture(headers: list[SliceHeader]) -> bool:
    if not headers or not headers[0].first:
        return False
    first = headers[0]
    same = all(h.place == first.place and h.pps is first.pps for h in headers)
    return same and not any(h.first for h in headers[1:])


def _signs(rows: NDArray[np.int32], counts: list[int]) -> Signs:
    columns = rows.T
    block, position, flags = columns[bl.BLOCK], columns[bl.POSITION], columns[bl.FLAGS]
    chroma = block >> bl.PLANE_SHIFT & 3 != 0
    return Signs(
        unit=np.repeat(np.arange(len(counts), dtype=np.int16), counts),
        bit=columns[bl.BIT].copy(),
        step=columns[bl.STEP].astype(np.int16),
        negative=flags & bl.NEGATIVE != 0,
        fixed=flags & bl.FIXED != 0,
        level=columns[bl.LEVEL].astype(np.int16),
        place=columns[bl.PLACE].copy(),
        block=block.astype(np.uint16),
        position=position.astype(np.uint16),
        kind=_KINDS[2 * chroma + (position == 0)],
        inter=flags & bl.INTER != 0,
        qp=columns[bl.SIGN_QP].astype(np.int8),
    )


class _Walk:
    """One picture on its way through the kernel."""

    def __init__(self, headers: list[SliceHeader]) -> None:
        self.headers, self.sps, self.pps = headers, headers[0].sps, headers[0].pps
        self.order, self.tile = _scan_of_units(self.sps, self.pps)
        width, height = self.sps.size
        self.cells = np.zeros((height // _CELL, width // _CELL), np.uint8)
        self.owner = np.full(len(self.order), -1, np.int32)
        self.above = np.zeros(width // _CELL, np.uint8)
        self.beside = np.zeros((2, 16), np.uint8)
        self.carried = np.zeros(1, np.int32)

    def picture(self, units: Sequence[bytes]) -> Picture:
        """Walk all segments."""
        from vidstega.hevc.cabac_tables import CONTEXTS

        plains = [unescape(nal).rstrip(b"\0") for nal in units]
        most = min(8 * sum(map(len, plains)), self.sps.size[0] * self.sps.size[1] * 3 // 2)
        out = np.empty((most, bl.COLUMNS), np.int32)
        saved = np.zeros((2, CONTEXTS), np.uint8)
        back = np.argsort(self.order)
        at, n, counts = 0, 0, []
        for plain, header in zip(plains, self.headers, strict=True):
            if back[header.address] != at:
                return _obstacle(_NOT_ONE)
            status, at, total = self._segment(plain, header, saved, out, n, at)
            if status != bl.ENDED:
                return _obstacle(_WHY[status])
            counts.append(total - n)
            n = total
        if at != len(self.order):
            return _obstacle(_NOT_ONE)
        signs = _signs(out[:n], counts)
        intra = self.cells & bl.IS_INTRA != 0
        return Picture("", signs, intra, self.pps.constrained_intra, self._read(signs))

    def _read(self, signs: Signs) -> NDArray[np.bool_]:
        """Of each sign whether intra prediction reads any cell of its block."""
        sums = np.zeros(tuple(np.add(self.cells.shape, 1)), np.int32)
        sums[1:, 1:] = (self.cells & bl.IS_READ != 0).cumsum(0).cumsum(1)
        plane, x, y, edge = squares(signs, self.sps)
        x, y, edge = (np.where(plane > 0, 2 * side, side) // _CELL for side in (x, y, edge))
        return np.asarray(sums[y + edge, x + edge] - sums[y, x + edge] - sums[y + edge, x] + sums[y, x] > 0)

    def _segment(
        self, plain: bytes, header: SliceHeader, saved: NDArray[np.uint8], out: NDArray[Any], n: int, at: int
    ) -> tuple[int, int, int]:
        from vidstega.hevc import cabac
        from vidstega.hevc.cabac_tables import start_states

        if 8 * len(plain) <= header.data_bit:
            return bl.WRONG_END, at, n
        data = np.frombuffer(bytearray(plain + _PADDING), np.uint8)
        return cabac.walk(
            data,
            _parameters(header, at, len(plain)),
            start_states(header.qp, header.initial),
            saved,
            self.order,
            self.tile,
            self.owner,
            self.cells,
            self.above,
            self.beside,
            self.carried,
            out,
            n,
        )


def blocks_of(signs: Signs, sps: SPS) -> Blocks:
    """Where the blocks of signs lie, and which patterns their coefficients are."""
    plane, left, top, edge = squares(signs, sps)
    position = signs.position.astype(np.int64)
    pattern = (position >> bl.ROW_SHIFT) * edge + (position & (1 << bl.ROW_SHIFT) - 1)
    pattern += 16 * (signs.block >> bl.SKIP_SHIFT & 1)
    return Blocks(plane, left, top, edge, pattern)


def squares(signs: Signs, sps: SPS) -> tuple[NDArray[np.int64], ...]:
    """Where the blocks of signs lie: plane (0 to 2), column and row of the first sample, edge in samples."""
    row, column = np.divmod(signs.place.astype(np.int64), sps.ctbs[0])
    block = signs.block.astype(np.int64)
    plane, edge = block >> bl.PLANE_SHIFT & 3, _CELL << (block >> bl.SIZE_SHIFT & 3)
    x = (column << sps.sizes.ctb) + _CELL * (block & 15)
    y = (row << sps.sizes.ctb) + _CELL * (block >> 4 & 15)
    chroma = (plane > 0).astype(np.int64)
    return plane, x >> chroma, y >> chroma, edge


def _parameters(header: SliceHeader, first: int, length: int) -> NDArray[np.int32]:
    sps, pps, sizes = header.sps, header.pps, header.sps.sizes
    values = {
        bl.WIDTH: sps.size[0],
        bl.HEIGHT: sps.size[1],
        bl.CTB: sizes.ctb,
        bl.MIN_CB: sizes.min_cb,
        bl.MIN_TB: sizes.min_tb,
        bl.MAX_TB: sizes.max_tb,
        bl.DEPTH_INTER: sizes.depth_inter,
        bl.DEPTH_INTRA: sizes.depth_intra,
        bl.AMP: sps.amp,
        bl.PCM_SMALLEST: sps.pcm.smallest if sps.pcm else 0,
        bl.PCM_LARGEST: sps.pcm.largest if sps.pcm else 0,
        bl.SAO_MOST: (1 << (min(sps.bit_depth[0], 10) - 5)) - 1,
        bl.SAO_LUMA: header.sao[0],
        bl.SAO_CHROMA: header.sao[1],
        bl.SLICE_KIND: header.kind,
        bl.REFS_L0: header.refs[0],
        bl.REFS_L1: header.refs[1],
        bl.MVD_L1_ZERO: header.mvd_l1_zero,
        bl.MERGES: header.merges,
        bl.QP: header.qp,
        bl.QP_EXTRA: 6 * (sps.bit_depth[0] - 8),
        bl.QP_GROUP: 0 if pps.qp_delta_depth is None else max(sizes.ctb - pps.qp_delta_depth, sizes.min_cb),
        bl.SIGN_HIDING: pps.sign_hiding,
        bl.TRANSFORM_SKIP: pps.transform_skip,
        bl.LOSSLESS: pps.lossless_blocks,
        bl.WAVEFRONT: pps.wavefront,
        bl.FIRST: first,
        bl.SLICE_ADDRESS: header.slice_address,
        bl.DEPENDENT: header.dependent,
        bl.START_BYTE: header.data_bit // 8,
        bl.LENGTH: length,
    }
    return np.array([values[column] for column in range(bl.PARAMETERS)], np.int32)


def _scan_of_units(sps: SPS, pps: PPS) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Raster addresses of coding tree units in the order of coding, and by address the tile (6.5.1)."""
    columns, rows = sps.ctbs
    address = np.arange(columns * rows, dtype=np.int32).reshape(rows, columns)
    tile = np.zeros((rows, columns), np.int32)
    if pps.tiling is None:
        return address.reshape(-1), tile.reshape(-1)
    order, number = [], 0
    across, down = pps.tiling.bounds(sps.ctbs)
    for top, bottom in pairwise(down):
        for left, right in pairwise(across):
            order.append(address[top:bottom, left:right].reshape(-1))
            tile[top:bottom, left:right] = number
            number += 1
    return np.concatenate(order), tile.reshape(-1)
