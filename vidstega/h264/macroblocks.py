"""What both walks know of macroblocks: their types, their blocks, and what neighbours remember of them.

Of a macroblock its right and lower neighbours need a record of 32 numbers: a walk keeps one for each
column (the macroblock above) and one for the macroblock to the left. While a macroblock is read, the
entries of a row or column always belong to the block last read there, so that "left of" and "above"
are one look-up also inside of it.
"""

from __future__ import annotations

import numpy as np

RECORD = 32
NZ = 0  # coded_block_flag (CABAC) or total_coeff (CAVLC): luma 0-3, Cb 4-5, Cr 6-7
REF = 8  # whether ref_idx > 0: 8 + 2 * list + 8x8 column or row
MVD = 12  # |mvd|: 12 + 8 * list + 4 * component + 4x4 column or row
FLAGS = 28
CBP = 29

# A record's flags; a record without AVAILABLE is of no macroblock of this slice.
AVAILABLE, SKIPPED, INTRA, INTRA_NXN, PCM, DIRECT, CHROMA_MODE, T8X8, DC_Y, DC_CB, DC_CR = (
    1 << i for i in range(11)
)

SLICE_P, SLICE_B, SLICE_I = 0, 1, 2  # slice_type % 5, table 7-6

# How a walk ends.
ENDED, TOO_LONG, NONSENSE, WRONG_END = range(4)

# Blocks of a macroblock: 0 luma DC of Intra_16x16, 1-16 luma, 17-18 chroma DC, 19-26 chroma AC (6.4.3);
# signs of an 8x8 transform block are filed under LUMA_8X8 + its number.
LUMA_8X8 = 27
BLOCKS = 31
_ZIGZAG = [(i & 1 | i >> 1 & 2, i >> 1 & 1 | i >> 2 & 2) for i in range(16)]
_CHROMA = [(i & 1, i >> 1) for i in range(4)]
_PLACES = [(0, 0), *_ZIGZAG, (0, 0), (0, 0), *_CHROMA, *_CHROMA]
_FIRST = [0] * 17 + [0, 0] + [4] * 4 + [6] * 4
COLUMN = np.array([NZ + f + x for f, (x, _) in zip(_FIRST, _PLACES, strict=True)], np.int32)
"""Of each block, the entry of the record above."""
ROW = np.array([NZ + f + y for f, (_, y) in zip(_FIRST, _PLACES, strict=True)], np.int32)
"""Of each block, the entry of the record to the left."""

# Inter types as (shape, lists of the first part, lists of the second): shape 0 16x16, 1 16x8, 2 8x16,
# 3 8x8; lists 1 L0, 2 L1, 3 both, 0 direct. P types (table 7-13), then B types (7-14) from row 5 on.
_L0, _L1, _BI = 1, 2, 3
_PAIRS = [
    (_L0, _L0),
    (_L1, _L1),
    (_L0, _L1),
    (_L1, _L0),
    (_L0, _BI),
    (_L1, _BI),
    (_BI, _L0),
    (_BI, _L1),
    (_BI, _BI),
]
B_TYPES = 5
INTER_TYPES = np.array(
    [
        *[(0, _L0, _L0), (1, _L0, _L0), (2, _L0, _L0), (3, 0, 0), (3, 0, 0)],
        *[(0, 0, 0), (0, _L0, _L0), (0, _L1, _L1), (0, _BI, _BI)],
        *[(shape, *pair) for pair in _PAIRS for shape in (1, 2)],
        (3, 0, 0),
    ],
    np.int32,
)
# Sub-macroblock types as (shape, lists): shape 0 8x8, 1 8x4, 2 4x8, 3 4x4. P (7-17), then B (7-18) from 4.
B_SUB_TYPES = 4
_SUB_P = [(0, _L0), (1, _L0), (2, _L0), (3, _L0)]
_SUB_B = [(0, 0), (0, _L0), (0, _L1), (0, _BI), (1, _L0), (2, _L0), (1, _L1), (2, _L1), (1, _BI), (2, _BI)]
SUB_TYPES = np.array([*_SUB_P, *_SUB_B, (3, _L0), (3, _L1), (3, _BI)], np.int32)

# Columns of a kernel's parameters.
(
    SLICE_TYPE,
    FIRST_MB,
    WIDTH_MBS,
    PICTURE_MBS,
    START_BIT,
    STOP_BIT,
    QP,
    REFS_L0,
    REFS_L1,
    TRANSFORM_8X8,
    DIRECT_8X8_INFERENCE,
    CHROMA,
    PARAMETERS,
) = range(13)
