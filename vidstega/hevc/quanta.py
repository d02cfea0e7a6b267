"""What a level of 1 is worth at each sign of a picture (8.6.1 to 8.6.4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vidstega.hevc import blocks as bl
from vidstega.hevc.scaling import chroma_qp, factors
from vidstega.hevc.slices import Sets, SliceHeader, parse_header
from vidstega.residual import Signs


def quanta(signs: Signs, units: Sequence[bytes], sets: Sets) -> NDArray[np.float32]:
    """The size in samples of a level of 1 at each sign of a walked picture, in the norm of its block.

    It is what `h264.scaling.quanta` gives, from slice segment NAL units and the parameter sets in force.
    """
    out = np.empty(len(signs), np.float32)
    header: SliceHeader | None = None
    for number, unit in enumerate(units):
        parsed = parse_header(unit, sets, header)
        if isinstance(parsed, str):
            raise AssertionError(f"this slice was not walked: {parsed}")
        header = parsed
        of = signs.unit == number
        if of.any():
            out[of] = _of_slice(signs[of], header)
    return out


def _of_slice(signs: Signs, header: SliceHeader) -> NDArray[np.float32]:
    sps, pps = header.sps, header.pps
    extra = sps.bit_depth[0] - 8
    block, position = signs.block.astype(np.int64), signs.position.astype(np.int64)
    plane, size = block >> bl.PLANE_SHIFT & 3, block >> bl.SIZE_SHIFT & 3
    qp = signs.qp.astype(np.int64)
    for chroma, offset in enumerate(header.chroma_qp_offset, 1):
        qp = np.where(plane == chroma, chroma_qp(signs.qp.astype(np.int64), offset, extra), qp)
    lists = None if sps.scaling is None else (pps.scaling or sps.scaling)
    matrix = plane + 3 * signs.inter
    row, column = position >> bl.ROW_SHIFT, position & (1 << bl.ROW_SHIFT) - 1
    weight = factors(lists)[size, matrix, row, column]
    return np.asarray(weight * 2.0 ** ((qp + 6 * extra - 4) / 6), np.float32)
