"""HEVC written bit by bit, for what no encoder at hand makes: tiles, dependent slices, wavefronts in both.

Each coding tree unit of 16x16 is one block: predicted from within (mode 0 of the list) in the first picture,
merged in the second; each of its transform blocks has a DC level of 1 or none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from vidstega.h264.bits import BitWriter, escape
from vidstega.hevc import cabac_tables as ct
from vidstega.hevc.cabac_tables import start_states
from vidstega.residual.arithmetic import STATES

COLUMNS, ROWS, EDGE = 6, 4, 16
SIZE = (COLUMNS * EDGE, ROWS * EDGE)
QP = 30


class Arithmetic:
    """The arithmetic encoder of ITU-T H.265, 9.3.5."""

    def __init__(self) -> None:
        self.low, self.range, self.waiting, self.first, self.bits = 0, 510, 0, True, ""

    def _put(self, bit: int) -> None:
        if self.first:
            self.first = False
        else:
            self.bits += str(bit)
        self.bits += str(1 - bit) * self.waiting
        self.waiting = 0

    def _renormalize(self) -> None:
        while self.range < 256:
            if self.low < 256:
                self._put(0)
            elif self.low >= 512:
                self.low -= 512
                self._put(1)
            else:
                self.low -= 256
                self.waiting += 1
            self.range, self.low = self.range * 2, self.low * 2

    def bin(self, states: np.ndarray, context: int, value: int) -> None:
        state = int(states[context])
        packed = int(STATES[state << 2 | self.range >> 6 & 3])
        self.range -= packed & 255
        if value == state & 1:
            states[context] = packed >> 8 & 127
        else:
            self.low += self.range
            self.range = packed & 255
            states[context] = packed >> 16 & 127
        self._renormalize()

    def bypass(self, value: int) -> None:
        self.low = 2 * self.low + (self.range if value else 0)
        if self.low >= 1024:
            self._put(1)
            self.low -= 1024
        elif self.low < 512:
            self._put(0)
        else:
            self.low -= 512
            self.waiting += 1

    def end(self, value: int) -> None:
        self.range -= 2
        if not value:
            self._renormalize()
            return
        self.low += self.range
        self.range = 2
        self._renormalize()
        self._put(self.low >> 9 & 1)
        self.bits += format(self.low >> 7 & 3 | 1, "02b")

    def bytes(self) -> bytes:
        bits = self.bits + "0" * (-len(self.bits) % 8)
        return int(bits, 2).to_bytes(len(bits) // 8, "big")


@dataclass
class Written:
    """Parameter sets and pictures as NAL units, and the signs that each picture has, as coded."""

    sps: bytes
    pps: bytes
    vps: bytes
    pictures: list[list[bytes]] = field(default_factory=list)
    signs: list[list[int]] = field(default_factory=list)

    def stream(self, pictures: list[list[bytes]] | None = None) -> bytes:
        """All of it with start codes."""
        slices = [nal for units in pictures or self.pictures for nal in units]
        units = [self.vps, self.sps, self.pps, *slices]
        return b"".join(b"\0\0\0\1" + nal for nal in units)


@dataclass(frozen=True)
class Cut:
    """Columns and rows where tiles begin, wavefronts, and units where slices and dependent segments do.

    With `pcm` blocks may be stored as samples, and if it is "used", the first one says it is.
    """

    across: tuple[int, ...] = (0,)
    down: tuple[int, ...] = (0,)
    wavefront: bool = False
    slices: tuple[int, ...] = (0,)
    dependent: tuple[int, ...] = ()
    pcm: str = ""

    def order(self) -> list[tuple[int, int]]:
        """Raster addresses in the order of coding, with the number of the tile."""
        found, number = [], 0
        for top, bottom in zip(self.down, (*self.down[1:], ROWS), strict=True):
            for left, right in zip(self.across, (*self.across[1:], COLUMNS), strict=True):
                found += [(y * COLUMNS + x, number) for y in range(top, bottom) for x in range(left, right)]
                number += 1
        return found


def write(cut: Cut, seed: int = 1) -> Written:
    """An IDR picture and one that refers to it."""
    out = Written(_sps(cut), _pps(cut), _vps())
    rng = np.random.default_rng(seed)
    for number in range(2):
        units, signs = _picture(cut, number, rng)
        out.pictures.append(units)
        out.signs.append(signs)
    return out


def _picture(cut: Cut, number: int, rng: np.random.Generator) -> tuple[list[bytes], list[int]]:
    order = cut.order()
    starts = sorted((*cut.slices, *cut.dependent))
    units, signs, saved, kept = [], [], start_states(QP, 0), start_states(QP, 0)
    slice_start = 0
    for first, stop in zip(starts, (*starts[1:], len(order)), strict=True):
        if first in cut.slices:
            slice_start = first
        coder, parts, states = Arithmetic(), [], start_states(QP, number)
        for at in range(first, stop):
            address, tile = order[at]
            column = address % COLUMNS
            row_starts = column in cut.across
            tile_starts = at == 0 or order[at - 1][1] != tile
            if tile_starts:
                states = start_states(QP, number)
            elif cut.wavefront and row_starts:
                corner = [i for i, one in enumerate(order) if one == (address - COLUMNS + 1, tile)]
                known = column + 1 < COLUMNS and corner and slice_start <= corner[0]
                states = saved.copy() if known else start_states(QP, number)
            elif at == first and first in cut.dependent:
                states = kept.copy()
            _unit(coder, states, number, rng, signs, cut.pcm)
            if cut.wavefront and column - 1 in cut.across:
                saved = states.copy()
            last = at + 1 == stop
            coder.end(int(last))
            following = order[at + 1] if at + 1 < len(order) else None
            if last:
                kept = states.copy()
            elif following and (
                following[1] != tile or (cut.wavefront and following[0] % COLUMNS in cut.across)
            ):
                coder.end(1)
                parts.append(coder.bytes())
                coder = Arithmetic()
        parts.append(coder.bytes())
        head = _header(cut, number, order[first][0], first in cut.dependent, [len(escape(p)) for p in parts])
        units.append(bytes([(19 if number == 0 else 1) << 1, 1]) + escape(head + b"".join(parts)))
    return units, signs


def _unit(
    coder: Arithmetic,
    states: np.ndarray,
    number: int,
    rng: np.random.Generator,
    signs: list[int],
    pcm: str,
) -> None:
    """A coding tree unit of one block; none is skipped, so that no neighbour matters."""
    coder.bin(states, ct.SPLIT_CU, 0)
    cb, cr, luma = (int(bit) for bit in rng.integers(0, 2, 3))
    if number:
        coder.bin(states, ct.CU_SKIP, 0)
        coder.bin(states, ct.PRED_MODE, 0)
        coder.bin(states, ct.PART_MODE, 1)
        coder.bin(states, ct.MERGE, 1)
        luma |= not (cb or cr)
    else:
        if pcm:
            coder.end(int(pcm == "used"))
        coder.bin(states, ct.INTRA_MPM, 1)
        coder.bypass(0)
        coder.bin(states, ct.INTRA_CHROMA, 0)
    coder.bin(states, ct.CBF_CHROMA, cb)
    coder.bin(states, ct.CBF_CHROMA, cr)
    if number == 0 or cb or cr:
        coder.bin(states, ct.CBF_LUMA + 1, luma)
    for chroma, coded in ((0, luma), (1, cb), (1, cr)):
        if coded:
            offset = 15 if chroma else 6  # 3 * (4 - 2) + (4 - 1 >> 2)
            coder.bin(states, ct.LAST_X + offset, 0)
            coder.bin(states, ct.LAST_Y + offset, 0)
            coder.bin(states, ct.GREATER_1 + 16 * chroma + 1, 0)
            signs.append(int(rng.integers(0, 2)))
            coder.bypass(signs[-1])


def _done(bits: BitWriter) -> bytes:
    """With the stop bit."""
    return escape(bits.u(1, 1).bytes())


def _profile(out: BitWriter) -> BitWriter:
    out.u(8, 1).u(32, 0x60000000).u(4, 0b1001).u(43, 0).u(1, 0)
    return out.u(8, 93)


def _vps() -> bytes:
    out = BitWriter().u(4, 0).u(2, 3).u(6, 0).u(3, 0).u(1, 1).u(16, 0xFFFF)
    _profile(out).u(1, 1).ue(4).ue(0).ue(0).u(6, 0).ue(0).u(1, 0).u(1, 0)
    return bytes([32 << 1, 1]) + _done(out)


def _sps(cut: Cut) -> bytes:
    out = _profile(BitWriter().u(4, 0).u(3, 0).u(1, 1)).ue(0).ue(1).ue(SIZE[0]).ue(SIZE[1])
    out.u(1, 0).ue(0).ue(0).ue(4).u(1, 1).ue(4).ue(0).ue(0)
    out.ue(0).ue(1).ue(0).ue(2).ue(0).ue(0)  # blocks of 8 to 16, transforms of 4 to 16, no depth
    out.u(1, 0).u(1, 0).u(1, 0).u(1, bool(cut.pcm))  # scaling lists, amp, sao
    if cut.pcm:
        out.u(8, 0x77).ue(0).ue(1).u(1, 0)  # of 8 bits, 8x8 to 16x16
    out.ue(1).ue(1).ue(0).ue(0).u(1, 1)  # one set: the picture before
    return bytes([33 << 1, 1]) + _done(out.u(1, 0).u(1, 0).u(1, 0).u(1, 0).u(1, 0))


def _pps(cut: Cut) -> bytes:
    tiles = len(cut.across) * len(cut.down) > 1
    out = BitWriter().ue(0).ue(0).u(1, bool(cut.dependent)).u(1, 0).u(3, 0).u(1, 0).u(1, 0).ue(0).ue(0)
    out.ue(2 * (QP - 26) - 1)  # init_qp_minus26, signed
    out.u(1, 0).u(1, 0).u(1, 0).ue(0).ue(0).u(1, 0).u(1, 0).u(1, 0).u(1, 0)
    out.u(1, tiles).u(1, cut.wavefront)
    if tiles:
        out.ue(len(cut.across) - 1).ue(len(cut.down) - 1).u(1, 0)
        for starts in (cut.across, cut.down):
            for start, stop in pairwise(starts):
                out.ue(stop - start - 1)
        out.u(1, 0)
    out.u(1, 0).u(1, 1).u(1, 0).u(1, 1)  # loop filter across slices; deblocking control: off
    return bytes([34 << 1, 1]) + _done(out.u(1, 0).u(1, 0).ue(0).u(1, 0).u(1, 0))


def _header(cut: Cut, number: int, address: int, dependent: bool, sizes: list[int]) -> bytes:
    out = BitWriter().u(1, address == 0)
    if number == 0:
        out.u(1, 0)
    out.ue(0)
    if address:
        if cut.dependent:
            out.u(1, dependent)
        out.u((COLUMNS * ROWS - 1).bit_length(), address)
    if not dependent:
        out.ue(2 if number == 0 else 1)
        if number:
            out.u(8, number).u(1, 1).u(1, 0).ue(4)  # order, the set, no override, one merge candidate
        out.ue(0)
    if cut.wavefront or len(cut.across) * len(cut.down) > 1:
        out.ue(len(sizes) - 1)
        if len(sizes) > 1:
            out.ue(15)
            for size in sizes[:-1]:
                out.u(16, size - 1)
    return out.u(1, 1).bytes()
