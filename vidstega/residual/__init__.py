"""Signs of residual coefficients in a coded picture, whichever codec coded it.

A codec gives pure functions over the coded units of a picture: `walk_picture` and `usable` for both
directions (in `vidstega.h264.walk` and `vidstega.hevc.walk`), `quanta` and `blocks_of` for the cost of a
change (in `vidstega.h264.scaling`, `vidstega.hevc.quanta` and `vidstega.hevc.walk`). What chooses among
signs, codes a message into them and turns them stands on the types here alone.

`arithmetic`, which needs numba, is the decoder that the walks of both codecs share.
"""

from vidstega.residual.signs import CHROMA_AC, CHROMA_DC, LUMA_AC, LUMA_DC, Blocks, Picture, Signs
from vidstega.residual.turn import Turned, turn

__all__ = ["CHROMA_AC", "CHROMA_DC", "LUMA_AC", "LUMA_DC", "Blocks", "Picture", "Signs", "Turned", "turn"]
