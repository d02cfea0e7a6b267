"""The kernel of the syndrome-trellis code: which carriers change. Importing it imports numba.

A carrier that must stay costs next to nothing: it does not choose a path but only renames the states, so the
sum of all renamings in a block of the matrix is kept as one number, `turned`, and paths are kept for those
alone that may change, 128 bytes each.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidstega.jit import int64, kernel, uint64

HEIGHT = 10
"""Rows of the small matrix, as in `coding.stc`: a constant of the kernel."""

_STATES = 1 << HEIGHT
_WORDS = _STATES // 64


@kernel("boolean(uint8[::1], float32[::1], uint8[::1], int32[:, ::1], uint8[::1])")
def cheapest(
    cover: NDArray[np.uint8],
    cost: NDArray[np.float32],
    message: NDArray[np.uint8],
    columns: NDArray[np.int32],
    out: NDArray[np.uint8],
) -> bool:
    """Fill `out` with the cheapest bits that say the message; False if there are none.

    Row w of `columns` holds the columns of the matrix of width w; `cost` is infinite where a bit must stay.
    """
    n, m = len(cover), len(message)
    widest = columns.shape[1]
    moving = 0
    for i in range(n):
        moving += cost[i] < np.inf
    paths = np.empty((moving, _WORDS), np.uint64)
    old = np.full(_STATES, np.inf, np.float32)
    new = np.empty(_STATES, np.float32)
    old[0] = 0
    at, path = 0, 0
    for i in range(m):
        end = (i + 1) * n // m
        width = end - at
        row = columns[min(width, widest)]
        rows = (1 << min(HEIGHT, m - i)) - 1
        turned = 0
        for j in range(width):
            column = int64(row[j % widest]) & rows
            price = cost[at]
            if price == np.inf:
                if cover[at]:
                    turned ^= column
                at += 1
                continue
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
                paths[path, word] = taken
            old, new = new, old
            at += 1
            path += 1
        least = np.float32(np.inf)
        wanted = int64(message[i]) ^ turned
        for s in range(_STATES // 2):
            least = min(least, old[2 * s ^ wanted])
        if least == np.inf:
            return False
        for s in range(_STATES // 2):
            new[s] = old[2 * s ^ wanted] - least
            new[s + _STATES // 2] = np.inf
        old, new = new, old
    state = 0
    for i in range(m - 1, -1, -1):
        state = state << 1 & _STATES - 1 | int64(message[i])
        start, end = i * n // m, (i + 1) * n // m
        row = columns[min(end - start, widest)]
        rows = (1 << min(HEIGHT, m - i)) - 1
        for j in range(end - start):
            if cost[start + j] == np.inf and cover[start + j]:
                state ^= int64(row[j % widest]) & rows
        for j in range(end - start - 1, -1, -1):
            if cost[start + j] == np.inf:
                out[start + j] = cover[start + j]
                continue
            path -= 1
            taken = paths[path, state >> 6] >> np.uint64(state & 63) & np.uint64(1)
            out[start + j] = taken
            if taken:
                state ^= int64(row[j % widest]) & rows
    return True
