"""The arithmetic decoder that H.264 and HEVC share (ITU-T H.264, clause 9.3.3.2; H.265, clause 9.3.4.3).

The decoder's state `s` is (value, range, spare, next byte): codIOffset followed by `spare` bits not yet
asked for, so that codIOffset alone is value >> spare. Each function is compiled into its callers, so that
the state stays in registers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidstega.jit import inline, int64, uint64

State = tuple[int, int, int, int]
Bytes = NDArray[np.uint8]

# Table 9-44 (H.265: 9-52): rangeTabLPS for each pStateIdx and qCodIRangeIdx.
_LPS_RANGE = """
128 176 208 240 128 167 197 227 128 158 187 216 123 150 178 205 116 142 169 195 111 135 160 185
105 128 152 175 100 122 144 166  95 116 137 158  90 110 130 150  85 104 123 142  81  99 117 135
 77  94 111 128  73  89 105 122  69  85 100 116  66  80  95 110  62  76  90 104  59  72  86  99
 56  69  81  94  53  65  77  89  51  62  73  85  48  59  69  80  46  56  66  76  43  53  63  72
 41  50  59  69  39  48  56  65  37  45  54  62  35  43  51  59  33  41  48  56  32  39  46  53
 30  37  43  50  29  35  41  48  27  33  39  45  26  31  37  43  24  30  35  41  23  28  33  39
 22  27  32  37  21  26  30  35  20  24  29  33  19  23  27  31  18  22  26  30  17  21  25  28
 16  20  23  27  15  19  22  25  14  18  21  24  14  17  20  23  13  16  19  22  12  15  18  21
 12  14  17  20  11  14  16  19  11  13  15  18  10  12  15  17  10  12  14  16   9  11  13  15
  9  11  12  14   8  10  12  14   8   9  11  13   7   9  11  12   7   9  10  12   7   8  10  11
  6   8   9  11   6   7   9  10   6   7   8   9   2   2   2   2"""
# Table 9-45 (H.265: 9-53): transIdxLPS.
_LPS_NEXT = """
 0  0  1  2  2  4  4  5  6  7  8  9  9 11 11 12 13 13 15 15 16 16 18 18 19 19 21 21 22 22 23 24
24 25 26 26 27 27 28 29 29 30 30 30 31 32 32 33 33 33 34 34 35 35 35 36 36 36 37 37 37 38 38 63"""


def _numbers(text: str) -> NDArray[np.int32]:
    return np.array(text.split(), np.int32)


def _packed_states() -> NDArray[np.int32]:
    """For (state << 2 | range >> 6 & 3): LPS range, then in bits 8 and 16 the states after MPS and LPS."""
    index = np.arange(128, dtype=np.int32)
    state, mps = index >> 1, index & 1
    after_mps = 2 * np.minimum(state + 1, 62) + mps
    after_mps[state == 63] = index[state == 63]
    after_lps = 2 * _numbers(_LPS_NEXT)[state] + np.where(state == 0, 1 - mps, mps)
    after = (after_mps << 8 | after_lps << 16)[:, None]
    return np.ascontiguousarray((_numbers(_LPS_RANGE).reshape(64, 4)[state] | after).reshape(-1), np.int32)


STATES = _packed_states()
NORM = np.array([9 - max(r, 1).bit_length() for r in range(512)], np.uint8)
"""By how much a range is doubled until it is 256 or more."""


@inline
def fill(data: Bytes, value: int, spare: int, at: int) -> tuple[int, int, int]:
    if spare < 16:
        word = int64(0)
        if at + 4 <= data.size:
            i = uint64(at)
            word = (
                int64(data[i]) << 24
                | int64(data[i + uint64(1)]) << 16
                | int64(data[i + uint64(2)]) << 8
                | int64(data[i + uint64(3)])
            )
        value = value << 32 | word
        spare += 32
        at += 4
    return value, spare, at


@inline
def start(data: Bytes, byte: int) -> State:
    """Begin a code word (9.3.1.2); bytes beyond the end read as zeros."""
    value = int64(0)
    if byte + 2 <= data.size:
        value = int64(data[byte]) << 8 | int64(data[byte + 1])
    value, spare, at = fill(data, value, int64(7), int64(byte + 2))
    return value, int64(510), spare, at


@inline
def decide(data: Bytes, states: Bytes, context: int, s: State) -> tuple[int, State]:
    """DecodeDecision (9.3.3.2.1) without a branch on its outcome."""
    value, span, spare, at = s
    i = uint64(context)
    state = int64(states[i])
    packed = int64(STATES[uint64(state << 2 | span >> 6 & 3)])
    lps = packed & 255
    span -= lps
    scaled = span << spare
    rare = (scaled - 1 - value) >> 63  # -1 for the less probable symbol, else 0
    value -= scaled & rare
    span += (lps - span) & rare
    states[i] = packed >> (8 + (rare & 8)) & 127
    shift = int64(NORM[uint64(span)])
    span <<= shift
    spare -= shift
    value, spare, at = fill(data, value, spare, at)
    return (state ^ rare) & 1, (value, span, spare, at)


@inline
def bypass(data: Bytes, s: State) -> tuple[int, State]:
    """DecodeBypass (9.3.3.2.3)."""
    value, span, spare, at = s
    spare -= 1
    scaled = span << spare
    less = (value - scaled) >> 63  # -1 for a 0
    value -= scaled & ~less
    value, spare, at = fill(data, value, spare, at)
    return less + 1, (value, span, spare, at)


@inline
def terminate(data: Bytes, s: State) -> tuple[int, State]:
    """DecodeTerminate (9.3.3.2.2); after a 1 the bits used are those of the code word."""
    value, span, spare, at = s
    span -= 2
    if value >= span << spare:
        return int64(1), (value, span, spare, at)
    shift = int64(NORM[span])
    span <<= shift
    spare -= shift
    value, spare, at = fill(data, value, spare, at)
    return int64(0), (value, span, spare, at)


@inline
def used(s: State) -> int:
    """Bits read so far, from the start of the data."""
    return s[3] * 8 - s[2]
