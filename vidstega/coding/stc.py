"""Binary syndrome-trellis codes: the cheapest change of some bits that says a message.

T. Filler, J. Judas, J. Fridrich, "Minimizing additive distortion in steganography using syndrome-trellis
codes", IEEE TIFS 6(3), 2011. Carrier bits x become y with H y = message at the least sum of costs of
changed bits, where H repeats a small matrix of HEIGHT rows along its diagonal. The Viterbi algorithm
finds y; its cost is carriers * 2 ** HEIGHT steps, whatever the message.

Matrices, widths and segments are part of what a reader must know: none of them may ever change.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vidstega.errors import CapacityError, ParameterError
from vidstega.jit import int64, kernel, uint64

HEIGHT = 10
SEGMENT = 1 << 18
"""Carriers of one trellis at most: its paths take 128 bytes a carrier."""
MOST_RATE = 0.5

_STATES = 1 << HEIGHT
_WORDS = _STATES // 64
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
    _check(cover, cost, message)
    out = cover.copy()
    for carriers, bits in _segments(len(cover), len(message)):
        share = message[bits]
        if len(share) and not _viterbi(cover[carriers], cost[carriers], share, _COLUMNS, out[carriers]):
            stay = int(np.isinf(cost).sum())
            raise CapacityError(
                f"{stay:,} of {len(cover):,} carriers must stay as they are, which leaves no way to say "
                f"{len(message):,} bits; use more carriers"
            )
    return out


def extract(stego: Bits, n_bits: int) -> Bits:
    """What some carrier bits say: `n_bits` bits, as many as were embedded."""
    if not 0 <= n_bits <= MOST_RATE * len(stego):
        raise ParameterError(
            f"{len(stego):,} carriers cannot hold {n_bits:,} bits, at most one for two carriers"
        )
    stego = np.ascontiguousarray(stego, np.uint8)
    message = np.empty(n_bits, np.uint8)
    for carriers, bits in _segments(len(stego), n_bits):
        if bits.stop > bits.start:
            _syndrome(stego[carriers], _COLUMNS, message[bits])
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


@kernel("boolean(uint8[::1], float32[::1], uint8[::1], int32[:, ::1], uint8[::1])")
def _viterbi(
    cover: Bits, cost: NDArray[np.float32], message: Bits, columns: NDArray[np.int32], out: Bits
) -> bool:
    """Fill `out` with the cheapest bits that say the message; False if there are none."""
    n, m = len(cover), len(message)
    paths = np.empty((n, _WORDS), np.uint64)
    old = np.full(_STATES, np.inf, np.float32)
    new = np.empty(_STATES, np.float32)
    old[0] = 0
    at = 0
    for i in range(m):
        end = (i + 1) * n // m
        width = end - at
        row = columns[min(width, _WIDEST)]
        rows = (1 << min(HEIGHT, m - i)) - 1
        for j in range(width):
            column = int64(row[j % _WIDEST]) & rows
            price = cost[at]
            zero = price if cover[at] else np.float32(0)
            one = np.float32(0) if cover[at] else price
            for word in range(_WORDS):
                taken = np.uint64(0)
                for lane in range(64):
                    s = word * 64 + lane
                    stay = old[uint64(s)] + zero
                    move = old[uint64(s ^ column)] + one
                    less = move < stay
                    new[uint64(s)] = move if less else stay
                    taken |= np.uint64(less) << np.uint64(lane)
                paths[at, word] = taken
            old, new = new, old
            at += 1
        least = np.float32(np.inf)
        wanted = int64(message[i])
        for s in range(_STATES // 2):
            least = min(least, old[2 * s + wanted])
        if least == np.inf:
            return False
        for s in range(_STATES // 2):
            new[s] = old[2 * s + wanted] - least
            new[s + _STATES // 2] = np.inf
        old, new = new, old
    state = 0
    for i in range(m - 1, -1, -1):
        state = state << 1 & _STATES - 1 | int64(message[i])
        start, end = i * n // m, (i + 1) * n // m
        row = columns[min(end - start, _WIDEST)]
        rows = (1 << min(HEIGHT, m - i)) - 1
        for j in range(end - start - 1, -1, -1):
            taken = paths[start + j, state >> 6] >> np.uint64(state & 63) & np.uint64(1)
            out[start + j] = taken
            if taken:
                state ^= int64(row[j % _WIDEST]) & rows
    return True


@kernel("void(uint8[::1], int32[:, ::1], uint8[::1])")
def _syndrome(stego: Bits, columns: NDArray[np.int32], message: Bits) -> None:
    n, m = len(stego), len(message)
    state, at = 0, 0
    for i in range(m):
        end = (i + 1) * n // m
        row = columns[min(end - at, _WIDEST)]
        rows = (1 << min(HEIGHT, m - i)) - 1
        for j in range(end - at):
            if stego[at + j]:
                state ^= int64(row[j % _WIDEST]) & rows
        at = end
        message[i] = state & 1
        state >>= 1
