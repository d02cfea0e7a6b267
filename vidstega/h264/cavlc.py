"""The walk over CAVLC slice data (ITU-T H.264, clauses 7.3.4, 7.3.5, 9.1 and 9.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidstega.h264 import cavlc_tables
from vidstega.h264 import macroblocks as mb
from vidstega.h264.cavlc_tables import (
    CHROMA_TOKENS,
    CHROMA_ZEROS,
    PATTERNS,
    RUN_LOOK,
    RUNS,
    TOKEN_LOOK,
    TOKEN_TABLE,
    TOKENS,
    ZEROS,
    ZEROS_LOOK,
)
from vidstega.jit import inline, int64, kernel, uint64

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int32]

_WINDOW = 56
"""Bits of a look ahead, of which up to seven are behind."""
_LONGEST_PREFIX = 16  # zeros of a code word; 8-bit video needs 15
_BAD = 1 << 20  # no syntax element is that large
_MB_COEFFICIENTS = 384
_UNKNOWN = 64  # total_coeff of a block that is not in this slice


@inline
def _ahead(data: Bytes, at: int) -> int:
    """The next 49 bits or more, left-aligned in _WINDOW bits; beyond the end there are zeros."""
    i = uint64(min(at >> 3, data.size - 8))
    word = (
        uint64(data[i]) << uint64(56)
        | uint64(data[i + uint64(1)]) << uint64(48)
        | uint64(data[i + uint64(2)]) << uint64(40)
        | uint64(data[i + uint64(3)]) << uint64(32)
        | uint64(data[i + uint64(4)]) << uint64(24)
        | uint64(data[i + uint64(5)]) << uint64(16)
        | uint64(data[i + uint64(6)]) << uint64(8)
        | uint64(data[i + uint64(7)])
    )  # LLVM makes one load of these
    return int64((word << uint64(at & 7)) >> uint64(8))


@inline
def _take(data: Bytes, at: int, count: int) -> tuple[int, int]:
    return _ahead(data, at) >> (_WINDOW - count), at + count


@inline
def _ue(data: Bytes, at: int) -> tuple[int, int]:
    """ue(v) (9.1), _BAD if it is longer than any."""
    window = _ahead(data, at)
    zeros = int64(0)
    while window >> (_WINDOW - 1 - zeros) == 0:
        zeros += 1
        if zeros > _LONGEST_PREFIX:
            return int64(_BAD), at
    length = 2 * zeros + 1
    return (window >> (_WINDOW - length)) - 1, at + length


@inline
def _block(
    data: Bytes,
    at: int,
    table: int,
    most: int,
    scan: tuple[int, int],
    n: int,
    bits: Ints,
    levels: NDArray[np.int16],
    positions: Bytes,
    flags: Bytes,
) -> tuple[int, int]:
    """residual_block_cavlc (7.3.5.3.2): number of coefficients, -1 for nonsense, and where it ends.

    Their signs are written from place `n` on; the first coefficient is at position scan[1] of the
    block, the next scan[0] further.
    """
    look = _ahead(data, at) >> (_WINDOW - TOKEN_LOOK)
    code = int64(TOKENS[table, look >> 6 if look >= 1024 else 1024 + look])
    at += code & 255
    total, ones = code >> 10, code >> 8 & 3
    if code == 0 or total > most:
        return int64(-1), at
    if total == 0:
        return int64(0), at
    suffix_length = int64(total > 10 and ones < 3)
    for i in range(total):
        if i < ones:
            bit, at = _take(data, at, 1)
            levels[n + i], bits[n + i], flags[n + i] = 1, at - 1, bit
            continue
        window = _ahead(data, at)
        prefix = int64(0)
        while window >> (_WINDOW - 1 - prefix) == 0:
            prefix += 1
            if prefix > _LONGEST_PREFIX:
                return int64(-1), at
        at += prefix + 1
        size = suffix_length
        if prefix == 14 and suffix_length == 0:
            size = int64(4)
        elif prefix >= 15:
            size = prefix - 3
        code = min(prefix, 15) << suffix_length
        if size:
            suffix, at = _take(data, at, size)
            code += suffix
        if prefix >= 15 and suffix_length == 0:
            code += 15
        if prefix >= 16:
            code += (1 << (prefix - 3)) - 4096
        if i == ones and ones < 3:
            code += 2
        level = code + 2 >> 1
        # The sign is the last bit of the suffix; without one it is told by the length of the prefix.
        levels[n + i], bits[n + i] = min(level, 32767), at - 1
        flags[n + i] = code & 1 | (0 if size else 2)
        suffix_length = max(suffix_length, 1)
        if level > 3 << (suffix_length - 1) and suffix_length < 6:
            suffix_length += 1
    zeros = int64(0)
    if total < most:
        look = _ahead(data, at) >> (_WINDOW - ZEROS_LOOK)
        code = int64(CHROMA_ZEROS[total - 1, look] if most == 4 else ZEROS[total - 1, look])
        at += code & 255
        zeros = code >> 8
        if code == 0 or zeros > most - total:
            return int64(-1), at
    position = total + zeros - 1
    for i in range(total):
        positions[n + i] = scan[0] * position + scan[1]
        position -= 1
        if zeros and i + 1 < total:
            code = int64(RUNS[min(zeros, 7) - 1, _ahead(data, at) >> (_WINDOW - RUN_LOOK)])
            at += code & 255
            run = code >> 8
            if code == 0 or run > zeros:
                return int64(-1), at
            zeros -= run
            position -= run
    return total, at


@inline
def _put(record: Ints, first: int, stop: int, value: int) -> None:
    for i in range(first, stop):
        record[i] = value


@kernel(
    "Tuple((int64, int64, int64))(uint8[::1], int32[::1], uint8[::1], int8[::1],"
    " int32[::1], int16[::1], int16[::1], int32[::1], uint8[::1], uint8[::1], uint8[::1])",
    cavlc_tables,
    mb,
)
def walk(
    data: Bytes,
    parameters: Ints,
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
    stop = int64(parameters[mb.STOP_BIT])
    qp = int64(parameters[mb.QP])
    t8_allowed = int64(parameters[mb.TRANSFORM_8X8])
    inference = int64(parameters[mb.DIRECT_8X8_INFERENCE])
    chroma = int64(parameters[mb.CHROMA])
    refs = (int64(parameters[mb.REFS_L0]), int64(parameters[mb.REFS_L1]))
    lists = 2 if slice_type == mb.SLICE_B else 1
    top = np.zeros(width * mb.RECORD, np.int32)
    left = np.zeros(mb.RECORD, np.int32)
    use = np.zeros(4, np.int32)
    shapes = np.zeros(4, np.int32)
    n = 0
    address = int64(parameters[mb.FIRST_MB])
    at = int64(parameters[mb.START_BIT])
    skips = int64(0)
    fresh = slice_type != mb.SLICE_I  # whether mb_skip_run comes next
    while True:
        if fresh:
            skips, at = _ue(data, at)
            fresh = False
        if skips == 0 and at >= stop:
            return (mb.ENDED if at == stop else mb.WRONG_END), address, n
        if address >= total or n + _MB_COEFFICIENTS > bits.size:
            return mb.TOO_LONG, address, n
        column = address % width
        if column == 0:
            _put(left, 0, mb.RECORD, 0)
        above = top[column * mb.RECORD : (column + 1) * mb.RECORD]
        if skips:
            skips -= 1
            _put(left, mb.NZ, mb.NZ + 8, 0)
            _put(above, mb.NZ, mb.NZ + 8, 0)
            left[mb.FLAGS] = above[mb.FLAGS] = mb.AVAILABLE
            mb_intra[address] = 0
            mb_qp[address] = qp
            address += 1
            continue
        kind, at = _ue(data, at)
        first_intra = 5 if slice_type == mb.SLICE_P else (23 if slice_type == mb.SLICE_B else 0)
        intra = kind - first_intra  # from 0: I_NxN, Intra_16x16, I_PCM (table 7-11)
        if intra > 25:
            return mb.NONSENSE, address, n
        cbp, t8, small = int64(0), int64(0), False
        if intra == 25:
            byte = (at + 7 >> 3) + (384 if chroma else 256)
            if 8 * byte > stop:
                return mb.NONSENSE, address, n
            at = 8 * byte
            _put(left, mb.NZ, mb.NZ + 8, 16)
            _put(above, mb.NZ, mb.NZ + 8, 16)
        else:
            if intra >= 0:
                if intra > 0:
                    cbp = (15 if intra > 12 else 0) + 16 * ((intra - 1 >> 2) % 3)
                else:
                    if t8_allowed:
                        t8, at = _take(data, at, 1)
                    for _ in range(4 if t8 else 16):
                        bit, at = _take(data, at, 1)
                        at += 0 if bit else 3
                if chroma:
                    mode, at = _ue(data, at)
                    if mode > 3:
                        return mb.NONSENSE, address, n
            else:
                row = kind + (mb.B_TYPES if slice_type == mb.SLICE_B else 0)
                shape = int64(mb.INTER_TYPES[row, 0])
                use[0], use[1] = mb.INTER_TYPES[row, 1], mb.INTER_TYPES[row, 2]
                shapes[0] = shapes[1] = shapes[2] = shapes[3] = 0
                if shape == 3:
                    for i in range(4):
                        sub, at = _ue(data, at)
                        if sub > (12 if slice_type == mb.SLICE_B else 3):
                            return mb.NONSENSE, address, n
                        sub += mb.B_SUB_TYPES if slice_type == mb.SLICE_B else 0
                        shapes[i], use[i] = mb.SUB_TYPES[sub, 0], mb.SUB_TYPES[sub, 1]
                        small |= shapes[i] > 0 or (use[i] == 0 and not inference)
                elif use[0] == 0:
                    small = not inference
                parts = (1, 2, 2, 4)[shape]
                told = slice_type == mb.SLICE_B or kind != 4  # P_8x8ref0 has no ref_idx
                for which in range(lists):
                    for i in range(parts):
                        if use[i] >> which & 1 and refs[which] > 1 and told:
                            if refs[which] == 2:
                                at += 1
                            else:
                                index, at = _ue(data, at)
                                if index >= refs[which]:
                                    return mb.NONSENSE, address, n
                for which in range(lists):
                    for i in range(parts):
                        if use[i] >> which & 1:
                            for _ in range(2 * (1, 2, 2, 4)[shapes[i]]):
                                size, at = _ue(data, at)
                                if size == _BAD:
                                    return mb.NONSENSE, address, n
            if intra <= 0:
                code, at = _ue(data, at)
                if code > 47:
                    return mb.NONSENSE, address, n
                cbp = int64(PATTERNS[(0 if intra == 0 else 1) + (0 if chroma else 2), code])
                if cbp < 0:
                    return mb.NONSENSE, address, n
                if intra < 0 and cbp & 15 and t8_allowed and not small:
                    t8, at = _take(data, at, 1)
            if not left[mb.FLAGS]:
                _put(left, mb.NZ, mb.NZ + 8, _UNKNOWN)
            if not above[mb.FLAGS]:
                _put(above, mb.NZ, mb.NZ + 8, _UNKNOWN)
            first_unset = mb.NZ + (4 if cbp & 15 or intra > 0 else 0)
            _put(left, first_unset, mb.NZ + (8 if cbp < 32 else 4), 0)
            _put(above, first_unset, mb.NZ + (8 if cbp < 32 else 4), 0)
            if cbp or intra > 0:
                code, at = _ue(data, at)
                if code > 52:
                    return mb.NONSENSE, address, n
                qp = (qp + (code + 1 >> 1 if code & 1 else -(code >> 1)) + 52) % 52
                block = 0 if intra > 0 else (1 if cbp & 15 else 17)
                last_block = 17 if cbp < 16 else (19 if cbp < 32 else 27)
                while block < last_block:
                    this = block
                    block += 1
                    x, y = mb.COLUMN[this], mb.ROW[this]
                    if 1 <= this <= 16 and not cbp >> (this - 1 >> 2) & 1:
                        left[y] = above[x] = 0
                        continue
                    near = int64(left[y]) + int64(above[x])
                    near = near & _UNKNOWN - 1 if near >= _UNKNOWN else near + 1 >> 1
                    table, most = int64(TOKEN_TABLE[near]), 16
                    if 17 <= this <= 18:
                        table, most = int64(CHROMA_TOKENS), 4
                    elif this > 18 or (this > 0 and intra > 0):
                        most = 15
                    name, scale, shift = this, 1, int64(most == 15)
                    if t8 and this <= 16:  # four interleaved blocks are one of 64 coefficients
                        shift = this - 1 & 3
                        name, scale = mb.LUMA_8X8 + (this - 1 >> 2), 4
                    scan = (scale, shift)
                    count, at = _block(data, at, table, most, scan, n, bits, levels, positions, flags)
                    if count < 0 or at > stop:
                        return mb.NONSENSE, address, n
                    if this > 18 or 1 <= this <= 16:
                        left[y] = above[x] = count
                    elif this == 0 and not cbp & 15:
                        _put(left, mb.NZ, mb.NZ + 4, 0)
                        _put(above, mb.NZ, mb.NZ + 4, 0)
                        block = 17
                    for _ in range(count):
                        steps[n] = 0
                        mbs[n] = address
                        blocks[n] = name
                        n += 1
        left[mb.FLAGS] = above[mb.FLAGS] = mb.AVAILABLE
        mb_intra[address] = intra >= 0
        mb_qp[address] = qp
        address += 1
        fresh = slice_type != mb.SLICE_I
        if at >= stop:
            return (mb.ENDED if at == stop else mb.WRONG_END), address, n
