"""Binary syndrome-trellis codes: the cheapest change of some bits that says a message.

T. Filler, J. Judas, J. Fridrich, "Minimizing additive distortion in steganography using syndrome-trellis
codes", IEEE TIFS 6(3), 2011. Carrier bits x become y with H y = message at the least sum of costs of
changed bits, where H repeats a small matrix of HEIGHT rows along its diagonal. The Viterbi algorithm
finds y; its cost is 2 ** HEIGHT steps for each carrier that may change, whatever the message.

Matrices, widths and segments are part of what a reader must know: none of them may ever change.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vidstega.errors import CapacityError, ParameterError

HEIGHT = 10
SEGMENT = 1 << 18
"""Carriers of one trellis at most: its paths take 128 bytes for each that may change."""
MOST_RATE = 0.5

_WIDEST = 64

Bits = NDArray[np.uint8]


def embed(cover: Bits, cost: NDArray[np.float32], message: Bits) -> Bits:
    """Change as little as possible of some bits so that they say a message.

    Parameters
    ----------
    cover : uint8 array of shape (n,)
        Carrier bits, 0 or 1, in the order the reader will have them.
    cost : float32 array of shape (n,)
        What changing each bit costs, 0 or more; infinite where it must stay.
    message : uint8 array of shape (m,)
        Bits, 0 or 1; at most one for two carriers.

    Returns
    -------
    uint8 array of shape (n,)
        Bits to take the cover's place.

    Raises
    ------
    CapacityError
        If there are more than one message bit for two carriers, or too many of them must stay.
    """
    from vidstega.coding.viterbi import cheapest

    _check(cover, cost, message)
    out = cover.copy()
    for carriers, bits in _segments(len(cover), len(message)):
        share = message[bits]
        if len(share) and not cheapest(cover[carriers], cost[carriers], share, _COLUMNS, out[carriers]):
            stay = int(np.isinf(cost).sum())
            raise CapacityError(
                f"{stay:,} of {len(cover):,} carriers must stay as they are, which leaves no way to say "
                f"{len(message):,} bits; use more carriers"
            )
    return out


def extract(stego: Bits, n_bits: int) -> Bits:
    """What some carrier bits say: `n_bits` bits, as many as were embedded. No kernel is compiled for it."""
    if not 0 <= n_bits <= MOST_RATE * len(stego):
        raise ParameterError(
            f"{len(stego):,} carriers cannot hold {n_bits:,} bits, at most one for two carriers"
        )
    message = np.zeros(n_bits, np.uint8)
    for carriers, bits in _segments(len(stego), n_bits):
        if bits.stop > bits.start:
            _syndrome(stego[carriers], message[bits])
    return message


def _check(cover: Bits, cost: NDArray[np.float32], message: Bits) -> None:
    if cover.shape != cost.shape:
        raise ParameterError(f"{len(cover):,} carriers but {len(cost):,} costs")
    if len(message) > MOST_RATE * len(cover):
        raise CapacityError(
            f"the message has {len(message):,} bits, {len(cover):,} carriers hold {len(cover) // 2:,} "
            "(one for two); use more carriers"
        )
    if len(cost) and not cost.min() >= 0:
        raise ParameterError("a cost is negative or no number; costs are 0 or more")


def _segments(n: int, m: int) -> list[tuple[slice, slice]]:
    """Carriers and message bits of each trellis: as many of both in each as can be."""
    count = max(1, -(-n // SEGMENT))
    ends = [(n * i // count, m * i // count) for i in range(count + 1)]
    return [(slice(a, c), slice(b, d)) for (a, b), (c, d) in pairwise(ends)]


def _syndrome(stego: Bits, message: Bits) -> None:
    """Fill `message`, all zeros, with the product of H and the carriers, a block of columns at a time."""
    n, m = len(stego), len(message)
    ends = np.arange(m + 1, dtype=np.int64) * n // m
    width = np.diff(ends)
    within = np.arange(n, dtype=np.int64) - np.repeat(ends[:-1], width)
    columns = _COLUMNS[np.repeat(np.minimum(width, _WIDEST), width), within % _WIDEST]
    blocks = np.bitwise_xor.reduceat(np.where(stego, columns, 0), ends[:-1])
    for row in range(min(HEIGHT, m)):
        message[row:] ^= (blocks[: m - row] >> row & 1).astype(np.uint8)


def _columns() -> NDArray[np.int32]:
    """Row w holds the w columns of the matrix of that width; beyond the widest, columns repeat."""
    table = np.zeros((_WIDEST + 1, _WIDEST), np.int32)
    for width in range(1, _WIDEST + 1):
        chosen = _CHOSEN.get(width, _REST)
        table[width] = np.resize(np.array(chosen, np.int32), _WIDEST)
    return table


# Columns as numbers, bit 0 the first row. First and last row are all ones; the rest was found by
# trying random columns on carriers of equal cost and keeping those with the fewest changes.
_CHOSEN = {
    2: (787, 741),
    3: (811, 557, 855),
    4: (729, 833, 767, 561),
    5: (809, 935, 607, 933, 1011),
    6: (1019, 599, 623, 975, 801, 971),
    8: (1009, 915, 601, 629, 675, 871, 839, 673),
}
_REST = tuple(513 + 2 * (i * 89 % 256) for i in range(64))
_COLUMNS = _columns()
