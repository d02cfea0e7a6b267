"""LSB matching: one bit in the lowest bit of one sample, with a keyed +1 or -1 where it differs.

Matching rather than replacement, so that the pairs (2k, 2k+1) are not evened out, which is what the
oldest statistical tests see (T. Sharp, "An implementation of key-based digital signal steganography",
Information Hiding 2001).

Which samples carry, frozen as part of the sealed format
--------------------------------------------------------
A message of n bits (whole bytes, most significant bit first) goes into a plane of N = height * width
samples, counted row by row; line padding does not count.

- Sparse, n <= N - 8: bit i has the cell of samples [i*N//n, (i+1)*N//n) to itself. The next four bytes
  of `positions`, read as a little-endian integer r, pick sample i*N//n + (r * width_of_cell >> 32).
  A message draws exactly 4*n bytes.
- Dense, n > N - 8, that is as many bytes as fit: bit i goes into sample i; `positions` is not drawn from.

How they change: bit i has bit i of `signs` (most significant first; a message draws exactly n/8 bytes),
drawn whether or not it is needed: where the sample's lowest bit differs, 0 adds one and 1 takes one away.
At 0 and at 2**depth - 1 the only possible direction is taken instead; a sample above the range of its
depth is first brought down into it.

Both streams are drawn in the order of the bits, so how the work is cut into bands does not show.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidstega.errors import CapacityError
from vidstega.methods.planes import flat, matched
from vidstega.seal.keystream import KeyedRandom, KeyStream

if TYPE_CHECKING:
    from vidstega.methods import Plane

_BAND = 1 << 18  # bytes of one scratch array, a multiple of 64: a handful of them stay in the L2 cache


@dataclass(frozen=True)
class LSB:
    """LSB matching in one plane, at one bit per sample or less.

    Scratch is about 1 MiB (2 MiB above 8 bits), whatever the size of plane and message. The key
    decides where a sparse message lies; a dense one lies in plain order for anyone to read, so seal first.

    Examples
    --------
    >>> import numpy as np
    >>> from vidstega.seal.keystream import KeyedRandom, KeyStream
    >>> def keyed():
    ...     return KeyedRandom(KeyStream(bytes(32), b"place"), KeyStream(bytes(32), b"sign"))
    >>> plane = np.full((480, 640), 128, np.uint8)
    >>> LSB().embed(plane, np.frombuffer(b"hello", np.uint8), keyed(), depth=8)
    >>> LSB().extract(plane, 5, keyed(), depth=8).tobytes()
    b'hello'
    """

    name = "lsb"

    def capacity(self, shape: tuple[int, int], depth: int) -> int:
        """Bits a plane of this (height, width) takes: one per sample."""
        return shape[0] * shape[1]

    def embed(self, plane: Plane, data: NDArray[np.uint8], random: KeyedRandom, depth: int) -> None:
        """Write `data` (packed bytes, shape (size,)) into `plane`, in place.

        Raises
        ------
        CapacityError
            `data` has more bits than `plane` has samples; the plane is untouched.
        ParameterError
            The samples of a row are not next to each other in memory; the plane is untouched.
        """
        for start, stop, samples, at in _carriers(plane, 8 * len(data), random.positions):
            bits = np.unpackbits(data[start // 8 : stop // 8])
            down = np.unpackbits(random.signs.bytes((stop - start) // 8))
            samples[at] = matched(samples[at], bits, down, 2**depth - 1)

    def extract(self, plane: Plane, size: int, random: KeyedRandom, depth: int) -> NDArray[np.uint8]:
        """Read `size` bytes back from `plane` with an equal `random`; raises as `embed` does."""
        data = np.empty(size, np.uint8)
        for start, stop, samples, at in _carriers(plane, 8 * size, random.positions):
            data[start // 8 : stop // 8] = np.packbits((samples[at] & 1).astype(np.uint8, copy=False))
        return data


def _carriers(plane: Plane, n: int, positions: KeyStream) -> Iterator[tuple[int, int, Plane, Any]]:
    """Where the n bits go, as (start, stop, samples, at): bits start to stop are in `samples[at]`.

    `start` and `stop` are multiples of 8, and `samples[at]` holds them in order, as one row or as many.
    """
    height, width = plane.shape
    area = height * width
    if n > area:
        raise CapacityError(
            f"needs {n:,} bits, capacity is {area:,} in a plane of {width}x{height}; take fewer bytes a plane"
        )
    if n == 0:
        return
    samples, padding = flat(plane)
    dense, start = n > area - 8, 0
    if dense and (group := _BAND // width // 8 * 8):  # groups of 8 rows are whole bytes and need no index
        whole = n // width // 8 * 8
        for row in range(0, whole, group):
            rows = slice(row, min(row + group, whole))
            start, stop = rows.start * width, rows.stop * width
            yield start, stop, plane, rows
        start = whole * width
    for begin in range(start, n, _BAND // 8):
        end = min(begin + _BAND // 8, n)
        at = np.arange(begin, end, dtype=np.uint64) if dense else _spread(begin, end, n, area, positions)
        if padding:
            at += at // width * padding
        yield begin, end, samples, at.view(np.int64)


def _spread(start: int, stop: int, n: int, area: int, positions: KeyStream) -> NDArray[np.uint64]:
    """The sample that each of the bits `start` to `stop` of `n` takes in its own cell; area < 2**32."""
    edge = np.arange(start, stop + 1, dtype=np.uint64)
    edge *= area
    edge //= n
    at = positions.bytes(4 * (stop - start)).view("<u4").astype(np.uint64)
    at *= edge[1:] - edge[:-1]
    at >>= 32
    at += edge[:-1]
    return at
