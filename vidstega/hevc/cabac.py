"""The walk over slice segment data (ITU-T H.265, clauses 7.3.8 and 9.3).

One module over the usual length because it is one kernel: numba compiles these functions into one
another so that the arithmetic decoder's state `s` stays in registers. The trees of coding and transform
blocks are walked with small stacks of blocks still to come.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidstega.hevc import blocks as bl
from vidstega.hevc import cabac_tables
from vidstega.hevc import cabac_tables as ct
from vidstega.hevc.cabac_tables import SCAN, SCAN_BACK, SIGNIFICANT_INC, SUB, SUB_BACK
from vidstega.jit import inline, int64, kernel, part, uint64
from vidstega.residual import arithmetic
from vidstega.residual.arithmetic import Bytes, State, bypass, decide, fill, start, terminate, used

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]

_P, _I = 1, 2  # slice_type (table 7-7); B is 0
_PLANAR, _DC, _ANGULAR_26, _ANGULAR_34 = 0, 1, 26, 34
_2NX2N, _2NXN, _NX2N, _NXN, _2NXNU, _2NXND, _NLX2N, _NRX2N = range(8)
_LONGEST_PREFIX = 20  # of a level; 16-bit levels need no more
_LONGEST_VECTOR = 17
_LARGEST_LEVEL = 32767
_CELLS = 16  # of a coding tree unit of 64x64, a side


@inline
def _bits(data: Bytes, count: int, s: State) -> tuple[int, State]:
    """Up to 16 bits that are bypass coded, the first one highest; the range stays as it is."""
    value, span, spare, at = s
    found = int64(0)
    for _ in range(count):
        spare -= 1
        scaled = span << spare
        less = (value - scaled) >> 63
        value -= scaled & ~less
        found = found << 1 | (less + 1)
    value, spare, at = fill(data, value, spare, at)
    return found, (value, span, spare, at)


@inline
def _stops(data: Bytes, length: int, bit: int) -> bool:
    """Whether a bit is a 1 with nothing but zeros behind it in its byte, which the data has."""
    return bit >> 3 < length and int64(data[bit >> 3]) & 255 >> (bit & 7) == 128 >> (bit & 7)


@part
def _sao(data: Bytes, states: Bytes, p: Ints, left: int, above: int, s: State) -> State:
    """sao( ) (7.3.8.3)."""
    merged = int64(0)
    if left:
        merged, s = decide(data, states, ct.SAO_MERGE, s)
    if above and not merged:
        merged, s = decide(data, states, ct.SAO_MERGE, s)
    if merged:
        return s
    kind, most = int64(0), int64(p[bl.SAO_MOST])
    for plane in range(3):
        if not p[bl.SAO_LUMA if plane == 0 else bl.SAO_CHROMA]:
            continue
        if plane < 2:
            kind, s = decide(data, states, ct.SAO_TYPE, s)
            if kind:
                bit, s = bypass(data, s)
                kind += bit
        if not kind:
            continue
        signs = 0
        for _ in range(4):
            size = int64(0)
            while size < most:
                bit, s = bypass(data, s)
                if not bit:
                    break
                size += 1
            signs += size > 0
        if kind == 1:
            _, s = _bits(data, signs, s)
            _, s = _bits(data, 5, s)
        elif plane < 2:
            _, s = _bits(data, 2, s)
    return s


@part
def _part_mode(data: Bytes, states: Bytes, p: Ints, size: int, intra: int, s: State) -> tuple[int, State]:
    """part_mode (9.3.3.7)."""
    bit, s = decide(data, states, ct.PART_MODE, s)
    if bit:
        return int64(_2NX2N), s
    if intra:
        return int64(_NXN), s
    across, s = decide(data, states, ct.PART_MODE + 1, s)
    if size == p[bl.MIN_CB]:
        if across:
            return int64(_2NXN), s
        if size == 3:
            return int64(_NX2N), s
        bit, s = decide(data, states, ct.PART_MODE + 2, s)
        return (int64(_NX2N) if bit else int64(_NXN)), s
    if not p[bl.AMP]:
        return (int64(_2NXN) if across else int64(_NX2N)), s
    bit, s = decide(data, states, ct.PART_MODE + 3, s)
    if bit:
        return (int64(_2NXN) if across else int64(_NX2N)), s
    bit, s = bypass(data, s)
    return (_2NXNU if across else _NLX2N) + bit, s


@part
def _merge_index(data: Bytes, states: Bytes, most: int, s: State) -> State:
    """merge_idx."""
    if most > 1:
        bit, s = decide(data, states, ct.MERGE_IDX, s)
        count = 1
        while bit and count < most - 1:
            bit, s = bypass(data, s)
            count += 1
    return s


@part
def _reference(data: Bytes, states: Bytes, most: int, s: State) -> State:
    """ref_idx_l0, ref_idx_l1."""
    bit, count = int64(1), 0
    while bit and count < most - 1:
        if count < 2:
            bit, s = decide(data, states, ct.REF_IDX + count, s)
        else:
            bit, s = bypass(data, s)
        count += 1
    return s


@inline
def _vector_rest(data: Bytes, larger: int, s: State) -> tuple[int, State]:
    """abs_mvd_minus2 and the sign; 0 if there is none that long."""
    if larger:
        k = int64(1)
        bit, s = bypass(data, s)
        while bit:
            k += 1
            if k > _LONGEST_VECTOR:
                return int64(0), s
            bit, s = bypass(data, s)
        for _ in range(k):
            _, s = bypass(data, s)
    _, s = bypass(data, s)
    return int64(1), s


@part
def _vector(data: Bytes, states: Bytes, s: State) -> tuple[int, State]:
    """mvd_coding( ) (7.3.8.9); 0 if there is none that long."""
    x, s = decide(data, states, ct.MVD_0, s)
    y, s = decide(data, states, ct.MVD_0, s)
    x1, y1, fine = int64(0), int64(0), int64(1)
    if x:
        x1, s = decide(data, states, ct.MVD_1, s)
    if y:
        y1, s = decide(data, states, ct.MVD_1, s)
    if x:
        fine, s = _vector_rest(data, x1, s)
    if y and fine:
        fine, s = _vector_rest(data, y1, s)
    return fine, s


@part
def _prediction(
    data: Bytes, states: Bytes, p: Ints, width: int, height: int, depth: int, s: State
) -> tuple[int, State]:
    """prediction_unit( ) (7.3.8.6): 1 if it is merged, else 0; -1 if it makes no sense."""
    merged, s = decide(data, states, ct.MERGE, s)
    if merged:
        return int64(1), _merge_index(data, states, int64(p[bl.MERGES]), s)
    lists = int64(1)  # 1 L0, 2 L1, 3 both
    if p[bl.SLICE_KIND] != _P:
        bit = int64(0)
        if width + height != 12:
            bit, s = decide(data, states, ct.INTER_DIR + depth, s)
        if bit:
            lists = int64(3)
        else:
            bit, s = decide(data, states, ct.INTER_DIR + 4, s)
            lists = 1 + bit
    for which in range(2):
        if not lists >> which & 1:
            continue
        s = _reference(data, states, int64(p[bl.REFS_L0 + which]), s)
        if not (which == 1 and lists == 3 and p[bl.MVD_L1_ZERO]):
            fine, s = _vector(data, states, s)
            if not fine:
                return int64(-1), s
        _, s = decide(data, states, ct.MVP, s)
    return int64(0), s


@part
def _intra_modes(
    data: Bytes,
    states: Bytes,
    parts: int,
    cells: int,
    x4: int,
    y4: int,
    left: Bytes,
    above: Bytes,
    modes: Longs,
    s: State,
) -> State:
    """Luma modes of a coding block's parts (8.4.2), then its chroma mode in the fifth entry (8.4.3).

    `cells` are a part's on a side; `left` and `above` hold the modes of the neighbours, by row and column.
    """
    told = int64(0)
    for i in range(parts):
        bit, s = decide(data, states, ct.INTRA_MPM, s)
        told |= bit << i
    for i in range(parts):
        x, y = x4 + (i & 1) * cells, y4 + (i >> 1) * cells
        a, b = int64(left[y]), int64(above[x])
        if a == b:
            if a < 2:
                a, b, c = int64(_PLANAR), int64(_DC), int64(_ANGULAR_26)
            else:
                b, c = 2 + (a + 29 & 31), 2 + (a - 1 & 31)
        elif a != _PLANAR and b != _PLANAR:
            c = int64(_PLANAR)
        elif a != _DC and b != _DC:
            c = int64(_DC)
        else:
            c = int64(_ANGULAR_26)
        if told >> i & 1:
            mode = a
            bit, s = bypass(data, s)
            if bit:
                bit, s = bypass(data, s)
                mode = c if bit else b
        else:
            mode, s = _bits(data, 5, s)
            low, high = min(a, min(b, c)), max(a, max(b, c))
            middle = a + b + c - low - high
            mode += mode >= low
            mode += mode >= middle
            mode += mode >= high
        modes[i] = mode
        for j in range(cells):
            left[y + j] = mode
            above[x + j] = mode
    bit, s = decide(data, states, ct.INTRA_CHROMA, s)
    chroma = modes[0]
    if bit:
        which, s = _bits(data, 2, s)
        chroma = int64((_PLANAR, 26, 10, _DC)[which])
        if chroma == modes[0]:
            chroma = int64(_ANGULAR_34)
    modes[4] = chroma
    return s


@part
def _qp_delta(data: Bytes, states: Bytes, s: State) -> tuple[int, State]:
    """CuQpDeltaVal; 1000 if there is none like that."""
    bit, s = decide(data, states, ct.QP_DELTA, s)
    size = int64(0)
    while bit:
        size += 1
        if size == 5:
            break
        bit, s = decide(data, states, ct.QP_DELTA + 1, s)
    if size == 5:
        k = int64(0)
        bit, s = bypass(data, s)
        while bit:
            size += 1 << k
            k += 1
            if k > 6:
                return int64(1000), s
            bit, s = bypass(data, s)
        more, s = _bits(data, k, s)
        size += more
    if size:
        bit, s = bypass(data, s)
        if bit:
            size = -size
    return size, s


@part
def _mark(cells: NDArray[np.uint8], x: int, y: int, edge: int) -> None:
    """Cells of inter blocks that intra prediction of a square may read (8.4.4.2.2); all in cells."""
    rows, columns = cells.shape
    if x:
        for i in range(max(y - 1, 0), min(y + 2 * edge, rows)):
            if cells[i, x - 1] & bl.IS_INTER:
                cells[i, x - 1] |= bl.IS_READ
    if y:
        for i in range(x, min(x + 2 * edge, columns)):
            if cells[y - 1, i] & bl.IS_INTER:
                cells[y - 1, i] |= bl.IS_READ


@inline
def _last(data: Bytes, states: Bytes, first: int, size: int, chroma: int, s: State) -> tuple[int, State]:
    """last_sig_coeff_x_prefix or that of y (9.3.4.2.3)."""
    if chroma:
        offset, shift = int64(15), size - 2
    else:
        offset, shift = 3 * (size - 2) + (size - 1 >> 2), size + 1 >> 2
    most = 2 * size - 1
    found = int64(0)
    while found < most:
        bit, s = decide(data, states, first + offset + (found >> shift), s)
        if not bit:
            break
        found += 1
    return found, s


@inline
def _suffix(data: Bytes, prefix: int, s: State) -> tuple[int, State]:
    """The position of the last coefficient from its prefix, and the suffix that follows."""
    if prefix < 4:
        return prefix, s
    length = (prefix >> 1) - 1
    rest, s = _bits(data, length, s)
    return ((2 + (prefix & 1)) << length) + rest, s


@inline
def _remaining(data: Bytes, rice: int, s: State) -> tuple[int, State]:
    """coeff_abs_level_remaining (9.3.3.11); -1 if there is none that long."""
    prefix = int64(0)
    bit, s = bypass(data, s)
    while bit:
        prefix += 1
        if prefix > _LONGEST_PREFIX:
            return int64(-1), s
        bit, s = bypass(data, s)
    if prefix <= 3:
        rest, s = _bits(data, rice, s)
        return (prefix << rice) + rest, s
    high, s = _bits(data, min(prefix - 3 + rice, 12), s)
    length = prefix - 3 + rice - 12
    if length > 0:
        rest, s = _bits(data, length, s)
        high = high << length | rest
    return ((1 << (prefix - 3)) + 2 << rice) + high, s


@part
def _residual(
    data: Bytes,
    states: Bytes,
    out: Ints,
    found: Longs,
    n: int,
    size: int,
    chroma: int,
    scan: int,
    hides: int,
    skips: int,
    place: int,
    block: int,
    flags: int,
    qp: int,
    s: State,
) -> tuple[int, State]:
    """residual_coding( ) (7.3.8.11): the number of signs after it; -1 for nonsense, -2 for too many."""
    if skips and size == 2:
        bit, s = decide(data, states, ct.SKIP_TRANSFORM + chroma, s)
        block |= bit << bl.SKIP_SHIFT
    x, s = _last(data, states, ct.LAST_X, size, chroma, s)
    y, s = _last(data, states, ct.LAST_Y, size, chroma, s)
    x, s = _suffix(data, x, s)
    y, s = _suffix(data, y, s)
    if scan == 2:
        x, y = y, x
    subs = uint64(size - 2)
    last_sub = int64(SUB_BACK[subs, uint64(scan), uint64((y >> 2) << 3 | x >> 2)])
    last_at = int64(SCAN_BACK[uint64(scan), uint64((y & 3) << 2 | x & 3)])
    edge = 1 << (size - 2)
    coded = int64(0)  # sub-blocks with coefficients, a bit each
    if size == 2:
        plain = int64(ct.SIGNIFICANT + 27 * chroma)
    elif chroma:
        plain = int64(ct.SIGNIFICANT + 27 + (9 if size == 3 else 12))
    else:
        plain = int64(ct.SIGNIFICANT + ((9 if scan == 0 else 15) if size == 3 else 21))
    greater = int64(1)  # greater1Ctx
    for i in range(last_sub, -1, -1):
        where = int64(SUB[subs, uint64(scan), uint64(i)])
        column, row = where & 7, where >> 3
        near = int64(0)
        if column + 1 < edge:
            near = coded >> (where + 1) & 1
        if row + 1 < edge:
            near |= (coded >> (where + 8) & 1) << 1
        inferred = int64(0)
        if 0 < i < last_sub:
            bit, s = decide(data, states, ct.CODED_SUB + int64(near > 0) + 2 * chroma, s)
            if not bit:
                continue
            inferred = int64(1)
        coded |= int64(1) << where
        count = 0
        at = int64(15)
        if i == last_sub:
            found[0] = last_at
            count = 1
            at = last_at - 1
        first = plain + (3 if i > 0 and not chroma and size > 2 else 0)
        pattern = uint64(4 if size == 2 else near)
        while at > 0:
            inc = SIGNIFICANT_INC[pattern, uint64(SCAN[uint64(scan), uint64(at)])]
            bit, s = decide(data, states, first + inc, s)
            if bit:
                found[uint64(count)] = at
                count += 1
            at -= 1
        if at == 0:
            if inferred and count == 0:
                bit = int64(1)
            else:
                if i == 0:
                    context = int64(ct.SIGNIFICANT + 27 * chroma)
                else:
                    context = first + SIGNIFICANT_INC[pattern, uint64(0)]
                bit, s = decide(data, states, context, s)
            if bit:
                found[uint64(count)] = 0
                count += 1
        if count == 0:
            continue
        # Levels of 1, and those of 2.
        group = int64(0) if i == 0 or chroma else int64(2)
        if i < last_sub and greater == 0:
            group += 1
        greater = int64(1)
        larger, second = int64(0), -1  # flags by number; the first of them
        tested = min(count, 8)
        for j in range(tested):
            bit, s = decide(data, states, ct.GREATER_1 + 16 * chroma + 4 * group + greater, s)
            if bit:
                larger |= 1 << j
                greater = int64(0)
                if second < 0:
                    second = j
            elif 0 < greater < 3:
                greater += 1
        third = int64(0)
        if second >= 0:
            third, s = decide(data, states, ct.GREATER_2 + 4 * chroma + group, s)
        hidden = 1 if hides and found[0] - found[count - 1] > 3 else 0
        told = count - hidden
        if n + told > out.shape[0]:
            return int64(-2), s
        span, bit_at = s[1], used(s)
        signs, s = _bits(data, told, s)
        rice = int64(0)
        for j in range(count):
            level = int64(1)
            if j < 8:
                level += larger >> j & 1
                open_ended = level == 2
                if j == second:
                    level += third
                    open_ended = third > 0
            else:
                open_ended = True
            if open_ended:
                more, s = _remaining(data, rice, s)
                level += more
                if more < 0 or level > _LARGEST_LEVEL:
                    return int64(-1), s
                if level > 3 << rice and rice < 4:
                    rice += 1
            if j < told:
                inside = int64(SCAN[uint64(scan), uint64(found[j])])
                out[n, bl.BIT] = bit_at + j
                out[n, bl.STEP] = span
                out[n, bl.LEVEL] = level
                out[n, bl.PLACE] = place
                out[n, bl.BLOCK] = block
                out[n, bl.POSITION] = ((row << 2) + (inside >> 2)) << bl.ROW_SHIFT | (column << 2) + (
                    inside & 3
                )
                out[n, bl.FLAGS] = flags | signs >> (told - 1 - j) & 1
                out[n, bl.SIGN_QP] = qp
                n += 1
    return n, s


@inline
def _scan_of(mode: int) -> int:
    """scanIdx of a small intra block (7.4.9.11)."""
    if 6 <= mode <= 14:
        return int64(2)
    return int64(1) if 22 <= mode <= 30 else int64(0)


@kernel(
    "Tuple((int64, int64, int64))(uint8[::1], int32[::1], uint8[::1], uint8[:, ::1], int32[::1], int32[::1],"
    " int32[::1], uint8[:, ::1], uint8[::1], uint8[:, ::1], int32[::1], int32[:, ::1], int64)",
    arithmetic,
    cabac_tables,
    bl,
)
def walk(
    data: Bytes,
    p: Ints,
    initial: Bytes,
    saved: NDArray[np.uint8],
    order: Ints,
    tile: Ints,
    owner: Ints,
    cells: NDArray[np.uint8],
    above: Bytes,
    beside: NDArray[np.uint8],
    carried: Ints,
    out: Ints,
    n: int,
) -> tuple[int, int, int]:
    """Read one slice segment; returns how it ended, the unit after its last and the number of signs so far.

    `saved` has the contexts after the second unit of a row, and after the last segment; `owner` the slice
    of each unit; `above` of each column of cells the block above, as skipped | depth << 1; `beside` of each
    row the one to the left, and its intra mode; `carried` the last luma QP.
    """
    width, height = int64(p[bl.WIDTH]), int64(p[bl.HEIGHT])
    ctb, min_cb = int64(p[bl.CTB]), int64(p[bl.MIN_CB])
    slice_qp, slice_address = int64(p[bl.QP]), int64(p[bl.SLICE_ADDRESS])
    qp_extra, qp_group = int64(p[bl.QP_EXTRA]), int64(p[bl.QP_GROUP])
    length = int64(p[bl.LENGTH])
    columns = (width + (1 << ctb) - 1) >> ctb
    total = order.size
    inside = (1 << (ctb - 2)) - 1  # of a cell's column or row, in its coding tree unit
    states = initial.copy()
    found = np.zeros(16, np.int64)
    left, left_mode = beside[0], beside[1]
    above_mode = np.ones(_CELLS, np.uint8)
    left_qp = np.zeros(_CELLS, np.int64)
    above_qp = np.zeros(_CELLS, np.int64)
    modes = np.zeros(5, np.int64)
    todo = np.zeros((16, 4), np.int64)  # coding blocks: column and row in cells, size, depth
    trees = np.zeros((24, 7), np.int64)  # transform blocks: these, number, cbf_cb, cbf_cr of the parent
    intra_slice = p[bl.SLICE_KIND] == _I
    hiding, skips = int64(p[bl.SIGN_HIDING]), int64(p[bl.TRANSFORM_SKIP])
    min_tb, max_tb = int64(p[bl.MIN_TB]), int64(p[bl.MAX_TB])
    ts, fresh, last_qp, before = int64(p[bl.FIRST]), int64(1), int64(carried[0]), n
    s = start(data, int64(p[bl.START_BYTE]))
    while True:
        if ts >= total:
            return bl.TOO_LONG, ts, n
        if used(s) > 8 * length:
            return bl.WRONG_END, ts, n
        place = int64(order[ts])
        column, row = place % columns, place // columns
        row_starts = column == 0 or tile[place - 1] != tile[place]
        tile_starts = ts == 0 or tile[order[ts - 1]] != tile[place]
        upper = place - columns
        if fresh:
            if not tile_starts and row_starts and p[bl.WAVEFRONT]:
                last_qp = slice_qp
                corner = upper + 1
                if (
                    row > 0
                    and column + 1 < columns
                    and owner[corner] == slice_address
                    and tile[corner] == tile[place]
                ):
                    states[:] = saved[0]
                else:
                    states[:] = initial
            elif not tile_starts and fresh == 1 and p[bl.DEPENDENT]:
                states[:] = saved[1]
            else:
                states[:] = initial
                last_qp = slice_qp
            fresh = int64(0)
        has_left = not row_starts and owner[place - 1] == slice_address
        has_above = row > 0 and tile[upper] == tile[place] and owner[upper] == slice_address
        owner[place] = slice_address
        x0, y0 = column << (ctb - 2), row << (ctb - 2)  # in cells
        if not has_left:
            left[:] = 0
            left_mode[:] = _DC
        if not has_above:
            above[x0 : x0 + inside + 1] = 0
        above_mode[:] = _DC
        if p[bl.SAO_LUMA] or p[bl.SAO_CHROMA]:
            s = _sao(data, states, p, int64(has_left), int64(has_above), s)

        # The quadtree of coding blocks (7.3.8.4).
        todo[0, 0], todo[0, 1], todo[0, 2], todo[0, 3] = x0, y0, ctb, 0
        waiting, qp, qp_base, qp_told = 1, last_qp, last_qp, int64(1)
        while waiting:
            waiting -= 1
            x, y, size, depth = todo[waiting, 0], todo[waiting, 1], todo[waiting, 2], todo[waiting, 3]
            edge = 1 << (size - 2)
            xi, yi = x & inside, y & inside
            if size > min_cb:
                split = int64(1)
                if (x + edge) * 4 <= width and (y + edge) * 4 <= height:
                    inc = int64(int64(left[yi]) >> 1 > depth) + int64(int64(above[x]) >> 1 > depth)
                    split, s = decide(data, states, ct.SPLIT_CU + inc, s)
            else:
                split = int64(0)
            if qp_group and size >= qp_group:
                qp_told = int64(0)
                a = left_qp[yi] if xi else last_qp
                b = above_qp[xi] if yi else last_qp
                qp_base = (a + b + 1) >> 1
                qp = qp_base
            if split:
                half = edge >> 1
                for i in range(3, -1, -1):
                    xs, ys = x + (i & 1) * half, y + (i >> 1) * half
                    if xs * 4 < width and ys * 4 < height:
                        todo[waiting, 0], todo[waiting, 1] = xs, ys
                        todo[waiting, 2], todo[waiting, 3] = size - 1, depth + 1
                        waiting += 1
                continue

            # A coding unit (7.3.8.5).
            lossless, skipped, intra, shape = int64(0), int64(0), int64(intra_slice), int64(_2NX2N)
            if p[bl.LOSSLESS]:
                lossless, s = decide(data, states, ct.CU_LOSSLESS, s)
            if not intra_slice:
                inc = int64(left[yi]) & 1
                inc += int64(above[x]) & 1
                skipped, s = decide(data, states, ct.CU_SKIP + inc, s)
            residual = int64(1)
            if skipped:
                s = _merge_index(data, states, int64(p[bl.MERGES]), s)
                residual = int64(0)
            else:
                if not intra_slice:
                    intra, s = decide(data, states, ct.PRED_MODE, s)
                if not intra or size == min_cb:
                    shape, s = _part_mode(data, states, p, size, intra, s)
                if intra:
                    if shape == _2NX2N and p[bl.PCM_LARGEST] >= size >= p[bl.PCM_SMALLEST]:
                        bit, s = terminate(data, s)
                        if bit:
                            return bl.HAS_PCM, ts, n
                    parts = 1 if shape == _2NX2N else 4
                    across = edge if shape == _2NX2N else edge >> 1
                    s = _intra_modes(data, states, parts, across, xi, yi, left_mode, above_mode, modes, s)
                    if parts == 1:
                        modes[1] = modes[2] = modes[3] = modes[0]
                else:
                    parts = (1, 2, 2, 4, 2, 2, 2, 2)[shape]
                    merged = int64(0)
                    for i in range(parts):
                        wide, high = 4 * edge, 4 * edge
                        if shape in (_2NXN, _NXN):
                            high >>= 1
                        if shape in (_NX2N, _NXN):
                            wide >>= 1
                        if shape in (_2NXNU, _2NXND):
                            high = edge if (i == 0) == (shape == _2NXNU) else 3 * edge
                        if shape in (_NLX2N, _NRX2N):
                            wide = edge if (i == 0) == (shape == _NLX2N) else 3 * edge
                        merged, s = _prediction(data, states, p, wide, high, depth, s)
                        if merged < 0:
                            return bl.NONSENSE, ts, n
                    if not (shape == _2NX2N and merged == 1):
                        residual, s = decide(data, states, ct.ROOT_CBF, s)
            kind = bl.IS_INTRA if intra else bl.IS_INTER
            for i in range(y, y + edge):
                for j in range(x, x + edge):
                    cells[i, j] = kind
            if not intra:
                for i in range(edge):
                    left_mode[yi + i] = _DC
                    above_mode[xi + i] = _DC

            # The quadtree of transform blocks (7.3.8.8).
            if residual:
                flags = (0 if intra else bl.INTER) | (bl.FIXED if lossless else 0)
                hides = int64(hiding and not lossless)
                may_skip = int64(skips and not lossless)
                divided = int64(intra and shape == _NXN)
                deepest = int64(p[bl.DEPTH_INTRA]) + divided if intra else int64(p[bl.DEPTH_INTER])
                halved = int64(not intra and p[bl.DEPTH_INTER] == 0 and shape != _2NX2N)
                trees[0, 0], trees[0, 1], trees[0, 2], trees[0, 3], trees[0, 4] = x, y, size, 0, 0
                trees[0, 5] = trees[0, 6] = 1
                left_over = 1
                while left_over:
                    left_over -= 1
                    tx, ty, tb, td = (
                        trees[left_over, 0],
                        trees[left_over, 1],
                        trees[left_over, 2],
                        trees[left_over, 3],
                    )
                    number, cb, cr = trees[left_over, 4], trees[left_over, 5], trees[left_over, 6]
                    if tb <= max_tb and tb > min_tb and td < deepest and not (divided and td == 0):
                        split, s = decide(data, states, ct.SPLIT_TB + 5 - tb, s)
                    else:
                        split = int64(tb > max_tb or ((divided or halved) and td == 0))
                    if tb > 2:
                        if cb:
                            cb, s = decide(data, states, ct.CBF_CHROMA + td, s)
                        if cr:
                            cr, s = decide(data, states, ct.CBF_CHROMA + td, s)
                    te = 1 << (tb - 2)
                    if split:
                        half = te >> 1
                        for i in range(3, -1, -1):
                            trees[left_over, 0] = tx + (i & 1) * half
                            trees[left_over, 1] = ty + (i >> 1) * half
                            trees[left_over, 2], trees[left_over, 3] = tb - 1, td + 1
                            trees[left_over, 4], trees[left_over, 5], trees[left_over, 6] = i, cb, cr
                            left_over += 1
                        continue
                    luma = int64(1)
                    if intra or td or cb or cr:
                        luma, s = decide(data, states, ct.CBF_LUMA + int64(td == 0), s)
                    if intra and not intra_slice:
                        _mark(cells, tx, ty, te)
                        if tb == 2 and number == 3:
                            _mark(cells, tx - 1, ty - 1, 2)
                    if not (luma or cb or cr):
                        continue
                    if qp_group and not qp_told:
                        delta, s = _qp_delta(data, states, s)
                        if delta == 1000:
                            return bl.NONSENSE, ts, n
                        qp_told = int64(1)
                        qp = (qp_base + delta + 52 + 2 * qp_extra) % (52 + qp_extra) - qp_extra
                    for plane in range(3):
                        bx, by, bs = tx, ty, tb
                        if plane:
                            if not (cb if plane == 1 else cr):
                                continue
                            if tb == 2:
                                if number != 3:
                                    continue
                                bx, by = tx - 1, ty - 1
                            else:
                                bs = tb - 1
                        elif not luma:
                            continue
                        scan = int64(0)
                        if intra and (bs == 2 or (bs == 3 and plane == 0)):
                            quarter = int64(tx - x >= edge >> 1) + 2 * int64(ty - y >= edge >> 1)
                            scan = _scan_of(modes[4] if plane else modes[quarter])
                        block = (
                            (by & inside) << 4
                            | (bx & inside)
                            | (bs - 2) << bl.SIZE_SHIFT
                            | plane << bl.PLANE_SHIFT
                        )
                        n, s = _residual(
                            data,
                            states,
                            out,
                            found,
                            n,
                            bs,
                            int64(plane > 0),
                            scan,
                            hides,
                            may_skip,
                            place,
                            block,
                            flags,
                            qp,
                            s,
                        )
                        if n < 0:
                            return (bl.TOO_LONG if n == -2 else bl.NONSENSE), ts, 0
            own = skipped | depth << 1
            for i in range(edge):
                left[yi + i] = own
                above[x + i] = own
                left_qp[yi + i] = qp
                above_qp[xi + i] = qp
            last_qp = qp

        if p[bl.WAVEFRONT] and (not row_starts and (column == 1 or tile[place - 2] != tile[place])):
            saved[0, :] = states
        ends, s = terminate(data, s)
        ts += 1
        if ends:
            end = used(s)
            if n > before and out[n - 1, bl.BIT] >= end - 1:
                out[n - 1, bl.FLAGS] |= bl.FIXED
            saved[1, :] = states
            carried[0] = last_qp
            whole = _stops(data, length, end - 1) and end - 1 >> 3 == length - 1
            return (bl.ENDED if whole else bl.WRONG_END), ts, n
        if ts >= total:
            return bl.TOO_LONG, ts, n
        place = int64(order[ts])
        row_starts = place % columns == 0 or tile[place - 1] != tile[place]
        if tile[place] != tile[order[ts - 1]] or (p[bl.WAVEFRONT] and row_starts):
            ends, s = terminate(data, s)
            end = used(s)
            if n > before and out[n - 1, bl.BIT] >= end - 1:
                out[n - 1, bl.FLAGS] |= bl.FIXED
            if not ends or not _stops(data, length, end - 1):
                return bl.WRONG_END, ts, n
            s = start(data, (end - 1 >> 3) + 1)
            fresh = int64(2)
