"""HILL: changes go where a picture is hard to foretell, few of them by a syndrome-trellis code.

B. Li, M. Wang, J. Huang, X. Li, "A new cost function for spatial image steganography", ICIP 2014: a sample
costs little to change where its neighbourhood is rich in high frequencies, and much in flat places. Which
samples change for a message at the least sum of costs is found by the code of `vidstega.coding.stc`.

Where a message lies, frozen as part of the sealed format
---------------------------------------------------------
A message of n bits (whole bytes, most significant bit first) goes into a plane of N = height * width
samples, counted row by row; line padding does not count.

- The plane has S = ceil(N / 2**18) *parts*. Part i says bits n*i//S up to n*(i+1)//S of the message; one
  with no bits draws nothing.
- Each S successive samples are a *cell*, the last of them perhaps cut short; the next two bytes of
  `positions` for each cell, read as a little-endian integer r, turn it by t = r * S >> 16: part i has the
  sample with the number (i + t) mod S within the cell, if there is one. All cells draw before any part does.
- The samples of a part, in the order of their cells, draw the next four bytes each from `positions`, and
  are put in ascending order of these little-endian integers; equal ones stay in the order of cells.
- The lowest bits of these samples, in this order, say the part's bits by the code of `coding.stc`.

A reader needs no costs. How samples change is no part of the format: up or down by one, as the next bit of
`signs` says (0 up, 1 down; each part draws whole bytes), at 0 and at 2**depth - 1 the only way there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vidstega.coding import stc
from vidstega.errors import CapacityError
from vidstega.methods.habits import Habits
from vidstega.methods.planes import flat, matched
from vidstega.seal.keystream import KeyedRandom, KeyStream

if TYPE_CHECKING:
    from vidstega.methods import Plane

ALPHA = 0.01
"""Bits per sample above which a message is noted as easier to notice."""
COPIED = np.float32(1e6)
"""What a cost is raised by where the neighbourhood is a copy of the frame before."""
WET = np.float32(1e17)
"""Cost of a sample that should stay, above all others; not infinite, so that every message fits."""

_PART = stc.SEGMENT
_CHOICE = 16  # samples for a bit of the message that may change, the cheapest; all would gain a hundredth
_BAND = 1 << 18  # samples of one scratch array of the filters
_REACH = 9  # rows and columns that a cost looks at on either side: 1 + 1 + 7


@dataclass(frozen=True)
class Hill:
    """Adaptive LSB matching in one plane, at half a bit per sample or less.

    Embedding takes some 9 bytes of scratch a sample and up to 40 MiB, reading 18 MiB whatever the size.

    Examples
    --------
    >>> import numpy as np
    >>> from vidstega.seal.keystream import KeyedRandom, KeyStream
    >>> def keyed():
    ...     return KeyedRandom(KeyStream(bytes(32), b"place"), KeyStream(bytes(32), b"sign"))
    >>> plane = np.random.default_rng(0).integers(0, 256, (120, 160), np.uint8)
    >>> Hill().embed(plane, np.frombuffer(b"hello", np.uint8), keyed(), depth=8)
    >>> Hill().extract(plane, 5, keyed(), depth=8).tobytes()
    b'hello'
    """

    name = "hill"
    habits: ClassVar = Habits(
        spread="all",
        spreads=("fewest", ALPHA, 0.1, "all"),
        alpha=ALPHA,
        kernels=("vidstega.coding.viterbi",),
        looks_back=True,
        fixed_bytes=40 << 20,
        sample_bytes=10,
    )

    def capacity(self, shape: tuple[int, int], depth: int) -> int:
        """Bits a plane of this (height, width) takes: one for two samples of the smallest part, in each."""
        area = shape[0] * shape[1]
        parts = _parts(area)
        return int(parts * int(stc.MOST_RATE * (area // parts)))

    def embed(
        self,
        plane: Plane,
        data: NDArray[np.uint8],
        random: KeyedRandom,
        depth: int,
        before: Plane | None = None,
    ) -> None:
        """Write `data` (packed bytes, shape (size,)) into `plane`, in place.

        Samples whose neighbourhood of 5x5 is the same in `before`, the same rows of the frame before as the
        cover has them, are next to never changed: lossily coded video copies blocks, and a single sample
        that differs stands out there.

        Raises
        ------
        CapacityError
            `data` has more bits than half the samples of `plane`; the plane is untouched.
        ParameterError
            The samples of a row are not next to each other in memory; the plane is untouched.
        """
        self._check(plane, 8 * len(data))
        if not len(data):
            return
        top, bits = 2**depth - 1, np.unpackbits(data)
        samples, padding = flat(plane)
        prices = _prices(plane, top, before).ravel()
        for share, at in _order(plane.shape, len(bits), random.positions):
            price = prices[at]
            at += at // plane.shape[1] * padding
            carriers = (samples[at] & 1).astype(np.uint8, copy=False)
            after = _changed(carriers, price, bits[share])
            which = np.flatnonzero(after != carriers)
            at = at[which]
            down = np.unpackbits(random.signs.bytes(-(-len(which) // 8)))[: len(which)]
            samples[at] = matched(samples[at], after[which], down, top)

    def extract(self, plane: Plane, size: int, random: KeyedRandom, depth: int) -> NDArray[np.uint8]:
        """Read `size` bytes back from `plane` with an equal `random`; raises as `embed` does."""
        self._check(plane, 8 * size)
        bits = np.zeros(8 * size, np.uint8)
        if size:
            samples, padding = flat(plane)
            for share, at in _order(plane.shape, len(bits), random.positions):
                at += at // plane.shape[1] * padding
                carriers = (samples[at] & 1).astype(np.uint8, copy=False)
                bits[share] = stc.extract(carriers, share.stop - share.start)
        return np.packbits(bits)

    def _check(self, plane: Plane, n: int) -> None:
        height, width = plane.shape
        if n > (most := self.capacity((height, width), 0)):
            raise CapacityError(
                f"needs {n:,} bits, capacity is {most:,} in a plane of {width}x{height}; "
                "take fewer bytes a plane"
            )


# -- where a message lies -------------------------------------------------------------------------------


def _parts(area: int) -> int:
    return max(1, -(-area // _PART))


def _order(shape: tuple[int, ...], n: int, positions: KeyStream) -> Iterator[tuple[slice, NDArray[np.int64]]]:
    """For each part with bits: which bits of the message, and the numbers of its samples in their order."""
    area = shape[0] * shape[1]
    parts = _parts(area)
    first = np.arange(0, area, parts)
    turn = (positions.bytes(2 * len(first)).view("<u2") * np.int64(parts)) >> 16
    for part in range(parts):
        share = slice(n * part // parts, n * (part + 1) // parts)
        if share.start == share.stop:
            continue
        at = first + (part + turn) % parts
        if at[-1] >= area:
            at = at[:-1]
        lots = positions.bytes(4 * len(at)).view("<u4").astype(np.uint64)
        lots <<= 32
        lots |= np.arange(len(at), dtype=np.uint64)
        lots.sort()
        yield share, at[(lots & 0xFFFFFFFF).view(np.int64)]


# -- what changes ---------------------------------------------------------------------------------------


def _changed(bits: NDArray[np.uint8], price: NDArray[np.float32], message: NDArray[np.uint8]) -> Any:
    """The bits that say the message; only the cheapest may change, which takes a fraction of the time.

    Where they leave no way, as when many that should not change cost the same, all may.
    """
    if (some := _CHOICE * len(message)) < len(bits):
        cheap = np.argpartition(price, some)[:some]
        limited = np.full_like(price, np.inf)
        limited[cheap] = price[cheap]
        try:
            return stc.embed(bits, limited, message)
        except CapacityError:
            pass
    return stc.embed(bits, price, message)


def _prices(plane: Plane, top: int, before: Plane | None) -> NDArray[np.float32]:
    """HILL costs, much raised where blocks are copied and at the ends of the range, with one way to go."""
    prices = hill_costs(plane)
    if before is not None:
        prices[_copied(plane, before)] *= COPIED
    prices[(plane == 0) | (plane >= top)] = WET
    return prices


def _copied(plane: Plane, before: Plane) -> NDArray[np.bool_]:
    """Whether all of 5x5 samples, as far as they are in the plane, are as they were in the frame before."""
    same = np.pad(plane == before, 2, constant_values=True)
    for axis in (0, 1):
        same = reduce(np.logical_and, (_part_of(same, i, 4 - i, axis) for i in range(5)))
    return same


def hill_costs(plane: Plane) -> NDArray[np.float32]:
    """What changing each sample by one costs, by HILL.

    The high-pass filter of Ker and Böhme, its size averaged over 3x3, the reciprocal of that, averaged over
    15x15; a plane goes on beyond its edges as its mirror image, edge samples twice.

    Parameters
    ----------
    plane : uint8 or uint16 array of shape (height, width), at least one sample

    Returns
    -------
    float32 array of the same shape
        Costs above 0 and up to 10**10, which is what samples in the midst of a constant area have; the
        same however the plane lies in memory.
    """
    height, width = plane.shape
    costs = np.empty((height, width), np.float32)
    columns = _mirrored(-_REACH, width + _REACH, width)
    rows = max(2 * _REACH, _BAND // width)
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        around = plane[_mirrored(start - _REACH, stop + _REACH, height)]
        costs[start:stop] = _filtered(around[:, columns].astype(np.float32))
    return costs


def _mirrored(start: int, stop: int, size: int) -> NDArray[np.int64]:
    """Numbers `start` to `stop` as numbers of a line of `size` samples that goes on as its mirror image."""
    at = np.arange(start, stop) % (2 * size)
    return np.minimum(at, 2 * size - 1 - at)


def _filtered(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Costs of what has `_REACH` samples around it on all sides."""
    for axis in (0, 1):  # -1 2 -1, 2 -4 2, -1 2 -1 is one second difference after the other
        x = _sum(x, 3, 1, axis) - 3 * _part_of(x, 1, 1, axis)
    x = np.abs(x)
    for axis in (0, 1):  # whole numbers so far, below 2**24 even at 16 bits: exact
        x = _sum(x, 3, 1, axis)
    x = np.float32(1) / (x / np.float32(9) + np.float32(1e-10))
    for axis in (0, 1):
        x = _sum(_sum(x, 3, 1, axis), 5, 3, axis)
    return x / np.float32(225)


def _sum(x: NDArray[np.float32], count: int, step: int, axis: int) -> NDArray[np.float32]:
    """Sums of `count` samples, `step` apart, along an axis; as many as there are without an edge."""
    reach = (count - 1) * step
    return reduce(np.add, (_part_of(x, i * step, reach - i * step, axis) for i in range(count)))


def _part_of(x: NDArray[Any], ahead: int, behind: int, axis: int) -> NDArray[Any]:
    part = slice(ahead, x.shape[axis] - behind)
    return x[part] if axis == 0 else x[:, part]
