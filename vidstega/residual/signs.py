"""What a walk over a coded picture returns."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

LUMA_AC, LUMA_DC, CHROMA_AC, CHROMA_DC = range(4)


@dataclass(frozen=True, eq=False)
class Signs:
    """Signs of one coded picture in coding order; every array has one entry a sign.

    Attributes
    ----------
    unit : int16
        Which of the picture's slice NAL units.
    bit : int32
        Position in that NAL unit without emulation prevention, header included: the sign's own bit, or
        the one at which an arithmetic coder's interval is added or subtracted.
    step : int16
        What to add there to turn a 0 into a 1 (codIRange, ivlCurrRange); 0 where the sign is a bit.
    negative, fixed : bool
        The sign, and whether it cannot be turned: it is part of a longer code, or reaches a stop bit.
    level : int16
        Magnitude of the coefficient's level, 1 or more.
    place : int32
        Address of the macroblock (H.264) or of the coding tree unit (HEVC).
    block, position : uint8 or uint16
        Block within that place, by the codec's numbering, and which of its coefficients: the index in the
        block's scan (H.264), or column and row (HEVC).
    kind : uint8
        LUMA_AC, LUMA_DC, CHROMA_AC or CHROMA_DC.
    inter : bool
        Whether the block is predicted from other pictures.
    qp : int8
        Luma quantization parameter of the block.
    """

    unit: NDArray[np.int16]
    bit: NDArray[np.int32]
    step: NDArray[np.int16]
    negative: NDArray[np.bool_]
    fixed: NDArray[np.bool_]
    level: NDArray[np.int16]
    place: NDArray[np.int32]
    block: NDArray[np.uint8] | NDArray[np.uint16]
    position: NDArray[np.uint8] | NDArray[np.uint16]
    kind: NDArray[np.uint8]
    inter: NDArray[np.bool_]
    qp: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.bit)

    def __getitem__(self, index: NDArray[np.generic] | slice) -> Self:
        """The same of some signs: a mask, indices or a slice."""
        return type(self)(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class Blocks:
    """Where the blocks of signs lie in a picture, and what each coefficient looks like; one entry a sign.

    Attributes
    ----------
    plane : int64
        0 luma, 1 and 2 chroma.
    left, top, edge : int64
        Column and row of the block's first sample, and its size, in samples of its plane.
    pattern : int64
        Below edge ** 2 a product of two cosines: its frequency down, times `edge`, plus that across. Above
        it, for edges of 8 the four 2x2 transforms of chroma DC, for edges of 4 a single sample, by rows.
    """

    plane: NDArray[np.int64]
    left: NDArray[np.int64]
    top: NDArray[np.int64]
    edge: NDArray[np.int64]
    pattern: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Picture:
    """A coded picture that was walked through to its end, or why it was not.

    Attributes
    ----------
    obstacle : str
        Empty, or why this picture carries nothing: coding that is not read (by name), or damage.
    signs : Signs
        All its signs; none if there is an obstacle.
    intra : bool array of shape (rows, columns)
        Places (macroblocks; in HEVC cells of 4x4 samples) that are predicted from others in this picture.
    constrained : bool
        Whether prediction within the picture never takes samples that come from other pictures.
    read : bool array
        Of each sign whether prediction within the picture reads samples of its block, where a codec
        tells; empty where that follows from `intra`.
    """

    obstacle: str
    signs: Signs
    intra: NDArray[np.bool_]
    constrained: bool
    read: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))

    def __repr__(self) -> str:
        rows, columns = self.intra.shape
        return f"Picture({columns}x{rows} places, {self.obstacle or f'{len(self.signs):,} signs'})"
