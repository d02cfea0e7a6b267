"""Tables of the variable length codes (ITU-T H.264, clause 9.2) for 4:2:0 and 4:0:0.

Each code is turned into a table indexed by the next bits of the stream, whose entries hold a value and
the length of its code word: value << 8 | length; 0 where no code word begins so.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

# Table 9-5, coeff_token, as length and bits of the code word for each (total_coeff, trailing_ones): four
# trailing_ones to a total_coeff, length 0 where there is no such pair. nC 0-1, 2-3, 4-7.
_TOKEN_LENGTHS = (
    """1 0 0 0 6 2 0 0 8 6 3 0 9 8 7 5 10 9 8 6 11 10 9 7 13 11 10 8 13 13 11 9 13 13 13 10
    14 14 13 11 14 14 14 13 15 15 14 14 15 15 15 14 16 15 15 15 16 16 16 15 16 16 16 16 16 16 16 16""",
    """2 0 0 0 6 2 0 0 6 5 3 0 7 6 6 4 8 6 6 4 8 7 7 5 9 8 8 6 11 9 9 6 11 11 11 7
    12 11 11 9 12 12 12 11 12 12 12 11 13 13 13 12 13 13 13 13 13 14 13 13 14 14 14 13 14 14 14 14""",
    """4 0 0 0 6 4 0 0 6 5 4 0 6 5 5 4 7 5 5 4 7 5 5 4 7 6 6 4 7 6 6 4 8 7 7 5
    8 8 7 6 9 8 8 7 9 9 8 8 9 9 9 8 10 9 9 9 10 10 10 10 10 10 10 10 10 10 10 10""",
)
_TOKEN_BITS = (
    """1 0 0 0 5 1 0 0 7 4 1 0 7 6 5 3 7 6 5 3 7 6 5 4 15 6 5 4 11 14 5 4 8 10 13 4
    15 14 9 4 11 10 13 12 15 14 9 12 11 10 13 8 15 1 9 12 11 14 13 8 7 10 9 12 4 6 5 8""",
    """3 0 0 0 11 2 0 0 7 7 3 0 7 10 9 5 7 6 5 4 4 6 5 6 7 6 5 8 15 6 5 4 11 14 13 4
    15 10 9 4 11 14 13 12 8 10 9 8 15 14 13 12 11 10 9 12 7 11 6 8 9 8 10 1 7 6 5 4""",
    """15 0 0 0 15 14 0 0 11 15 13 0 8 12 14 12 15 10 11 11 11 8 9 10 9 14 13 9 8 10 9 8 15 14 13 13
    11 14 10 12 15 10 13 12 11 14 9 12 8 10 13 8 13 7 9 12 9 12 11 10 5 8 7 6 1 4 3 2""",
)
_CHROMA_TOKEN_LENGTHS = "2 0 0 0 6 1 0 0 6 6 3 0 6 7 7 6 6 8 8 7"
_CHROMA_TOKEN_BITS = "1 0 0 0 7 1 0 0 4 6 1 0 3 3 2 5 2 3 2 0"

# Tables 9-7 and 9-8: total_zeros for each total_coeff from 1, length and bits.
_ZEROS_LENGTHS = """
1 3 3 4 4 5 5 6 6 7 7 8 8 9 9 9; 3 3 3 3 3 4 4 4 4 5 5 6 6 6 6; 4 3 3 3 4 4 3 3 4 5 5 6 5 6
5 3 4 4 3 3 3 4 3 4 5 5 5; 4 4 4 3 3 3 3 3 4 5 4 5; 6 5 3 3 3 3 3 3 4 3 6; 6 5 3 3 3 2 3 4 3 6
6 4 5 3 2 2 3 3 6; 6 6 4 2 2 3 2 5; 5 5 3 2 2 2 4; 4 4 3 3 1 3; 4 4 2 1 3; 3 3 1 2; 2 2 1; 1 1"""
_ZEROS_BITS = """
1 3 2 3 2 3 2 3 2 3 2 3 2 3 2 1; 7 6 5 4 3 5 4 3 2 3 2 3 2 1 0; 5 7 6 5 4 3 4 3 2 3 2 1 1 0
3 7 5 4 6 5 4 3 3 2 2 1 0; 5 4 3 7 6 5 4 3 2 1 1 0; 1 1 7 6 5 4 3 2 1 1 0; 1 1 5 4 3 3 2 1 1 0
1 1 1 3 3 2 2 1 0; 1 0 1 3 2 1 1 1; 1 0 1 3 2 1 1; 0 1 1 2 1 3; 0 1 1 1 1; 0 1 1 1; 0 1 1; 0 1"""
# Table 9-9 a: total_zeros of chroma DC.
_CHROMA_ZEROS_LENGTHS = "1 2 3 3; 1 2 2; 1 1"
_CHROMA_ZEROS_BITS = "1 1 1 0; 1 1 0; 1 0"
# Table 9-10: run_before for each zerosLeft from 1; the last row is for more than 6.
_RUN_LENGTHS = "1 1; 1 2 2; 2 2 2 2; 2 2 2 3 3; 2 2 3 3 3 3; 2 3 3 3 3 3 3; 3 3 3 3 3 3 3 4 5 6 7 8 9 10 11"
_RUN_BITS = "1 0; 1 1 0; 3 2 1 0; 3 2 1 1 0; 3 2 3 2 1 0; 3 0 1 3 2 5 4; 7 6 5 4 3 2 1 1 1 1 1 1 1 1 1"

TOKEN_LOOK, ZEROS_LOOK, RUN_LOOK = 16, 9, 11
"""Bits that index a table of each kind: the longest code words."""


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def _rows(text: str) -> list[list[int]]:
    return [_numbers(row) for row in text.strip().replace("\n", ";").split(";")]


def _lookup(look: int, codes: Iterable[tuple[int, int, int]]) -> NDArray[np.int32]:
    """From (length, bits, value) of each code word."""
    table = np.zeros(1 << look, np.int32)
    for length, bits, value in codes:
        first = bits << look - length
        span = table[first : first + (1 << look - length)]
        if span.any():
            raise AssertionError("two code words begin alike")
        span[:] = value << 8 | length
    return table


def _tokens(lengths: str, bits: str) -> NDArray[np.int32]:
    """Values are total_coeff << 2 | trailing_ones."""
    pairs = zip(_numbers(lengths), _numbers(bits), strict=True)
    return _lookup(TOKEN_LOOK, [(n, b, value) for value, (n, b) in enumerate(pairs) if n])


def _fixed_tokens() -> NDArray[np.int32]:
    """nC of 8 and more: six bits, total_coeff - 1 and trailing_ones, 3 standing for no coefficient."""
    codes = [(6, bits, bits + 4) for bits in range(64) if bits & 3 <= (bits >> 2) + 1]
    return _lookup(TOKEN_LOOK, [*codes, (6, 3, 0)])


def _per_row(look: int, lengths: str, bits: str) -> NDArray[np.int16]:
    rows = zip(_rows(lengths), _rows(bits), strict=True)
    tables = [
        _lookup(look, [(n, b, value) for value, (n, b) in enumerate(zip(row, code, strict=True))])
        for row, code in rows
    ]
    return np.array(tables, np.int16)


def _folded(full: NDArray[np.int32]) -> NDArray[np.int16]:
    """Ten bits instead of sixteen, to stay in cache: code words of more than ten begin with six zeros."""
    short, long = full[:: 1 << 6], full[: 1 << 10]
    if (short[1 << 4 :] & 255).max() > 10:
        raise AssertionError("a long code word begins with fewer than six zeros")
    return np.concatenate([short, long]).astype(np.int16)


TOKENS = np.array(
    [
        *(_folded(_tokens(*codes)) for codes in zip(_TOKEN_LENGTHS, _TOKEN_BITS, strict=True)),
        _folded(_fixed_tokens()),
        _folded(_tokens(_CHROMA_TOKEN_LENGTHS, _CHROMA_TOKEN_BITS)),
    ]
)
"""Tables for nC 0-1, 2-3, 4-7, 8 and more, and chroma DC.

