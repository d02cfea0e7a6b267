"""What methods share: a plane as one row of samples, and the nearest samples with given lowest bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from vidstega.errors import ParameterError

if TYPE_CHECKING:
    from vidstega.methods import Plane


def matched(x: Plane, bits: NDArray[Any], down: NDArray[Any], top: int) -> Plane:
    """The samples nearest to `x` whose lowest bits are `bits`; a tie goes up, or down where `down` is 1.

    The answer is the first sample with the right bit in x .. x + 1, or in x - 1 .. x where `down`, so
    moving the lower end of that pair back into range is all that saturation takes. Overwrites `bits`
    and `down`.
    """
    bits = bits.reshape(x.shape).astype(x.dtype, copy=False)
    low = down.reshape(x.shape).astype(x.dtype, copy=False)
    np.minimum(low, x, out=low)  # at 0 there is no way down
    np.subtract(x, low, out=low)
    bits += top - 1  # even, so the lowest bit stays
    np.minimum(low, bits, out=low)  # at the top there is no way up from top to top + 1
    bits ^= low
    bits &= 1
    bits += low
    return bits


def flat(plane: Plane) -> tuple[Any, int]:
    """The memory of `plane` from its first sample to its last as one row, and the padding of a line.

    Nothing outside these samples is in the view, so no index can reach beyond the plane's own buffer.

    Raises
    ------
    ParameterError
        If the samples of a row are not next to each other in memory.
    """
    (height, width), size = plane.shape, plane.itemsize
    pitch, rest = divmod(plane.strides[0], size) if height > 1 else (width, 0)
    if pitch < width or rest or (width > 1 and plane.strides[1] != size):
        raise ParameterError(
            f"plane with strides {plane.strides} for samples of {size} bytes: rows must be stored sample "
            "by sample, top to bottom; embed in a contiguous copy"
        )
    return as_strided(plane, ((height - 1) * pitch + width,), (size,)), pitch - width
