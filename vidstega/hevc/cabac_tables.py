"""Tables of the walk over slice data (ITU-T H.265, clauses 6.5, 9.3.2 and 9.3.4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidstega.hevc.scaling import diagonal

# Tables 9-5 to 9-37: initValue of each context, by initType 0, 1 and 2; one text where all are the same,
# two where there are none in I slices.
_VALUES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("SAO_MERGE", ("153",)),
    ("SAO_TYPE", ("200", "185", "160")),
    ("SPLIT_CU", ("139 141 157", "107 139 126", "107 139 126")),
    ("CU_LOSSLESS", ("154",)),
    ("CU_SKIP", ("197 185 201", "197 185 201")),
    ("PRED_MODE", ("149", "134")),
    ("PART_MODE", ("184 154 154 154", "154 139 154 154", "154 139 154 154")),
    ("INTRA_MPM", ("184", "154", "183")),
    ("INTRA_CHROMA", ("63", "152", "152")),
    ("MERGE", ("110", "154")),
    ("MERGE_IDX", ("122", "137")),
    ("INTER_DIR", ("95 79 63 31 31", "95 79 63 31 31")),
    ("REF_IDX", ("153 153", "153 153")),
    ("MVD_0", ("140", "169")),
    ("MVD_1", ("198", "198")),
    ("MVP", ("168", "168")),
    ("ROOT_CBF", ("79", "79")),
    ("SPLIT_TB", ("153 138 138", "124 138 94", "224 167 122")),
    ("CBF_LUMA", ("111 141", "153 111", "153 111")),
    ("CBF_CHROMA", ("94 138 182 154", "149 107 167 154", "149 92 167 154")),
    ("QP_DELTA", ("154 154",)),
    ("SKIP_TRANSFORM", ("139 139",)),
    (
        "LAST_X",
        (
            "110 110 124 125 140 153 125 127 140 109 111 143 127 111 79 108 123 63",
            "125 110 94 110 95 79 125 111 110 78 110 111 111 95 94 108 123 108",
            "125 110 124 110 95 94 125 111 111 79 125 126 111 111 79 108 123 93",
        ),
    ),
    (
        "LAST_Y",
        (
            "110 110 124 125 140 153 125 127 140 109 111 143 127 111 79 108 123 63",
            "125 110 94 110 95 79 125 111 110 78 110 111 111 95 94 108 123 108",
            "125 110 124 110 95 94 125 111 111 79 125 126 111 111 79 108 123 93",
        ),
    ),
    ("CODED_SUB", ("91 171 134 141", "121 140 61 154", "121 140 61 154")),
    (
        "SIGNIFICANT",
        (
            """111 111 125 110 110 94 124 108 124 107 125 141 179 153 125 107 125 141 179 153 125
            107 125 141 179 153 125 140 139 182 182 152 136 152 136 153 136 139 111 136 139 111""",
            """155 154 139 153 139 123 123 63 153 166 183 140 136 153 154 166 183 140 136 153 154
            166 183 140 136 153 154 170 153 123 123 107 121 107 121 167 151 183 140 151 183 140""",
            """170 154 139 153 139 123 123 63 124 166 183 140 136 153 154 166 183 140 136 153 154
            166 183 140 136 153 154 170 153 138 138 122 121 122 121 167 151 183 140 151 183 140""",
        ),
    ),
    (
        "GREATER_1",
        (
            """140 92 137 138 140 152 138 139 153 74 149 92 139 107 122 152 140 179 166 182 140
            227 122 197""",
            """154 196 196 167 154 152 167 182 182 134 149 136 153 121 136 137 169 194 166 167 154
            167 137 182""",
            """154 196 167 167 154 152 167 182 182 134 149 136 153 121 136 122 169 208 166 167 154
            152 167 182""",
        ),
    ),
    ("GREATER_2", ("138 153 136 167 152 152", "107 167 91 122 107 167", "107 167 91 107 107 167")),
)


def _laid_out() -> tuple[dict[str, int], NDArray[np.int32]]:
    """Where the contexts of each syntax element begin, and initValue of all as (3, contexts)."""
    first, columns = {}, []
    at = 0
    for name, texts in _VALUES:
        rows = [list(map(int, text.split())) for text in texts]
        if len(rows) == 1:
            rows = 3 * rows
        elif len(rows) == 2:
            rows = [[154] * len(rows[0]), *rows]
        first[name] = at
        at += len(rows[0])
        columns.append(np.array(rows, np.int32))
    return first, np.concatenate(columns, axis=1)


_FIRST, _INITIAL = _laid_out()
CONTEXTS = _INITIAL.shape[1]
SAO_MERGE, SAO_TYPE = _FIRST["SAO_MERGE"], _FIRST["SAO_TYPE"]
SPLIT_CU, CU_LOSSLESS, CU_SKIP = _FIRST["SPLIT_CU"], _FIRST["CU_LOSSLESS"], _FIRST["CU_SKIP"]
PRED_MODE, PART_MODE = _FIRST["PRED_MODE"], _FIRST["PART_MODE"]
INTRA_MPM, INTRA_CHROMA = _FIRST["INTRA_MPM"], _FIRST["INTRA_CHROMA"]
MERGE, MERGE_IDX, INTER_DIR = _FIRST["MERGE"], _FIRST["MERGE_IDX"], _FIRST["INTER_DIR"]
REF_IDX, MVD_0, MVD_1, MVP = _FIRST["REF_IDX"], _FIRST["MVD_0"], _FIRST["MVD_1"], _FIRST["MVP"]
ROOT_CBF, SPLIT_TB = _FIRST["ROOT_CBF"], _FIRST["SPLIT_TB"]
CBF_LUMA, CBF_CHROMA, QP_DELTA = _FIRST["CBF_LUMA"], _FIRST["CBF_CHROMA"], _FIRST["QP_DELTA"]
SKIP_TRANSFORM, LAST_X, LAST_Y = _FIRST["SKIP_TRANSFORM"], _FIRST["LAST_X"], _FIRST["LAST_Y"]
CODED_SUB, SIGNIFICANT = _FIRST["CODED_SUB"], _FIRST["SIGNIFICANT"]
GREATER_1, GREATER_2 = _FIRST["GREATER_1"], _FIRST["GREATER_2"]


def start_states(slice_qp: int, initial: int) -> NDArray[np.uint8]:
    """State of each context at the start (9.3.2.2), as 2 * pStateIdx + valMps."""
    value = _INITIAL[initial]
    slope, offset = 5 * (value >> 4) - 45, ((value & 15) << 3) - 16
    start = np.clip((slope * min(max(slice_qp, 0), 51) >> 4) + offset, 1, 126)
    states: NDArray[np.uint8] = np.where(start <= 63, 2 * (63 - start), 2 * (start - 64) + 1).astype(np.uint8)
    return states


def _orders(edge: int) -> list[list[tuple[int, int]]]:
    """Columns and rows of a square in three scans: up-right diagonal, horizontal, vertical (6.5.3 on)."""
    across = [(x, y) for y in range(edge) for x in range(edge)]
    return [diagonal(edge), across, [(y, x) for x, y in across]]


# Positions within a sub-block of 4x4, as row << 2 | column, by scan; and the way back.
SCAN = np.array([[y << 2 | x for x, y in order] for order in _orders(4)], np.uint8)
SCAN_BACK = np.argsort(SCAN, axis=1).astype(np.uint8)

# Sub-blocks of blocks of 4 to 32, as row << 3 | column, by scan; and the way back.
SUB = np.zeros((4, 3, 64), np.uint8)
SUB_BACK = np.zeros((4, 3, 64), np.uint8)
for _size in range(4):
    for _scan, _order in enumerate(_orders(1 << _size)):
        for _i, (_x, _y) in enumerate(_order):
            SUB[_size, _scan, _i] = _y << 3 | _x
            SUB_BACK[_size, _scan, _y << 3 | _x] = _i


def _significant() -> NDArray[np.uint8]:
    """sigCtx by (coded sub-block to the right | below << 1, or 4 for blocks of 4x4) and place (9.3.4.2.5)."""
    table = np.zeros((5, 16), np.uint8)
    for y in range(4):
        for x in range(4):
            at = y << 2 | x
            table[0, at] = 2 if x + y == 0 else int(x + y < 3)
            table[1, at] = (2, 1, 0, 0)[y]
            table[2, at] = (2, 1, 0, 0)[x]
            table[3, at] = 2
    table[4] = [0, 1, 4, 5, 2, 3, 4, 5, 6, 6, 8, 8, 7, 7, 8, 8]
    return table


SIGNIFICANT_INC = _significant()
