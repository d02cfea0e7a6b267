"""What the walk and those who call it agree on: parameters, how a walk ends, how blocks are numbered."""

from __future__ import annotations

# How a walk ends.
ENDED, TOO_LONG, NONSENSE, WRONG_END, HAS_PCM = range(5)

# Columns of the kernel's parameters. Sizes are powers of two; addresses count coding tree units, those in
# the order of coding but for SLICE_ADDRESS.
(
    WIDTH,
    HEIGHT,
    CTB,
    MIN_CB,
    MIN_TB,
    MAX_TB,
    DEPTH_INTER,
    DEPTH_INTRA,
    AMP,
    PCM_SMALLEST,
    PCM_LARGEST,
    SAO_MOST,
    SAO_LUMA,
    SAO_CHROMA,
    SLICE_KIND,
    REFS_L0,
    REFS_L1,
    MVD_L1_ZERO,
    MERGES,
    QP,
    QP_EXTRA,
    QP_GROUP,
    SIGN_HIDING,
    TRANSFORM_SKIP,
    LOSSLESS,
    WAVEFRONT,
    FIRST,
    SLICE_ADDRESS,
    DEPENDENT,
    START_BYTE,
    LENGTH,
    PARAMETERS,
) = range(32)

# Columns of what the kernel writes of each sign.
BIT, STEP, LEVEL, PLACE, BLOCK, POSITION, FLAGS, SIGN_QP, COLUMNS = range(9)
NEGATIVE, FIXED, INTER = 1, 2, 4

# A cell of 4x4 samples: of a coding unit that was read, of which kind; whether intra prediction reads it.
IS_INTER, IS_INTRA, IS_READ = 1, 2, 4

# A block's number: its first cell in the coding tree unit (row, column: 4 bits each, in samples of luma), its
# size as a power of two less 2 (2 bits), its plane (2 bits), and whether it is not transformed.
SIZE_SHIFT, PLANE_SHIFT, SKIP_SHIFT = 8, 10, 12
# A coefficient's position in its block: column, and row above these bits.
ROW_SHIFT = 5
