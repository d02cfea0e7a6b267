"""What the key decides about cells and slots, by bytes alone, so that it stays the same for ever.

Frozen as part of the carried format
------------------------------------
All keystreams run under the carrier's key, integers are big-endian. `place`, nonce ``"P" | level u8 | rows
u16 | columns u16``: a permutation of the cells of a grid; its first cells are pilots, then those that tell
the size class, then data. A grid with one row more has other pilots, so that a reader can tell. `slot`,
nonce ``"S" | level u8 | slot u40``: u32 `turn` and one u64 for each cell that tells the size class, both
little-endian; one byte `dither` a cell of the grid. Data cell j of slot s sends code bit ``order[(s * data
+ j) mod n]``, and is data cell ``(j + turn) mod data`` of the permutation. A cell carries bit b where its
mean is nearest to step * (integer + dither / 256 + b / 2); pilots carry 0, the others that tell size class
c bit c of their u64.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vidstega.carriers.robust.levels import Level, pilot_cells, size_cells
from vidstega.coding.ira import permutation
from vidstega.seal.keystream import KeyStream


@dataclass(frozen=True, eq=False)
class Places:
    """Which cells of a grid are what; indices into its cells."""

    pilots: NDArray[np.int64]
    sizes: NDArray[np.int64]
    data: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SlotKey:
    """What is drawn for one slot: dither in steps, shape (cells,), size patterns, turn of the data."""

    dither: NDArray[np.float32]
    patterns: NDArray[np.uint64]
    turn: int

    def class_bits(self, index: int) -> NDArray[np.uint8]:
        """The bits that say size class `index`."""
        return ((self.patterns >> np.uint64(index)) & np.uint64(1)).astype(np.uint8)


@lru_cache(maxsize=32)
def places(key: bytes, level: Level, shape: tuple[int, int]) -> Places:
    """Pilots, size cells and data cells, the same in every slot."""
    rows, columns = shape
    nonce = b"P" + bytes([level.index]) + rows.to_bytes(2, "big") + columns.to_bytes(2, "big")
    cells = rows * columns
    order = permutation(KeyStream(key, nonce), cells)
    pilots = pilot_cells(level, cells)
    sizes = pilots + size_cells(pilots)
    return Places(order[:pilots], order[pilots:sizes], order[sizes:])


def slot_key(key: bytes, level: Level, slot: int, cells: int) -> SlotKey:
    """What belongs to slot `slot`, counted from 0 at the video's first frame."""
    stream = KeyStream(key, b"S" + bytes([level.index]) + slot.to_bytes(5, "big"))
    sizes = size_cells(pilot_cells(level, cells))
    head = stream.bytes(4 + 8 * sizes)
    turn = int(head[:4].view("<u4")[0])
    dither = stream.bytes(cells).astype(np.float32) / np.float32(256)
    return SlotKey(dither, head[4:].view("<u8"), turn)
