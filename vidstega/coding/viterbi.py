"""The kernel of the syndrome-trellis code: which carriers change. Importing it imports numba.

A carrier that must stay costs next to nothing: it does not choose a path but only renames the states, so the
sum of all renamings in a block of the matrix is kept as one number, `turned`, and paths are kept for those
alone that may change, 128 bytes each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidstega.jit import inline, int64, kernel, uint64

HEIGHT = 10
"""Rows of the small matrix, as in `coding.stc`: a constant of the kernel."""

_STATES = 1 << HEIGHT
_WORDS = _STATES // 64

Costs = NDArray[np.float32]


@inline
def _step(old: Costs, new: Costs, column: int, zero: Any, one: Any, moves: NDArray[np.uint8]) -> None:
    """From the costs of all states to those after one carrier, and by which of its two bits, 0 or 1.

    What would come over the column is first put in place, eight states at a time: the other loop is then
    one that a compiler does in vectors.
    """
    far, near = uint64(column >> 3 << 3), column & 7
    n0, n1, n2, n3 = uint64(near), uint64(near ^ 1), uint64(near ^ 2), uint64(near ^ 3)
    n4, n5, n6, n7 = uint64(near ^ 4), uint64(near ^ 5), uint64(near ^ 6), uint64(near ^ 7)
    for group in range(0, _STATES, 8):
        at = uint64(group)
        source = at ^ far
        new[at] = old[source + n0]
        new[at + uint64(1)] = old[source + n1]
        new[at + uint64(2)] = old[source + n2]
        new[at + uint64(3)] = old[source + n3]
        new[at + uint64(4)] = old[source + n4]
        new[at + uint64(5)] = old[source + n5]
        new[at + uint64(6)] = old[source + n6]
        new[at + uint64(7)] = old[source + n7]
    for state in range(_STATES):
        s = uint64(state)
        stay, move = old[s] + zero, new[s] + one
        new[s] = min(stay, move)
        moves[s] = move < stay


@inline
def _pack(moves: NDArray[np.uint8], path: NDArray[np.uint64]) -> None:
    """Bytes of 0 or 1 as bits of words, the lowest first: a product moves eight of them side by side.

    That takes the lowest byte of a word for the first, as it is on all machines that numba knows.
    """
    eights = moves.view(np.uint64)
    for word in range(_WORDS):
        packed = np.uint64(0)
        for eight in range(8):
            bits = eights[uint64(word * 8 + eight)] * np.uint64(0x0102040810204080) >> np.uint64(56)
            packed |= bits << np.uint64(8 * eight)
        path[word] = packed


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
    moves = np.empty(_STATES, np.uint8)
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
            _step(old, new, column, zero, one, moves)
            _pack(moves, paths[path])
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