With w the next TOKEN_LOOK bits, the entry is w >> 6, or 1024 + w where w is less than 1024.
"""
TOKEN_TABLE = np.array([0, 0, 1, 1, 2, 2, 2, 2, *[3] * 9], np.int32)
"""Which one for each nC."""
CHROMA_TOKENS = 4
ZEROS = _per_row(ZEROS_LOOK, _ZEROS_LENGTHS, _ZEROS_BITS)
CHROMA_ZEROS = _per_row(ZEROS_LOOK, _CHROMA_ZEROS_LENGTHS, _CHROMA_ZEROS_BITS)
RUNS = _per_row(RUN_LOOK, _RUN_LENGTHS, _RUN_BITS)

# Table 9-4: coded_block_pattern for codeNum: Intra_4x4 and Intra_8x8, then inter; with chroma, then without.
_PATTERNS = (
    """47 31 15 0 23 27 29 30 7 11 13 14 39 43 45 46 16 3 5 10 12 19 21 26 28 35 37 42 44 1 2 4
    8 17 18 20 24 6 9 22 25 32 33 34 36 40 38 41""",
    """0 16 1 2 4 8 32 3 5 10 12 15 47 7 11 13 14 6 9 31 35 37 42 44 33 34 36 40 39 43 45 46
    17 18 20 24 19 21 26 28 23 27 29 30 22 25 38 41""",
    "15 0 7 11 13 14 3 5 10 12 1 2 4 8 6 9",
    "0 1 2 4 8 3 5 10 12 15 7 11 13 14 6 9",
)
PATTERNS = np.full((4, 48), -1, np.int32)
for _row, _text in enumerate(_PATTERNS):
    PATTERNS[_row, : len(_text.split())] = _numbers(_text)
