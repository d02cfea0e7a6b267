"""The walk over CABAC slice data (ITU-T H.264, clauses 7.3.4, 7.3.5 and 9.3).

One module over the usual length because it is one kernel: numba compiles these functions into one
another so that the arithmetic decoder's state `s` stays in registers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidstega.h264 import cabac_tables
from vidstega.h264 import macroblocks as mb
from vidstega.h264.cabac_tables import (
    COEFFICIENTS,
    LAST,
    LAST_INC,
    LEVEL,
    SIGNIFICANT,
    SIGNIFICANT_INC,
)
from vidstega.jit import inline, int64, kernel, part
from vidstega.residual import arithmetic
from vidstega.residual.arithmetic import Bytes, State
from vidstega.residual.arithmetic import bypass as _bypass
from vidstega.residual.arithmetic import decide as _bin
from vidstega.residual.arithmetic import start as _start
from vidstega.residual.arithmetic import terminate as _terminate
from vidstega.residual.arithmetic import used as _used

Ints = NDArray[np.int32]

_LONGEST_CODE = 20  # bits of an Exp-Golomb suffix; 8-bit video needs 16
_REFS = 32
_MB_COEFFICIENTS = 384


@inline
def _stops(data: Bytes, length: int, bit: int) -> bool:
    """Whether a bit is the stop bit in the last byte; x264 also sets the last padding bit at times."""
    if bit >> 3 != length - 1:
        return False
    rest = int64(data[bit >> 3]) & 255 >> (bit & 7)
    return rest | 1 == 128 >> (bit & 7) | 1 and rest > 0


@part
def _exp_golomb(data: Bytes, k: int, s: State) -> tuple[int, State]:
    """The suffix of UEGk binarization (9.3.2.3), bypass coded; -1 if no level or mvd is that long."""
    total = int64(0)
    bit, s = _bypass(data, s)
    while bit:
        total += 1 << k
        k += 1
        if k > _LONGEST_CODE:
            return int64(-1), s
        bit, s = _bypass(data, s)
    for i in range(k - 1, -1, -1):
        bit, s = _bypass(data, s)
        total += bit << i
    return total, s


@inline
def _put(record: Ints, first: int, stop: int, value: int) -> None:
    """Set a range of a record."""
    for i in range(first, stop):
        record[i] = value


@part
def _intra_type(
    data: Bytes, states: Bytes, first: int, rest: int, slice_i: int, s: State
) -> tuple[int, State]:
    """mb_type of an intra macroblock (table 9-36): -1 I_NxN, -2 I_PCM, else coded_block_pattern of 16x16."""
    bit, s = _bin(data, states, first, s)
    if not bit:
        return int64(-1), s
    bit, s = _terminate(data, s)
    if bit:
        return int64(-2), s
    bit, s = _bin(data, states, rest, s)
    cbp = 15 * bit
    bit, s = _bin(data, states, rest + 1, s)
    if bit:
        bit, s = _bin(data, states, rest + 1 + slice_i, s)
        cbp += 16 + 16 * bit
    _, s = _bin(data, states, rest + 2 + slice_i, s)
    _, s = _bin(data, states, rest + 2 + 2 * slice_i, s)
    return cbp, s


@part
def _p_type(data: Bytes, states: Bytes, s: State) -> tuple[int, State]:
    """mb_type in P slices: a row of INTER_TYPES, or -1 for intra."""
    bit, s = _bin(data, states, 14, s)
    if bit:
        return int64(-1), s
    second, s = _bin(data, states, 15, s)
    third, s = _bin(data, states, 16 + second, s)
    return (2 - third if second else 3 * third), s


@part
def _b_type(data: Bytes, states: Bytes, inc: int, s: State) -> tuple[int, State]:
    """mb_type in B slices: a row of INTER_TYPES, or -1 for intra."""
    bit, s = _bin(data, states, 27 + inc, s)
    if not bit:
        return int64(mb.B_TYPES), s
    bit, s = _bin(data, states, 30, s)
    if not bit:
        bit, s = _bin(data, states, 32, s)
        return mb.B_TYPES + 1 + bit, s
    code, s = _bin(data, states, 31, s)
    for _ in range(3):
        bit, s = _bin(data, states, 32, s)
        code = code << 1 | bit
    if code < 8:
        return mb.B_TYPES + 3 + code, s
    if code == 13:
        return int64(-1), s
    if code == 14:
        return int64(mb.B_TYPES + 11), s
    if code == 15:
        return int64(mb.B_TYPES + 22), s
    bit, s = _bin(data, states, 32, s)
    return mb.B_TYPES + (code << 1 | bit) - 4, s


@part
def _p_sub_type(data: Bytes, states: Bytes, s: State) -> tuple[int, State]:
    bit, s = _bin(data, states, 21, s)
    if bit:
        return int64(0), s
    bit, s = _bin(data, states, 22, s)
    if not bit:
        return int64(1), s
    bit, s = _bin(data, states, 23, s)
    return 3 - bit, s


@part
def _b_sub_type(data: Bytes, states: Bytes, s: State) -> tuple[int, State]:
    bit, s = _bin(data, states, 36, s)
    if not bit:
        return int64(mb.B_SUB_TYPES), s
    bit, s = _bin(data, states, 37, s)
    if not bit:
        bit, s = _bin(data, states, 39, s)
        return mb.B_SUB_TYPES + 1 + bit, s
    kind = 3
    bit, s = _bin(data, states, 38, s)
    if bit:
        bit, s = _bin(data, states, 39, s)
        if bit:
            bit, s = _bin(data, states, 39, s)
            return mb.B_SUB_TYPES + 11 + bit, s
        kind = 7
    high, s = _bin(data, states, 39, s)
    low, s = _bin(data, states, 39, s)
    return mb.B_SUB_TYPES + kind + 2 * high + low, s


@part
def _reference(data: Bytes, states: Bytes, inc: int, most: int, s: State) -> tuple[int, State]:
    """ref_idx: 0, 1 for any above 0, -1 for one there is no picture for."""
    context, count = 54 + inc, 0
    bit, s = _bin(data, states, context, s)
    while bit:
        count += 1
        if count >= most:
            return int64(-1), s
        context = 58 if count == 1 else 59
        bit, s = _bin(data, states, context, s)
    return int64(count > 0), s


@part
def _vector(data: Bytes, states: Bytes, first: int, near: int, s: State) -> tuple[int, State]:
    """Magnitude of one component of mvd; -1 if there is none that long."""
    bit, s = _bin(data, states, first + (near > 2) + (near > 32), s)
    if not bit:
        return int64(0), s
    size, inc = int64(1), 3
    while size < 9:
        bit, s = _bin(data, states, first + inc, s)
        if not bit:
            break
        size += 1
        inc = min(inc + 1, 6)
    if size == 9:
        more, s = _exp_golomb(data, 3, s)
        if more < 0:
            return int64(-1), s
        size += more
    _, s = _bypass(data, s)
    return size, s


@part
def _pattern(data: Bytes, states: Bytes, left: int, above: int, chroma: int, s: State) -> tuple[int, State]:
    """coded_block_pattern (9.3.3.1.1.4) from those of the neighbours."""
    cbp = int64(0)
    for b in range(4):
        row = left >> (b | 1) if b & 1 == 0 else cbp >> (b - 1)
        column = above >> (b | 2) if b < 2 else cbp >> (b - 2)
        bit, s = _bin(data, states, 73 + (~row & 1) + 2 * (~column & 1), s)
        cbp |= bit << b
    if chroma:
        bit, s = _bin(data, states, 77 + (left > 15) + 2 * (above > 15), s)
        if bit:
            bit, s = _bin(data, states, 81 + (left > 31) + 2 * (above > 31), s)
            cbp |= 16 << bit
    return cbp, s


@part
def _qp_delta(data: Bytes, states: Bytes, inc: int, s: State) -> tuple[int, State]:
    """mb_qp_delta; 100 if there is none like that."""
    bit, s = _bin(data, states, 60 + inc, s)
    code, context = int64(0), 62
    while bit:
        code += 1
        if code > 52:
            return int64(100), s
        bit, s = _bin(data, states, context, s)
        context = 63
    return (code + 1 >> 1 if code & 1 else -(code >> 1)), s


@kernel(
    "Tuple((int64, int64, int64))(uint8[::1], int32[::1], uint8[::1], uint8[::1], int8[::1],"
    " int32[::1], int16[::1], int16[::1], int32[::1], uint8[::1], uint8[::1], uint8[::1])",
    arithmetic,
    cabac_tables,
    mb,
)
def walk(
    data: Bytes,
    parameters: Ints,
    states: Bytes,
    mb_intra: Bytes,
    mb_qp: NDArray[np.int8],
    bits: Ints,
    steps: NDArray[np.int16],
    levels: NDArray[np.int16],
    mbs: Ints,
    blocks: Bytes,
    positions: Bytes,
    flags: Bytes,
) -> tuple[int, int, int]:
    """Read one slice; returns how it ended, the macroblock after its last and its number of signs."""
    slice_type = int64(parameters[mb.SLICE_TYPE])
    width = int64(parameters[mb.WIDTH_MBS])
    total = int64(parameters[mb.PICTURE_MBS])
    length = int64(parameters[mb.STOP_BIT]) + 8 >> 3
    qp = int64(parameters[mb.QP])
    t8_allowed = int64(parameters[mb.TRANSFORM_8X8])
    inference = int64(parameters[mb.DIRECT_8X8_INFERENCE])
    chroma = int64(parameters[mb.CHROMA])
    refs = (int64(parameters[mb.REFS_L0]), int64(parameters[mb.REFS_L1]))
    lists = 2 if slice_type == mb.SLICE_B else 1
    top = np.zeros(width * mb.RECORD, np.int32)
    left = np.zeros(mb.RECORD, np.int32)
    use = np.zeros(4, np.int64)
    shapes = np.zeros(4, np.int64)
    found = np.zeros(64, np.int64)
    n, changed = 0, 0
    address = int64(parameters[mb.FIRST_MB])
    s = _start(data, int64(parameters[mb.START_BIT]) >> 3)
    while True:
        if address >= total or n + _MB_COEFFICIENTS > bits.size:
            return mb.TOO_LONG, address, n
        if _used(s) > 8 * length:
            return mb.WRONG_END, address, n
        column = address % width
        if column == 0:
            _put(left, 0, mb.RECORD, 0)
        above = top[column * mb.RECORD : (column + 1) * mb.RECORD]
        a, b = int64(left[mb.FLAGS]), int64(above[mb.FLAGS])
        skipped = int64(0)
        if slice_type != mb.SLICE_I:
            plain = mb.AVAILABLE | mb.SKIPPED
            inc = int64(a & plain == mb.AVAILABLE) + int64(b & plain == mb.AVAILABLE)
            skipped, s = _bin(data, states, (11 if slice_type == mb.SLICE_P else 24) + inc, s)
        kind, intra = int64(0), int64(-3)  # row of INTER_TYPES; what _intra_type returns
        own, cbp, t8 = int64(mb.AVAILABLE), int64(0), int64(0)
        if skipped:
            own |= mb.SKIPPED | mb.DIRECT
            _put(left, 0, mb.RECORD, 0)
            _put(above, 0, mb.RECORD, 0)
            changed = 0
        else:
            first, rest = 17, 18
            if slice_type == mb.SLICE_I:
                kind = int64(-1)
                other = mb.AVAILABLE | mb.INTRA_NXN
                first = 3 + int64(a & other == mb.AVAILABLE) + int64(b & other == mb.AVAILABLE)
                rest = 6
            elif slice_type == mb.SLICE_P:
                kind, s = _p_type(data, states, s)
            else:
                other = mb.AVAILABLE | mb.DIRECT
                inc = int64(a & other == mb.AVAILABLE) + int64(b & other == mb.AVAILABLE)
                kind, s = _b_type(data, states, inc, s)
                first, rest = 32, 33
            if kind < 0:
                slice_i = int64(slice_type == mb.SLICE_I)
                intra, s = _intra_type(data, states, first, rest, slice_i, s)
                own |= mb.INTRA
        if intra == -2:
            end = _used(s)
            if n and bits[n - 1] >= end - 1:
                flags[n - 1] |= 2
            byte = (end + 7 >> 3) + (384 if chroma else 256)
            if byte + 2 > data.size:
                return mb.NONSENSE, address, n
            s = _start(data, byte)
            _put(left, 0, mb.RECORD, 0)
            _put(above, 0, mb.RECORD, 0)
            _put(left, mb.NZ, mb.NZ + 8, 1)
            _put(above, mb.NZ, mb.NZ + 8, 1)
            own |= mb.PCM | mb.DC_Y | mb.DC_CB | mb.DC_CR
            cbp = int64(47)
            changed = 0
        elif not skipped:
            small = False
            if kind < 0:
                if intra == -1:
                    own |= mb.INTRA_NXN
                    if t8_allowed:
                        inc = int64(a & mb.T8X8 != 0) + int64(b & mb.T8X8 != 0)
                        t8, s = _bin(data, states, 399 + inc, s)
                    for _ in range(4 if t8 else 16):
                        bit, s = _bin(data, states, 68, s)
                        if not bit:
                            for _ in range(3):
                                bit, s = _bin(data, states, 69, s)
                else:
                    cbp = intra
                if chroma:
                    inc = int64(a & mb.CHROMA_MODE != 0) + int64(b & mb.CHROMA_MODE != 0)
                    bit, s = _bin(data, states, 64 + inc, s)
                    if bit:
                        own |= mb.CHROMA_MODE
                        bit, s = _bin(data, states, 67, s)
                        if bit:
                            bit, s = _bin(data, states, 67, s)
                _put(left, mb.REF, mb.FLAGS, 0)
                _put(above, mb.REF, mb.FLAGS, 0)
            else:
                shape = int64(mb.INTER_TYPES[kind, 0])
                use[0], use[1] = mb.INTER_TYPES[kind, 1], mb.INTER_TYPES[kind, 2]
                parts = (1, 2, 2, 4)[shape]
                shapes[0] = shapes[1] = shapes[2] = shapes[3] = 0
                if shape == 3:
                    for i in range(4):
                        if slice_type == mb.SLICE_P:
                            sub, s = _p_sub_type(data, states, s)
                        else:
                            sub, s = _b_sub_type(data, states, s)
                        shapes[i], use[i] = mb.SUB_TYPES[sub, 0], mb.SUB_TYPES[sub, 1]
                        small |= shapes[i] > 0 or (use[i] == 0 and not inference)
                elif use[0] == 0:
                    own |= mb.DIRECT
                    small = not inference
                wide, high = (1 if shape > 1 else 2), (1 if shape & 1 else 2)
                for which in range(lists):
                    for i in range(parts):
                        x, y = (
                            (i & 1 if shape > 1 else 0),
                            (i >> 1 if shape == 3 else (i if shape == 1 else 0)),
                        )
                        more = int64(0)
                        if use[i] >> which & 1 and refs[which] > 1:
                            inc = int64(left[mb.REF + 2 * which + y]) + 2 * int64(
                                above[mb.REF + 2 * which + x]
                            )
                            more, s = _reference(data, states, inc, refs[which], s)
                            if more < 0:
                                return mb.NONSENSE, address, n
                        for j in range(wide):
                            above[mb.REF + 2 * which + x + j] = more
                        for j in range(high):
                            left[mb.REF + 2 * which + y + j] = more
                for which in range(lists):
                    for i in range(parts):
                        x, y = (
                            (i & 1 if shape > 1 else 0),
                            (i >> 1 if shape == 3 else (i if shape == 1 else 0)),
                        )
                        sub = shapes[i]
                        w = 1 if sub > 1 else 2 * wide
                        h = 1 if sub & 1 else 2 * high
                        for j in range((1, 2, 2, 4)[sub]):
                            x4 = 2 * x + (j & 1 if sub > 1 else 0)
                            y4 = 2 * y + (j >> 1 if sub == 3 else (j if sub == 1 else 0))
                            for component in range(2):
                                at = mb.MVD + 8 * which + 4 * component
                                size = int64(0)
                                if use[i] >> which & 1:
                                    near = int64(left[at + y4]) + int64(above[at + x4])
                                    size, s = _vector(data, states, 40 + 7 * component, near, s)
                                    if size < 0:
                                        return mb.NONSENSE, address, n
                                for c in range(w):
                                    above[at + x4 + c] = size
                                for c in range(h):
                                    left[at + y4 + c] = size
            if intra < 0:
                cbp_a = int64(left[mb.CBP]) if a else 15
                cbp_b = int64(above[mb.CBP]) if b else 15
                cbp, s = _pattern(data, states, cbp_a, cbp_b, chroma, s)
                if kind >= 0 and cbp & 15 and t8_allowed and not small:
                    inc = int64(a & mb.T8X8 != 0) + int64(b & mb.T8X8 != 0)
                    t8, s = _bin(data, states, 399 + inc, s)
            if t8:
                own |= mb.T8X8
            if cbp or intra >= 0:
                delta, s = _qp_delta(data, states, changed, s)
                if delta == 100:
                    return mb.NONSENSE, address, n
                changed = int64(delta != 0)
                qp = (qp + delta + 52) % 52
                unknown = int64(kind < 0)
                if not a:
                    _put(left, mb.NZ, mb.NZ + 8, unknown)
                if not b:
                    _put(above, mb.NZ, mb.NZ + 8, unknown)
                if not cbp & 15:
                    _put(left, mb.NZ, mb.NZ + 4, 0)
                    _put(above, mb.NZ, mb.NZ + 4, 0)
                if cbp < 32:
                    _put(left, mb.NZ + 4, mb.NZ + 8, 0)
                    _put(above, mb.NZ + 4, mb.NZ + 8, 0)
                near_a = a if a else unknown * (mb.DC_Y | mb.DC_CB | mb.DC_CR)
                near_b = b if b else unknown * (mb.DC_Y | mb.DC_CB | mb.DC_CR)
                block = 0 if intra >= 0 else (1 if cbp & 15 else 17)
                last_block = 17 if cbp < 16 else (19 if cbp < 32 else 27)
                while block < last_block:
                    this = block
                    block += 1
                    if block == 1 or 18 <= block <= 19:
                        if block == 1 and not cbp & 15:
                            block = 17
                        cat = 0 if this == 0 else 3
                        mask = mb.DC_Y if this == 0 else mb.DC_CB << (this - 17)
                        inc = int64(near_a & mask != 0) + 2 * int64(near_b & mask != 0)
                        coded, s = _bin(data, states, 85 + 4 * cat + inc, s)
                        if not coded:
                            continue
                        own |= mask
                    else:
                        x, y = mb.COLUMN[this], mb.ROW[this]
                        cat = 4 if this > 16 else (1 if intra >= 0 else 2)
                        if this <= 16 and not cbp >> (this - 1 >> 2) & 1:
                            left[y] = 0
                            above[x] = 0
                            continue
                        if t8 and this <= 16:
                            left[y] = 1
                            above[x] = 1
                            if this - 1 & 3:
                                continue
                            cat = 5
                        else:
                            inc = int64(left[y]) + 2 * int64(above[x])
                            coded, s = _bin(data, states, 85 + 4 * cat + inc, s)
                            left[y] = coded
                            above[x] = coded
                            if not coded:
                                continue
                    significant, last, level_context = SIGNIFICANT[cat], LAST[cat], LEVEL[cat]
                    end = int64(COEFFICIENTS[cat]) - 1
                    count, i = 0, 0
                    while i < end:
                        bit, s = _bin(data, states, significant + SIGNIFICANT_INC[cat, i], s)
                        if bit:
                            found[count] = i
                            count += 1
                            bit, s = _bin(data, states, last + LAST_INC[cat, i], s)
                            if bit:
                                break
                        i += 1
                    if i == end:
                        found[count] = end
                        count += 1
                    ones, larger = 1, 0
                    skip_dc = int64(cat == 1 or cat == 4)
                    name = mb.LUMA_8X8 + (this - 1 >> 2) if cat == 5 else this
                    for j in range(count - 1, -1, -1):
                        level = int64(1)
                        bit, s = _bin(data, states, level_context + (0 if larger else ones), s)
                        if bit:
                            context = level_context + 5 + min(4 - int64(cat == 3), larger)
                            larger += 1
                            level += 1
                            while level < 15:
                                bit, s = _bin(data, states, context, s)
                                if not bit:
                                    break
                                level += 1
                            if level == 15:
                                more, s = _exp_golomb(data, 0, s)
                                if more < 0 or more > 32000:
                                    return mb.NONSENSE, address, n
                                level += more
                        else:
                            ones = min(ones + 1, 4)
                        span = s[1]
                        bit, s = _bypass(data, s)
                        bits[n] = _used(s) - 1
                        steps[n] = span
                        levels[n] = level
                        mbs[n] = address
                        blocks[n] = name
                        positions[n] = found[j] + skip_dc
                        flags[n] = bit
                        n += 1
            else:
                _put(left, mb.NZ, mb.NZ + 8, 0)
                _put(above, mb.NZ, mb.NZ + 8, 0)
                changed = 0
        left[mb.FLAGS] = own
        above[mb.FLAGS] = own
        left[mb.CBP] = cbp
        above[mb.CBP] = cbp
        mb_intra[address] = kind < 0
        mb_qp[address] = qp
        address += 1
        bit, s = _terminate(data, s)
        if bit:
            end = _used(s)
            if n and bits[n - 1] >= end - 1:
                flags[n - 1] |= 2
            return (mb.ENDED if _stops(data, length, end - 1) else mb.WRONG_END), address, n
