"""From the slice NAL units of a picture to the signs of its coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidstega.errors import InputError
from vidstega.h264 import macroblocks as mb
from vidstega.h264.bits import unescape
from vidstega.h264.slices import Sets, SliceHeader, parse_header
from vidstega.residual import CHROMA_AC, CHROMA_DC, LUMA_AC, LUMA_DC, Picture, Signs

_NOT_ONE = "its slices are not those of one picture in order (damaged, or arbitrary slice order)"
_DAMAGED = {
    mb.TOO_LONG: "a slice does not end with the picture (damaged)",
    mb.NONSENSE: "a slice makes no sense (damaged)",
    mb.WRONG_END: "a slice does not end at its stop bit (damaged)",
}
# By block and whether it is the block's first coefficient.
_KINDS = np.full(2 * mb.BLOCKS, LUMA_AC, np.uint8)
_KINDS[1::2] = LUMA_DC
_KINDS[0] = LUMA_DC
_KINDS[2 * 17 : 2 * 19] = CHROMA_DC
_KINDS[2 * 19 : 2 * mb.LUMA_8X8] = CHROMA_AC
_PADDING = bytes(8)  # a walk reads ahead by words
_MB_COEFFICIENTS = 384


def walk_picture(units: Sequence[bytes], sets: Sets) -> Picture:
    """Walk a picture through to the stop bit of each of its slices.

    Parameters
    ----------
    units : sequence of bytes
        The slice NAL units of one picture in order, without start codes or lengths. Trailing zero bytes
        may be left on.
    sets : Sets
        The parameter sets in force.

    Returns
    -------
    Picture
        With an obstacle and no signs, never an exception, where the picture is damaged or coded in a
        way that is not read.
    """
    try:
        headers = [parse_header(nal, sets) for nal in units]
    except InputError as error:
        return _obstacle(str(error))
    read = [header for header in headers if not isinstance(header, str)]
    if len(read) < len(headers) or not read:
        return _obstacle(next((header for header in headers if isinstance(header, str)), _NOT_ONE))
    if not _one_picture(read):
        return _obstacle(_NOT_ONE)
    return _walk(units, read)


def usable(picture: Picture) -> NDArray[np.bool_]:
    """Which signs may be turned: those of inter macroblocks from which no intra macroblock is predicted.

    Intra prediction reads up to one macroblock to the left, above, above-left and above-right (8.3), so
    a macroblock counts if those to its right, below, below-left and below-right are inter; under
    constrained intra prediction all of them do. Nothing here depends on any sign.
    """
    signs = picture.signs
    if picture.constrained or not len(signs):
        return signs.inter & ~signs.fixed
    intra = np.pad(picture.intra, ((0, 1), (1, 1)))
    read_from = intra[:-1, 2:] | intra[1:, :-2] | intra[1:, 1:-1] | intra[1:, 2:]
    return signs.inter & ~signs.fixed & ~read_from.reshape(-1)[signs.place]


def _obstacle(why: str) -> Picture:
    return Picture(
        why, _Room(0).signs([], np.zeros(0, bool), np.zeros(0, np.int8)), np.zeros((0, 0), bool), False
    )


def _one_picture(headers: list[SliceHeader]) -> bool:
    first = headers[0]
    same = all(
        (h.pps.sps_id, h.frame_num, h.idr_pic_id, h.poc_lsb, h.nal_ref_idc > 0)
        == (first.pps.sps_id, first.frame_num, first.idr_pic_id, first.poc_lsb, first.nal_ref_idc > 0)
        for h in headers
    )
    return same and first.first_mb == 0 and not any(h.redundant for h in headers)


class _Room:
    """Arrays that kernels write signs into, a sign being at least a bit long."""

    def __init__(self, most: int) -> None:
        self.bits = np.empty(most, np.int32)
        self.steps = np.empty(most, np.int16)
        self.levels = np.empty(most, np.int16)
        self.mbs = np.empty(most, np.int32)
        self.blocks = np.empty(most, np.uint8)
        self.positions = np.empty(most, np.uint8)
        self.flags = np.empty(most, np.uint8)

    def arrays(self, start: int) -> tuple[NDArray[Any], ...]:
        every = (self.bits, self.steps, self.levels, self.mbs, self.blocks, self.positions, self.flags)
        return tuple(array[start:] for array in every)

    def signs(self, counts: list[int], intra: NDArray[np.bool_], qp: NDArray[np.int8]) -> Signs:
        n = sum(counts)
        bit, step, level, place, block, position, flags = (array[:n].copy() for array in self.arrays(0))
        kind = _KINDS[2 * block + (position == 0)]
        unit = np.repeat(np.arange(len(counts), dtype=np.int16), counts)
        negative, fixed = flags & 1 == 1, flags & 2 == 2
        return Signs(
            unit, bit, step, negative, fixed, level, place, block, position, kind, ~intra[place], qp[place]
        )


def _walk(units: Sequence[bytes], headers: list[SliceHeader]) -> Picture:
    sps = headers[0].sps
    width, height = sps.mb_size
    intra, qp = np.zeros(width * height, np.uint8), np.zeros(width * height, np.int8)
    bits = 8 * sum(map(len, units)) + _MB_COEFFICIENTS * (1 + len(units))
    room = _Room(min(bits, _MB_COEFFICIENTS * (width * height + 1)))
    address, counts = 0, [0] * len(units)
    for i, (nal, header) in enumerate(zip(units, headers, strict=True)):
        if header.first_mb != address:
            return _obstacle(_NOT_ONE)
        status, address, counts[i] = _walk_slice(nal, header, intra, qp, room, sum(counts))
        if status != mb.ENDED:
            return _obstacle(_DAMAGED[status])
    if address != width * height:
        return _obstacle(_NOT_ONE)
    shown = intra.astype(bool)
    signs = room.signs(counts, shown, qp)
    constrained = all(header.pps.constrained_intra for header in headers)
    return Picture("", signs, shown.reshape(height, width), constrained)


def _walk_slice(
    nal: bytes,
    header: SliceHeader,
    intra: NDArray[np.uint8],
    qp: NDArray[np.int8],
    room: _Room,
    start: int,
) -> tuple[int, int, int]:
    plain = unescape(nal).rstrip(b"\0")
    stop = 8 * len(plain) - (plain[-1] & -plain[-1]).bit_length()
    if stop < header.data_bit:
        return mb.WRONG_END, 0, 0
    data = np.frombuffer(bytearray(plain + _PADDING), np.uint8)
    parameters = _parameters(header, stop)
    # Each kernel is compiled or loaded when it is imported: only the one that is needed.
    if header.pps.cabac:
        from vidstega.h264 import cabac
        from vidstega.h264.cabac_tables import start_states

        states = start_states(header.qp, header.kind == mb.SLICE_I, header.cabac_init_idc)
        return cabac.walk(data, parameters, states, intra, qp, *room.arrays(start))
    from vidstega.h264 import cavlc

    return cavlc.walk(data, parameters, intra, qp, *room.arrays(start))


def _parameters(header: SliceHeader, stop: int) -> NDArray[np.int32]:
    sps, start = header.sps, header.data_bit
    width, height = sps.mb_size
    values = {
        mb.SLICE_TYPE: header.kind,
        mb.FIRST_MB: header.first_mb,
        mb.WIDTH_MBS: width,
        mb.PICTURE_MBS: width * height,
        mb.START_BIT: -(-start // 8) * 8 if header.pps.cabac else start,
        mb.STOP_BIT: stop,
        mb.QP: header.qp,
        mb.REFS_L0: header.refs[0],
        mb.REFS_L1: header.refs[1],
        mb.TRANSFORM_8X8: header.pps.transform_8x8,
        mb.DIRECT_8X8_INFERENCE: sps.tools.direct_8x8_inference,
        mb.CHROMA: sps.chroma_format_idc,
    }
    return np.array([values[column] for column in range(mb.PARAMETERS)], np.int32)
